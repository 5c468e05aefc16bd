//! From a ruleset to the messages of one transaction.
//!
//! A match on addresses holds for one IP version only. A rule that has any becomes one rule per
//! version for which it can hold; the others become one rule of the kernel.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::KernelError;
use crate::netlink::{Attributes, Message};

use super::expression::{self as x, Base, Compare, Meta};
use super::message::{self, Family, Kind};
use super::{
    Action, Chain, ChainKind, ConnectionState, Hook, IcmpReason, IpVersion, Match, Prefix,
    QueueMechanism, Rule, Ruleset, sets,
};

/// The set whose timed elements are the lease.
pub(super) const LEASE_SET: &str = "lease";
const LEASE_ID: u32 = 1;
/// `Random` throws among this many.
const THROWS: u32 = 1_000_000_000;
/// How the first message of a table is called.
pub(super) const MAKING: &str = "make the nft table ";
/// `RTN_LOCAL` of linux/rtnetlink.h.
const LOCAL: u32 = 2;
/// `NFT_TABLE_F_OWNER`.
const OWNER: u32 = 2;

/// What the kernel offers, as far as it changes the messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    pub(super) family: Family,
    pub(super) queue: QueueMechanism,
    pub(super) owned: bool,
}

/// The messages that make a table.
pub(super) fn table(ruleset: &Ruleset, means: Means) -> Result<Vec<Message>, KernelError> {
    let name = &ruleset.table;
    let mut flags = Attributes::new().string(1, name);
    if means.owned {
        flags = flags.be32(2, OWNER);
    }
    let doing = format!("{MAKING}{name}");
    let mut out = vec![message::create(doing, Kind::NewTable, means.family).with(&flags)];
    if ruleset.lease {
        out.push(sets::lease(name, means.family, LEASE_SET, LEASE_ID));
    }
    let mut compiler = Compiler {
        ruleset,
        means,
        out,
        next_set: LEASE_ID + 1,
    };
    for chain in &ruleset.chains {
        compiler.chain(chain)?;
    }
    Ok(compiler.out)
}

/// A table with one rule that asks for a cgroup v2, whether or not one is mounted.
pub(super) fn cgroup_probe(table: &str) -> Vec<Message> {
    let family = Family::Inet;
    let name = Attributes::new().string(1, table);
    let owned = name.clone().be32(2, OWNER);
    let mut expressions = x::socket_cgroup(1);
    expressions.append(&x::compare(Compare::Equal, &1_u64.to_ne_bytes()));
    let doing = |what: &str| format!("{what} of {table}");
    vec![
        message::create(doing("make the table"), Kind::NewTable, family).with(&owned),
        message::create(doing("add a chain"), Kind::NewChain, family)
            .with(&name.clone().string(3, "probe")),
        message::append(
            doing("ask for a cgroup v2 in a rule"),
            Kind::NewRule,
            family,
        )
        .with(&name.string(2, "probe").nested(4, &expressions)),
    ]
}

struct Compiler<'a> {
    ruleset: &'a Ruleset,
    means: Means,
    out: Vec<Message>,
    next_set: u32,
}

