//! Servers of a load balancer, and how those are chosen that it is told to leave out.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use firedrill_kernel::nftables::Prefix;
use firedrill_undo::haproxy::{Administrative, Balanced, Server};
use firedrill_undo::{HaproxyError, OutOfUse, Primitive, RuntimeSocket, ServersOut};
use serde_json::{Value, json};

use super::filter;
use super::row::row;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, Parameter, ParameterKind, UndoClass};
use crate::fault::CompileError;
use crate::target::TargetKind;

/// Where Debian's configuration has it.
const SOCKET: &str = "/run/haproxy/admin.sock";

const SOCKETS: &str = "absolute, a socket of root or of this user with `level admin`";
pub(super) const NAMES: &str = "a name, in which * is any part of it, or a list of them";
const STATES: &str = "drain or maint";
const COUNTS: &str = "a whole number from 0";

const RECOVERY: &str = "the guardian sets each server to what it was told before when \
     its owner dies or the lease runs out, `firedrill recover` does when both are dead: until then \
     the servers stay out of use; what somebody else set meanwhile stays as it is and is told; a \
     restart of HAProxy undoes it by itself";
const OBSERVED: &str = "HAProxy says so of each server, and new sessions went elsewhere \
     (`show stat`): their share on these servers, and the sessions left there";

/// How long a HAProxy may take to say what it has.
const PATIENCE: Duration = Duration::from_secs(5);

/// What both faults ask of a load balancer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Balancer {
    socket: PathBuf,
    state: OutOfUse,
    shutdown_sessions: bool,
    remaining_min: u64,
}

/// A fault of a load balancer: its name, what it does and an example, and its parameters beside those
/// of every such fault.
pub(super) fn entry(
    (name, summary, example): (&'static str, &'static str, &'static str),
    own: Vec<Parameter>,
    common: Vec<Parameter>,
) -> Entry {
    Entry {
        name,
        layer: "switching",
        summary,
        targets: vec![TargetKind::Host],
        parameters: own.into_iter().chain(common).collect(),
        needs: vec!["a HAProxy whose configuration has `stats socket PATH level admin`"],
        mechanisms: vec!["`set server BACKEND/SERVER state` over its runtime socket"],
        recovery_path: RECOVERY,
        undo: UndoClass::Reversible,
        observed_effect: OBSERVED,
        example,
    }
}

/// A name, or several by `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Balancer {
    pub(super) const KNOWN: [&str; 4] = ["socket", "state", "shutdown-sessions", "remaining-min"];

    pub(super) fn parse(
        read: &mut Arguments<'_>,
        state: OutOfUse,
        shutdown_sessions: bool,
    ) -> Self {
        let socket = read.read("socket", SOCKETS, |value| {
            let path = Path::new(value.as_str()?);
            path.is_absolute().then(|| path.to_owned())
        });
        let state_given = read.read("state", STATES, |value| match value.as_str()? {
            "drain" => Some(OutOfUse::Drain),
            "maint" => Some(OutOfUse::Maint),
            _ => None,
        });
        let shutdown_given = read.flag("shutdown-sessions");
        let remaining = read.whole("remaining-min", 0.., COUNTS);
        Self {
            socket: socket.unwrap_or_else(|| SOCKET.into()),
            state: state_given.unwrap_or(state),
            shutdown_sessions: shutdown_given.unwrap_or(shutdown_sessions),
            remaining_min: remaining.unwrap_or(1),
        }
    }

    pub(super) fn parameters(state: &str, shutdown_sessions: bool) -> Vec<Parameter> {
        vec![
            row(
                "socket",
                ParameterKind::Text,
                SOCKETS,
                Some(json!(SOCKET)),
                "the runtime socket of the HAProxy",
            ),
            row(
                "state",
                ParameterKind::Choice,
                STATES,
                Some(json!(state)),
                "`drain`: no new sessions but those bound to the server, and the present ones go \
                 on; `maint`: as if it were not there, and its health is not checked",
            ),
            Parameter {
                bounds: None,
                ..row(
                    "shutdown-sessions",
                    ParameterKind::Boolean,
                    "",
                    Some(json!(shutdown_sessions)),
                    "ends the sessions that the servers have, which nothing brings back",
                )
            },
            row(
                "remaining-min",
                ParameterKind::Number,
                COUNTS,
                Some(json!(1)),
                "refused where a backend would have fewer servers in use: backup servers that are up \
                 count, those that `track` one that is left out do not",
            ),
        ]
    }

    fn socket(&self) -> Result<RuntimeSocket, HaproxyError> {
        RuntimeSocket::at(&self.socket, PATIENCE)
    }

    /// Every server, from a HAProxy that would do as it is told.
    fn servers(&self) -> Result<Vec<Balanced>, CompileError> {
        let socket = self.socket()?;
        socket.require_admin()?;
        Ok(socket.servers()?)
    }

    /// Those of all that are chosen taken out, those aside that are out of use by hand already.
    pub(super) fn take_out(
        &self,
        choose: impl Fn(&[Balanced]) -> Result<Vec<&Balanced>, HaproxyError>,
    ) -> Result<Vec<Primitive>, CompileError> {
        let all = &self.servers()?;
        let chosen = choose(all)?;
        let taken: Vec<Server> = chosen
            .iter()
            .filter(|one| one.told == Administrative::Ready || one.told == self.weaker())
            .map(|one| one.server.clone())
            .collect();
        if taken.is_empty() {
            let names: Vec<String> = chosen.iter().map(|one| one.server.to_string()).collect();
            let servers = names.join(", ");
            return Err(HaproxyError::OutOfUse { servers }.into());
        }
        self.socket()?
            .require_remaining(all, &taken, self.remaining_min)?;
        Ok(vec![Primitive::TakeServersOut(ServersOut {
            socket: self.socket.clone(),
            servers: taken,
            state: self.state,
            shutdown_sessions: self.shutdown_sessions,
            remaining_min: self.remaining_min,
            before: None,
        })])
    }

    /// What is still to be made worse.
    fn weaker(&self) -> Administrative {
        match self.state {
            OutOfUse::Drain => Administrative::Ready,
            OutOfUse::Maint => Administrative::Drain,
        }
    }
}

