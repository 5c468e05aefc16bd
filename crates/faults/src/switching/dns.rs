//! What the DNS faults share: which questions are meant, and the way of their packets through a
//! queue of ours.
//!
//! Seen is DNS as clients speak it, to and from port 53 over UDP and TCP, to resolvers on loopback
//! (127.0.0.53 of systemd-resolved, 127.0.0.11 of Docker) as well. Not seen: DNS over TLS or HTTPS,
//! names from files and caches.

use firedrill_kernel::nftables::Transport;
use firedrill_undo::Primitive;
use firedrill_worker::queue::dns::Pattern;
use firedrill_worker::queue::{DnsAction, DnsProgram, DnsRule, Program};
use serde_json::Value;

use super::filter::{self, Direction, Filter};
use super::place::places;
use super::queue::{self, PacketQueue};
use super::row::required;
use super::rules;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, Parameter, ParameterKind, UndoClass};
use crate::fault::{CompileError, Site};

/// Questions by name, of the clients at the target.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Questions {
    patterns: Vec<Pattern>,
    pub(super) filter: Filter,
}

const FILTER: [&str; 5] = ["address", "host", "protocol", "interface", "percent"];

const NAMES: &str = "a name, *.NAME for all below it, * for all, or a list of them";

pub(super) const NEEDS: &[&str] = &[
    "CAP_NET_ADMIN in the target's network namespace",
    "nf_tables and nfnetlink_queue",
];

const MECHANISM: &str = "nfqueue: packets to and from port 53 pass a queue in a worker process, \
                         which reads their names; all pass when it is gone";

const RECOVERY: &str = "no packet is led into the queue any more once the guardian is dead or the \
                        lease has run out; the worker dies with its guardian";

/// The parameters that a fault knows: its own, and those of all DNS faults.
pub(super) fn names(own: &[&'static str]) -> Vec<&'static str> {
    let shared = std::iter::once("name").chain(FILTER);
    own.iter().copied().chain(shared).collect()
}

/// What the catalogue says of a DNS fault.
pub(super) fn entry(
    name: &'static str,
    summary: &'static str,
    own: Vec<Parameter>,
    observed_effect: &'static str,
    example: &'static str,
) -> Entry {
    let mut parameters = vec![required(
        "name",
        ParameterKind::List,
        NAMES,
        "whose questions are met; case does not count",
    )];
    parameters.extend(own);
    parameters.extend(filter::some_parameters(&FILTER));
    for parameter in &mut parameters {
        match parameter.name {
            "address" => parameter.summary = "only questions to this server",
            "host" => parameter.summary = "only questions to this server, by its name",
            "protocol" => {
                parameter.bounds = Some("tcp or udp");
                parameter.summary = "only questions over this protocol";
            }
            "interface" => parameter.summary = "only questions that leave by this interface",
            "percent" => parameter.summary = "of the questions, each by its own throw",
            _ => {}
        }
    }
    Entry {
        name,
        layer: "switching",
        summary,
        targets: rules::TARGETS.to_vec(),
        parameters,
        needs: NEEDS.to_vec(),
        mechanisms: vec![MECHANISM],
        recovery_path: RECOVERY,
        undo: UndoClass::Reversible,
        observed_effect,
        example,
    }
}

impl Questions {
    pub(super) fn read(read: &mut Arguments<'_>) -> Self {
        let patterns = read.read("name", NAMES, |value| filter::list(value, pattern));
        Self {
            patterns: read.require("name", patterns, "which names, such as shop.example"),
            filter: Filter::read_dns(read),
        }
    }

    pub(super) fn compile(
        &self,
        action: &DnsAction,
        site: &Site<'_>,
    ) -> Result<Vec<Primitive>, CompileError> {
        let rules = self.patterns.iter().map(|pattern| DnsRule {
            pattern: pattern.clone(),
            what: action.clone(),
        });
        let program = DnsProgram {
            rules: rules.collect(),
        };
        let mut primitives = Vec::new();
        for place in places(site)? {
            let program = Program::Dns(program.clone());
            let number = queue::free_number(&place.namespace, site.seed)?;
            let queue = PacketQueue::at(number, &place.namespace, program, site)?;
            let lead = [(None, queue.lead())];
            let table = rules::table_of(&self.ways(action), &lead, place, site)?;
            primitives.push(queue.served());
            primitives.push(Primitive::FilterPackets(table));
        }
        Ok(primitives)
    }

    /// Every question passes the queue once: on its way out where it is held up or lost there, with
    /// its answer where that is changed. So `percent` is of questions.
    fn ways(&self, action: &DnsAction) -> Vec<Filter> {
        let by_answer = match action {
            DnsAction::Block | DnsAction::Delay(_) => false,
            DnsAction::Timeout | DnsAction::Error(_) | DnsAction::Spoof { .. } => true,
        };
        let udp = if by_answer {
            Direction::Ingress
        } else {
            Direction::Egress
        };
        let ways = [
            self.filter.narrowed(udp, Transport::Udp),
            // An answer in a stream cannot be changed: its question does not get through.
            self.filter.narrowed(Direction::Egress, Transport::Tcp),
        ];
        ways.into_iter().flatten().collect()
    }
}

fn pattern(value: &Value) -> Option<Pattern> {
    value.as_str()?.trim().parse().ok()
}