impl Compiler<'_> {
    fn chain(&mut self, chain: &Chain) -> Result<(), KernelError> {
        let hook = Attributes::new()
            .be32(1, hook_number(chain.hook))
            .bytes(2, &chain.priority.to_be_bytes());
        let kind = match chain.kind {
            ChainKind::Filter => "filter",
            ChainKind::Route => "route",
            ChainKind::Nat => "nat",
        };
        // The policy 1 is NF_ACCEPT.
        let attributes = Attributes::new()
            .string(1, &self.ruleset.table)
            .string(3, &chain.name)
            .nested(4, &hook)
            .be32(5, 1)
            .string(7, kind);
        let doing = format!("add chain {}", chain.name);
        let create = message::create(doing, Kind::NewChain, self.means.family);
        self.out.push(create.with(&attributes));
        for (index, rule) in chain.rules.iter().enumerate() {
            for (version, matches) in variants(rule, self.means.family) {
                self.rule(chain, index, rule.action, version, &matches)?;
            }
        }
        Ok(())
    }

    fn rule(
        &mut self,
        chain: &Chain,
        index: usize,
        action: Action,
        version: Option<IpVersion>,
        matches: &[&Match],
    ) -> Result<(), KernelError> {
        let mut expressions = Attributes::new();
        if self.ruleset.lease {
            expressions.append(&x::meta(Meta::NfProto));
            expressions.append(&x::lookup(LEASE_SET, LEASE_ID, false));
        }
        if let Some(version) = version {
            expressions.append(&x::meta(Meta::NfProto));
            expressions.append(&x::compare(Compare::Equal, &[version.protocol_family()]));
        }
        for one in matches {
            let (one, holds) = match one {
                Match::Not(inner) => (inner.as_ref(), false),
                other => (*other, true),
            };
            self.match_(one, holds, version, &mut expressions)?;
        }
        expressions.append(&x::counter());
        expressions.append(&self.action(action));
        let attributes = Attributes::new()
            .string(1, &self.ruleset.table)
            .string(2, &chain.name)
            .nested(4, &expressions)
            .bytes(7, &message::rule_comment(index));
        let doing = format!("add rule {index} of chain {}", chain.name);
        let create = message::append(doing, Kind::NewRule, self.means.family);
        self.out.push(create.with(&attributes));
        Ok(())
    }

    /// Appends what continues only when `one` holds, or does not.
    fn match_(
        &mut self,
        one: &Match,
        holds: bool,
        version: Option<IpVersion>,
        out: &mut Attributes,
    ) -> Result<(), KernelError> {
        let (equal, unequal) = if holds {
            (Compare::Equal, Compare::NotEqual)
        } else {
            (Compare::NotEqual, Compare::Equal)
        };
        match one {
            // Decided by the variant; a double Not has been refused.
            Match::Family(_) | Match::Not(_) => {}
            Match::Source(prefix) => address(*prefix, true, equal, out),
            Match::Destination(prefix) => address(*prefix, false, equal, out),
            Match::SourceSet(set) => self.address_set(set, true, holds, version, out),
            Match::DestinationSet(set) => self.address_set(set, false, holds, version, out),
            Match::Protocol(transport) => {
                out.append(&x::meta(Meta::L4Proto));
                out.append(&x::compare(equal, &[transport.number()]));
            }
            Match::SourcePort(ports) | Match::DestinationPort(ports) => {
                let offset = if matches!(one, Match::SourcePort(_)) {
                    0
                } else {
                    2
                };
                out.append(&x::payload(Base::Transport, offset, 2));
                let (first, last) = (ports.first.to_be_bytes(), ports.last.to_be_bytes());
                out.append(&x::range(holds, &first, &last));
            }
            Match::InInterface(name) => interface(Meta::InName, name, equal, out),
            Match::OutInterface(name) => interface(Meta::OutName, name, equal, out),
            Match::CgroupV2 { path, level } => {
                out.append(&x::socket_cgroup(*level));
                out.append(&x::compare(equal, &cgroup_id(path)?.to_ne_bytes()));
            }
            Match::NetClass(class) => {
                out.append(&x::meta(Meta::Cgroup));
                out.append(&x::compare(equal, &class.to_ne_bytes()));
            }
            Match::Random { share } => random(*share, holds, out),
            Match::TcpFlags { mask, value } => {
                out.append(&x::payload(Base::Transport, 13, 1));
                out.append(&x::mask(&[*mask]));
                out.append(&x::compare(equal, &[*value]));
            }
            Match::ConnectionState(states) => {
                connection_state(states, unequal, out);
            }
            Match::Mark { mask, value } => {
                out.append(&x::meta(Meta::Mark));
                out.append(&x::mask(&mask.to_ne_bytes()));
                out.append(&x::compare(equal, &value.to_ne_bytes()));
            }
            Match::ForThisHost => {
                out.append(&x::kind_of_destination());
                out.append(&x::compare(equal, &LOCAL.to_ne_bytes()));
            }
            Match::UserId(uid) => {
                out.append(&x::meta(Meta::UserId));
                out.append(&x::compare(equal, &uid.to_ne_bytes()));
            }
        }
        Ok(())
    }

    fn address_set(
        &mut self,
        set: &[Prefix],
        source: bool,
        holds: bool,
        version: Option<IpVersion>,
        out: &mut Attributes,
    ) {
        let Some(version) = version else {
            return;
        };
        let id = self.next_set;
        self.next_set += 1;
        let of_version: Vec<Prefix> = set
            .iter()
            .copied()
            .filter(|prefix| version_of(*prefix) == version)
            .collect();
        let (table, family) = (&self.ruleset.table, self.means.family);
        self.out
            .extend(sets::addresses(table, family, id, version, &of_version));
        let (offset, length) = address_field(version, source);
        out.append(&x::payload(Base::Network, offset, length));
        out.append(&x::lookup(sets::ANONYMOUS, id, !holds));
    }

    fn action(&self, action: Action) -> Attributes {
        match action {
            // Every rule counts what it matches; this one goes on to the next.
            Action::Count => Attributes::new(),
            Action::Drop => x::verdict(0),
            Action::Accept => x::verdict(1),
            Action::Return => x::verdict(-5),
            Action::RejectReset => x::reject(1, 0),
            Action::RejectIcmp(reason) => reject(reason, self.means.family),
            Action::Queue { number, bypass } => match self.means.queue {
                QueueMechanism::Native => x::queue(number, bypass),
                QueueMechanism::Compat | QueueMechanism::CompatSplit => {
                    x::queue_target(number, bypass)
                }
            },
            Action::Classify(class) => set(Meta::Priority, class),
            Action::SetMark(mark) => set(Meta::Mark, mark),
            Action::Redirect(port) => {
                let mut both = x::load(&port.to_be_bytes());
                both.append(&x::redirect());
                both
            }
        }
    }
}