impl Pattern {
    /// Of the characters of HAProxy's names, and `*`.
    pub(super) fn list(value: &Value) -> Option<Vec<Self>> {
        filter::list(value, |one| {
            let text = one.as_str()?;
            let named = text.replace('*', "");
            let star = text.contains('*');
            (Server::is_name(&named) || (star && named.is_empty())).then(|| Self(text.to_owned()))
        })
    }

    pub(super) fn any(all: &[Self], name: &str) -> bool {
        all.iter().any(|pattern| pattern.matches(name))
    }

    /// The parts between the stars, one after the other.
    fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last)
    }

    pub(super) fn in_words(all: &[Self]) -> String {
        let texts: Vec<&str> = all.iter().map(|one| one.0.as_str()).collect();
        texts.join(", ")
    }
}

pub(super) fn within(networks: &[Prefix], address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
}

/// What there is instead of what was named.
pub(super) fn several<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    match (names.is_empty(), more) {
        (true, _) => "none".into(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_part_of_a_name() {
        for (pattern, name, expected) in [
            ("web-a", "web-a", true),
            ("web-a", "web-ab", false),
            ("*-a", "web-a", true),
            ("*-a", "web-b", false),
            ("web-*", "web-", true),
            ("*", "anything", true),
            ("w*b*a", "web-b-a", true),
            ("w*b*a", "wa", false),
            ("ab*ba", "aba", false),
            ("*-a-*", "x-a-y", true),
        ] {
            let pattern = Pattern(pattern.into());
            assert_eq!(pattern.matches(name), expected, "{pattern:?} {name}");
        }
    }

    #[test]
    fn nothing_that_would_end_a_command_is_a_name() {
        for wrong in ["", "a b", "a;b", "a\nb", "a/b", "a*;b"] {
            assert_eq!(Pattern::list(&json!(wrong)), None, "{wrong:?}");
        }
        assert!(Pattern::list(&json!(["*", "web-1.x:y_z"])).is_some());
    }
}
