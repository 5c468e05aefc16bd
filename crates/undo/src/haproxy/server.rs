//! Servers behind a load balancer.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::HaproxyError;

/// A server of a backend, by its names.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Server {
    pub backend: String,
    pub name: String,
}

/// What a server was told by hand. Health checks, and servers that it tracks, say more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Administrative {
    Ready,
    /// No new sessions but those bound to it; the present ones go on.
    Drain,
    /// Out of use altogether, and its health unchecked.
    Maint,
}

/// A server as the load balancer has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balanced {
    pub server: Server,
    /// Absent where it is none of IP, or not known yet.
    pub address: Option<IpAddr>,
    pub told: Administrative,
    /// That it takes new sessions.
    pub in_use: bool,
    pub weight: u32,
}

/// What a server has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    pub server: Server,
    /// At present.
    pub sessions: u64,
    /// Since its start.
    pub sessions_ever: u64,
    /// The server whose state it takes over.
    pub follows: Option<Server>,
}

impl Server {
    /// Letters, digits and `-_.:`, as HAProxy has them: nothing that would end a command.
    #[must_use]
    pub fn is_name(word: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        !word.is_empty() && word.len() <= 255 && word.chars().all(plain)
    }
}

impl Administrative {
    /// As it is told to HAProxy.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }
}

/// Refuses where a backend of these servers would keep fewer than `needed` others in use.
pub(super) fn too_few_left(
    all: &[Balanced],
    taken: &[Server],
    needed: u64,
) -> Result<(), HaproxyError> {
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    for server in taken {
        left.insert(&server.backend, 0);
    }
    for one in all {
        if let Some(count) = left.get_mut(one.server.backend.as_str())
            && one.in_use
            && !taken.contains(&one.server)
        {
            *count += 1;
        }
    }
    match left.into_iter().find(|(_, remaining)| *remaining < needed) {
        None => Ok(()),
        Some((backend, remaining)) => Err(HaproxyError::TooFewRemain {
            backend: backend.into(),
            remaining,
            needed,
        }),
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backend, self.name)
    }
}

impl fmt::Display for Administrative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