/// For which IP versions a rule can hold, and what is left to ask then. No version: for all alike.
fn variants(rule: &Rule, family: Family) -> Vec<(Option<IpVersion>, Vec<&Match>)> {
    let versions: &[IpVersion] = match family {
        Family::Inet => &[IpVersion::V4, IpVersion::V6],
        Family::Ip => &[IpVersion::V4],
        Family::Ip6 => &[IpVersion::V6],
    };
    let neutral = rule.matches.iter().all(|one| {
        let inner = match one {
            Match::Not(inner) => inner,
            other => other,
        };
        !matches!(
            inner,
            Match::Family(_)
                | Match::Source(_)
                | Match::Destination(_)
                | Match::SourceSet(_)
                | Match::DestinationSet(_)
        )
    });
    if neutral {
        return vec![(None, rule.matches.iter().collect())];
    }
    versions
        .iter()
        .filter_map(|version| Some((Some(*version), remaining(&rule.matches, *version)?)))
        .collect()
}

/// The matches that the version does not decide; `None` when it decides one to be false.
fn remaining(matches: &[Match], version: IpVersion) -> Option<Vec<&Match>> {
    let mut left = Vec::new();
    for one in matches {
        let decided = match one {
            Match::Not(inner) => decided(inner, version).map(|truth| !truth),
            other => decided(other, version),
        };
        match decided {
            Some(false) => return None,
            Some(true) => {}
            None => left.push(one),
        }
    }
    Some(left)
}

fn decided(one: &Match, version: IpVersion) -> Option<bool> {
    match one {
        Match::Family(wanted) => Some(*wanted == version),
        Match::Source(prefix) | Match::Destination(prefix) => {
            if version_of(*prefix) != version {
                return Some(false);
            }
            (prefix.length() == 0).then_some(true)
        }
        Match::SourceSet(set) | Match::DestinationSet(set) => {
            let mut of_version = set.iter().filter(|p| version_of(**p) == version).peekable();
            if of_version.peek().is_none() {
                return Some(false);
            }
            of_version
                .any(|prefix| prefix.length() == 0)
                .then_some(true)
        }
        _ => None,
    }
}

fn version_of(prefix: Prefix) -> IpVersion {
    match prefix.address() {
        IpAddr::V4(_) => IpVersion::V4,
        IpAddr::V6(_) => IpVersion::V6,
    }
}

