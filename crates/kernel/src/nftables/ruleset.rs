//! What a table of ours consists of. Plain data: it travels to a guardian and stands in its log.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Prefix;

/// A whole table. Chains accept what no rule decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruleset {
    /// The name of the table: 1 to 31 letters, digits, `-` and `_`.
    pub table: String,
    pub chains: Vec<Chain>,
    /// Whether its rules match only while a lease runs: from [`super::Table::renew`] on, for the
    /// time given there, and then no more even if every process is dead or stopped.
    pub lease: bool,
}

/// A chain of rules at one place of the packets' way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// 1 to 31 letters, digits, `-` and `_`.
    pub name: String,
    pub hook: Hook,
    pub kind: ChainKind,
    /// Lower comes first: -300 is before connection tracking, 0 where filters usually are.
    pub priority: i32,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChainKind {
    Filter,
    /// Like a filter of outgoing packets, which are routed again when their mark changes.
    Route,
    Nat,
}

/// When every match holds, the packet is counted and the action taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub matches: Vec<Match>,
    pub action: Action,
}

/// What a packet is asked. All of it is also true or false of packets of the other IP version:
/// `Not(Source(10.0.0.0/8))` holds for every IPv6 packet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    Family(IpVersion),
    Source(Prefix),
    Destination(Prefix),
    /// Any of these; meant for many.
    SourceSet(Vec<Prefix>),
    /// Any of these; meant for many.
    DestinationSet(Vec<Prefix>),
    Protocol(Transport),
    /// Beside `Protocol` tcp or udp.
    SourcePort(PortRange),
    /// Beside `Protocol` tcp or udp.
    DestinationPort(PortRange),
    InInterface(String),
    OutInterface(String),
    /// The socket of the packet belongs to that cgroup or to one below it. Not true, and its `Not`
    /// neither, of a packet without a socket here.
    CgroupV2 {
        /// Its directory, in a mounted cgroup2 file system, at the time the table is made.
        path: PathBuf,
        /// How deep the directory is below the root: 1 for a child of the root.
        level: u8,
    },
    /// The class of the socket's cgroup v1 `net_cls`. Without a socket like `CgroupV2`.
    NetClass(u32),
    /// That share (0 to 1) of the packets, each by its own throw; resolution 1e-9.
    Random {
        share: f64,
    },
    /// Beside `Protocol` tcp: of the flags in `mask`, exactly those in `value` are set.
    TcpFlags {
        mask: u8,
        value: u8,
    },
    /// Any of these; it switches connection tracking on in the namespace while the table is there.
    ConnectionState(Vec<ConnectionState>),
    Mark {
        mask: u32,
        value: u32,
    },
    /// For this host, not to be passed on by it. In prerouting and input.
    ForThisHost,
    /// The user of the socket. Without a socket like `CgroupV2`.
    UserId(u32),
    /// Not of another `Not`.
    Not(Box<Match>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpVersion {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    Tcp,
    Udp,
    Icmp,
    Icmpv6,
    /// By its number.
    Other(u8),
}

/// From the first to the last port, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    pub first: u16,
    pub last: u16,
}

/// What connection tracking says of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionState {
    New,
    Established,
    Related,
    Invalid,
    Untracked,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing: the packet is counted, and meets the next rule.
    Count,
    Drop,
    Accept,
    /// Leaves the chain.
    Return,
    /// Beside `Protocol` tcp: answers with a reset.
    RejectReset,
    /// Answers with an ICMP error.
    RejectIcmp(IcmpReason),
    /// Hands the packet to the program that listens on a queue (nfqueue).
    Queue {
        number: u16,
        /// Packets pass when nobody listens.
        bypass: bool,
    },
    /// Sets the class for queueing disciplines (`skb->priority`, major << 16 | minor).
    Classify(u32),
    SetMark(u32),
    /// In nat chains of prerouting and output, beside `Protocol` tcp or udp: to a port of this host.
    Redirect(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IcmpReason {
    NoRoute,
    PortUnreachable,
    HostUnreachable,
    AdminProhibited,
}

impl PortRange {
    /// One port.
    #[must_use]
    pub fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }
}

impl Transport {
    /// Its number, as IANA assigned it.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Icmp => 1,
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Icmpv6 => 58,
            Self::Other(number) => number,
        }
    }
}
