//! What of nftables works here, found by operating it in a namespace of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::KernelError;
use crate::namespace::in_fresh;
use crate::netlink::{Protocol, Socket};

use super::message::SUBSYSTEM;
use super::{
    Action, Chain, ChainKind, ConnectionState, Hook, IcmpReason, Match, PortRange, QueueMechanism,
    Rule, Ruleset, Table, Transport, compile, make_with,
};

/// Something a fault may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    /// Tables that vanish with the descriptor that made them.
    Owner,
    /// Rules that stop to match by themselves.
    Lease,
    /// A share of the packets.
    Random,
    /// Large groups of addresses.
    AddressSets,
    RejectReset,
    RejectIcmp,
    Redirect,
    ConnectionState,
    QueueNative,
    QueueCompat,
    QueueCompatSplit,
    CgroupV2,
    NetClass,
}

/// Whether it works, and if not, what the kernel said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub ability: Ability,
    /// `None`: it works.
    pub refused: Option<String>,
}

const TABLE: &str = "firedrill-probe";

/// Tries everything, each in a table that is removed again; nothing of the caller's namespace is
/// touched.
///
/// # Errors
/// When no network namespace can be made, or netlink does not work in it.
pub fn usable() -> Result<Vec<Probe>, KernelError> {
    in_fresh(|| {
        let mut probes = Vec::new();
        for ability in ALL {
            let outcome = operate(ability);
            probes.push(Probe {
                ability,
                refused: outcome.err().map(|error| error.to_string()),
            });
        }
        Ok(probes)
    })
}

const ALL: [Ability; 13] = [
    Ability::Owner,
    Ability::Lease,
    Ability::Random,
    Ability::AddressSets,
    Ability::RejectReset,
    Ability::RejectIcmp,
    Ability::Redirect,
    Ability::ConnectionState,
    Ability::QueueNative,
    Ability::QueueCompat,
    Ability::QueueCompatSplit,
    Ability::CgroupV2,
    Ability::NetClass,
];

fn operate(ability: Ability) -> Result<(), KernelError> {
    let socket = Socket::open(Protocol::Netfilter)?;
    let queue = Action::Queue {
        number: 1,
        bypass: true,
    };
    let tcp = Match::Protocol(Transport::Tcp);
    let ruleset = match ability {
        Ability::Owner => empty(false),
        Ability::Lease => empty(true),
        Ability::Random => one(Match::Random { share: 0.5 }, Action::Drop),
        Ability::AddressSets => {
            let prefix = "192.0.2.0/24".parse().into_iter().collect();
            one(Match::SourceSet(prefix), Action::Drop)
        }
        Ability::RejectReset => one(tcp, Action::RejectReset),
        Ability::RejectIcmp => one(tcp, Action::RejectIcmp(IcmpReason::PortUnreachable)),
        Ability::Redirect => redirect(),
        Ability::ConnectionState => one(
            Match::ConnectionState(vec![ConnectionState::Established]),
            Action::Drop,
        ),
        Ability::QueueNative => return operate_queue(socket, queue, QueueMechanism::Native),
        Ability::QueueCompat => return operate_queue(socket, queue, QueueMechanism::Compat),
        Ability::QueueCompatSplit => {
            return operate_queue(socket, queue, QueueMechanism::CompatSplit);
        }
        Ability::CgroupV2 => return operate_cgroup(socket),
        Ability::NetClass => one(Match::NetClass(1), Action::Drop),
    };
    let mut table = Table::create(socket, &ruleset)?;
    if ability == Ability::Owner && !table.owned() {
        table.delete()?;
        return Err(KernelError::call(
            "a table that vanishes with its descriptor (Linux 5.12)",
            rustix::io::Errno::OPNOTSUPP,
        ));
    }
    if ruleset.lease {
        table.renew(Duration::from_secs(1))?;
    }
    table.delete()
}

fn operate_queue(
    mut socket: Socket,
    queue: Action,
    mechanism: QueueMechanism,
) -> Result<(), KernelError> {
    let ruleset = one(Match::Protocol(Transport::Udp), queue);
    // The socket takes the table with it.
    make_with(&mut socket, &ruleset, mechanism, true)
}

/// With a cgroup that does not matter: the kernel checks the expression, not the number.
fn operate_cgroup(mut socket: Socket) -> Result<(), KernelError> {
    let batch = compile::cgroup_probe(TABLE);
    socket.transaction(SUBSYSTEM, &batch)
}

fn empty(lease: bool) -> Ruleset {
    Ruleset {
        table: TABLE.to_owned(),
        chains: Vec::new(),
        lease,
    }
}

fn one(condition: Match, action: Action) -> Ruleset {
    chain(Hook::Input, ChainKind::Filter, vec![condition], action)
}

fn redirect() -> Ruleset {
    let matches = vec![
        Match::Protocol(Transport::Tcp),
        Match::DestinationPort(PortRange::one(1)),
    ];
    chain(Hook::Output, ChainKind::Nat, matches, Action::Redirect(2))
}

fn chain(hook: Hook, kind: ChainKind, matches: Vec<Match>, action: Action) -> Ruleset {
    let chain = Chain {
        name: "probe".to_owned(),
        hook,
        kind,
        priority: 0,
        rules: vec![Rule { matches, action }],
    };
    Ruleset {
        chains: vec![chain],
        ..empty(false)
    }
}