/// Offset and length of an address in the IP header.
fn address_field(version: IpVersion, source: bool) -> (u32, u32) {
    match (version, source) {
        (IpVersion::V4, true) => (12, 4),
        (IpVersion::V4, false) => (16, 4),
        (IpVersion::V6, true) => (8, 16),
        (IpVersion::V6, false) => (24, 16),
    }
}

fn address(prefix: Prefix, source: bool, equal: Compare, out: &mut Attributes) {
    let (offset, length) = address_field(version_of(prefix), source);
    let (bytes, mask) = prefix.bytes_and_mask();
    out.append(&x::payload(Base::Network, offset, length));
    if mask.iter().any(|byte| *byte != u8::MAX) {
        out.append(&x::mask(&mask));
    }
    out.append(&x::compare(equal, &bytes));
}

fn connection_state(states: &[ConnectionState], unequal: Compare, out: &mut Attributes) {
    let bits = states
        .iter()
        .fold(0, |bits, state| bits | state_bit(*state));
    out.append(&x::connection_state());
    out.append(&x::mask(&bits.to_ne_bytes()));
    out.append(&x::compare(unequal, &[0; 4]));
}

/// Names are compared with the NULs that fill `IFNAMSIZ`, so that a prefix is not enough.
fn interface(key: Meta, name: &str, equal: Compare, out: &mut Attributes) {
    let mut padded = name.as_bytes().to_vec();
    padded.resize(16, 0);
    out.append(&x::meta(key));
    out.append(&x::compare(equal, &padded));
}

fn random(share: f64, holds: bool, out: &mut Attributes) {
    // At most THROWS, so it fits; a share has been checked to be from 0 to 1.
    let below = (share * f64::from(THROWS)).round() as u32;
    let how = if holds {
        Compare::Below
    } else {
        Compare::AtLeast
    };
    out.append(&x::random(THROWS));
    out.append(&x::compare(how, &below.to_be_bytes()));
}

fn set(key: Meta, value: u32) -> Attributes {
    let mut both = x::load(&value.to_ne_bytes());
    both.append(&x::set_meta(key));
    both
}

/// In an inet table the kernel picks the code of the packet's version; elsewhere the codes are
/// those of RFC 792, RFC 1812 and RFC 4443.
fn reject(reason: IcmpReason, family: Family) -> Attributes {
    let (both, v4, v6) = match reason {
        IcmpReason::NoRoute => (0, 0, 0),
        IcmpReason::PortUnreachable => (1, 3, 4),
        IcmpReason::HostUnreachable => (2, 1, 3),
        IcmpReason::AdminProhibited => (3, 13, 1),
    };
    match family {
        Family::Inet => x::reject(2, both),
        Family::Ip => x::reject(0, v4),
        Family::Ip6 => x::reject(0, v6),
    }
}

fn hook_number(hook: Hook) -> u32 {
    match hook {
        Hook::Prerouting => 0,
        Hook::Input => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
        Hook::Postrouting => 4,
    }
}

/// `NF_CT_STATE_BIT` and its companions of nf_conntrack_common.h.
fn state_bit(state: ConnectionState) -> u32 {
    match state {
        ConnectionState::Invalid => 1,
        ConnectionState::Established => 2,
        ConnectionState::Related => 4,
        ConnectionState::New => 8,
        ConnectionState::Untracked => 64,
    }
}

/// The id of a cgroup v2, which is the inode of its directory.
fn cgroup_id(path: &Path) -> Result<u64, KernelError> {
    /// `CGROUP2_SUPER_MAGIC` of linux/magic.h.
    const CGROUP2: u64 = 0x6367_7270;
    let read = |source| KernelError::Read {
        path: path.to_owned(),
        source,
    };
    let system = rustix::fs::statfs(path).map_err(|errno| read(errno.into()))?;
    let metadata = std::fs::metadata(path).map_err(read)?;
    if u64::try_from(system.f_type) != Ok(CGROUP2) || !metadata.is_dir() {
        return Err(KernelError::Malformed {
            path: path.to_owned(),
            what: "cgroup of version 2",
        });
    }
    Ok(metadata.ino())
}
