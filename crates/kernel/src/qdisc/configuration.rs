use serde::{Deserialize, Serialize};

use super::{Handle, KIND, OPTIONS, STATS2, Statistics, classes, filters, list};
use crate::KernelError;
use crate::netlink::{AttributeIter, Parsed, Socket};

/// A queueing discipline as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qdisc {
    pub interface: u32,
    pub handle: Handle,
    pub parent: Handle,
    pub kind: String,
    /// `TCA_OPTIONS`, as it came.
    pub options: Vec<u8>,
    pub statistics: Statistics,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    pub interface: u32,
    pub handle: Handle,
    pub parent: Handle,
    pub kind: String,
    pub options: Vec<u8>,
    pub statistics: Statistics,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub interface: u32,
    pub parent: Handle,
    pub handle: u32,
    pub priority: u16,
    /// `ETH_P_*`
    pub protocol: u16,
    pub kind: String,
    pub options: Vec<u8>,
}

/// What an interface does to packets, in a form that compares: without handles, counters and
/// descriptors, which change even when everything is put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Sorted by place.
    pub parts: Vec<Part>,
}

/// One discipline, class or filter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub place: Place,
    pub role: Role,
    pub kind: String,
    /// Attached by the kernel, not by somebody.
    pub is_default: bool,
    pub options: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Qdisc,
    Class,
    Filter { priority: u16, protocol: u16 },
}

/// The way from the root (or from ingress) down: one minor number per class passed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    Root(Vec<u16>),
    Ingress(Vec<u16>),
    /// Its parent is not in the same listing: it was changed while it was read.
    Loose(Vec<u16>),
}

/// `struct tcmsg`
const HEADER: usize = 20;

/// Deeper trees are not built by the kernel (`check_loop` stops at 7).
const DEPTH_MAX: usize = 8;

/// The classes of clsact under which filters are found.
const CLSACT_MINORS: [u16; 2] = [0xfff2, 0xfff3];

const U32_COUNTERS: u16 = 9;
const U32_MARKS: u16 = 10;
const BPF_PROGRAM_DESCRIPTOR: u16 = 6;
const BPF_PROGRAM_ID: u16 = 11;
const HTB_INIT: u16 = 2;
const NETEM_SEED: u16 = 14;
const NETEM_FIXED: usize = 24;

impl Qdisc {
    /// Attached by the kernel itself, so that deleting ours brings it back.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.handle == Handle::NONE
    }

    pub(super) fn parse(reply: &Parsed) -> Option<Self> {
        let class = Class::parse(reply)?;
        Some(Self {
            interface: class.interface,
            handle: class.handle,
            parent: class.parent,
            kind: class.kind,
            options: class.options,
            statistics: class.statistics,
        })
    }
}

impl Class {
    pub(super) fn parse(reply: &Parsed) -> Option<Self> {
        let [interface, handle, parent, _] = header(reply)?;
        let attributes = reply.attributes(HEADER);
        Some(Self {
            interface,
            handle: Handle(handle),
            parent: Handle(parent),
            kind: attributes.get(KIND)?.text()?.to_owned(),
            options: options(&attributes),
            statistics: attributes
                .get(STATS2)
                .map(|stats| Statistics::parse(&stats.nested()))
                .unwrap_or_default(),
        })
    }
}

impl Filter {
    pub(super) fn parse(reply: &Parsed) -> Option<Self> {
        let [interface, handle, parent, info] = header(reply)?;
        let attributes = reply.attributes(HEADER);
        Some(Self {
            interface,
            parent: Handle(parent),
            handle,
            priority: (info >> 16) as u16,
            protocol: u16::from_be((info & 0xffff) as u16),
            kind: attributes.get(KIND)?.text()?.to_owned(),
            options: options(&attributes),
        })
    }
}

impl Statistics {
    /// `TCA_STATS2`: basic counters, queue counters, and packets in 64 bits.
    fn parse(attributes: &AttributeIter<'_>) -> Self {
        let mut statistics = Self::default();
        if let Some(basic) = attributes.get(1) {
            statistics.bytes = basic.u64().unwrap_or(0);
            statistics.packets = word(basic.payload, 2).unwrap_or(0).into();
        }
        if let Some(queue) = attributes.get(3) {
            let field = |index| word(queue.payload, index).unwrap_or(0);
            statistics.backlog_packets = field(0);
            statistics.backlog_bytes = field(1);
            statistics.drops = field(2);
            statistics.requeues = field(3);
            statistics.overlimits = field(4);
        }
        if let Some(packets) = attributes.get(8).and_then(|packets| packets.u64()) {
            statistics.packets = packets;
        }
        statistics
    }
}

impl Configuration {
    /// What an interface does to packets now; without parts if the interface is gone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn of(socket: &mut Socket, interface: u32) -> Result<Self, KernelError> {
        let qdiscs = list(socket, interface)?;
        let classes = classes(socket, interface)?;
        let mut parents: Vec<Handle> = qdiscs
            .iter()
            .filter(|qdisc| !qdisc.is_default())
            .flat_map(filter_parents)
            .collect();
        let made = classes.iter().filter(|class| class.handle.major() != 0);
        parents.extend(made.map(|class| class.handle));
        let mut filters_found = Vec::new();
        // A default root holds no filters, and is not asked: its handle would mean the root.
        for parent in parents {
            filters_found.extend(filters(socket, interface, parent)?);
        }
        Ok(Self::from_parts(&qdiscs, &classes, &filters_found))
    }

    /// Whether there is nothing but what the kernel attaches by itself.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.parts
            .iter()
            .all(|part| part.role != Role::Qdisc || part.is_default)
    }

    fn from_parts(qdiscs: &[Qdisc], classes: &[Class], filters: &[Filter]) -> Self {
        let mut parts: Vec<Part> = qdiscs
            .iter()
            .map(|qdisc| Part {
                place: place_of_qdisc(qdiscs, qdisc),
                role: Role::Qdisc,
                kind: qdisc.kind.clone(),
                is_default: qdisc.is_default(),
                options: comparable_options(&qdisc.kind, &qdisc.options),
            })
            .collect();
        // A default discipline such as mq shows its queues as classes: they come and go with it.
        let made = classes.iter().filter(|class| class.handle.major() != 0);
        parts.extend(made.map(|class| Part {
            place: below(qdiscs, class.handle),
            role: Role::Class,
            kind: class.kind.clone(),
            is_default: false,
            options: class.options.clone(),
        }));
        parts.extend(filters.iter().map(|filter| Part {
            place: below(qdiscs, filter.parent),
            role: Role::Filter {
                priority: filter.priority,
                protocol: filter.protocol,
            },
            kind: filter.kind.clone(),
            is_default: false,
            options: comparable_filter(&filter.kind, &filter.options),
        }));
        parts.sort();
        // Chains are listed once for clsact and once more for each of its two classes.
        parts.dedup_by(|a, b| a == b && matches!(a.role, Role::Filter { .. }));
        Self { parts }
    }
}

fn filter_parents(qdisc: &Qdisc) -> Vec<Handle> {
    if qdisc.kind == "clsact" {
        return CLSACT_MINORS
            .map(|minor| qdisc.handle.class(minor))
            .to_vec();
    }
    vec![qdisc.handle]
}

fn place_of_qdisc(qdiscs: &[Qdisc], qdisc: &Qdisc) -> Place {
    match qdisc.parent {
        Handle::ROOT => Place::Root(Vec::new()),
        Handle::INGRESS => Place::Ingress(Vec::new()),
        parent => below(qdiscs, parent),
    }
}

/// The place of a class (or of what is attached to it): up from discipline to discipline.
fn below(qdiscs: &[Qdisc], handle: Handle) -> Place {
    let mut way = Vec::new();
    let mut at = handle;
    for _ in 0..DEPTH_MAX {
        if at.minor() != 0 {
            way.insert(0, at.minor());
        }
        // Default roots and their default children all have major 0: the root is meant.
        let owners = || {
            qdiscs
                .iter()
                .filter(|qdisc| qdisc.handle.major() == at.major())
        };
        let is_top = |qdisc: &&Qdisc| matches!(qdisc.parent, Handle::ROOT | Handle::INGRESS);
        let Some(owner) = owners().find(is_top).or_else(|| owners().next()) else {
            break;
        };
        match owner.parent {
            Handle::ROOT => return Place::Root(way),
            Handle::INGRESS => return Place::Ingress(way),
            parent => at = parent,
        }
    }
    Place::Loose(way)
}

/// Options without counters and random numbers.
fn comparable_options(kind: &str, options: &[u8]) -> Vec<u8> {
    match kind {
        // The last of the five words of `struct tc_htb_glob` counts packets.
        "htb" => rewritten(options, |kind, payload| {
            let kept = if kind == HTB_INIT { 16 } else { payload.len() };
            payload.get(..kept).map(<[u8]>::to_vec)
        }),
        "netem" => {
            let (fixed, attributes) = options
                .split_at_checked(NETEM_FIXED)
                .unwrap_or((options, &[]));
            let mut kept = fixed.to_vec();
            kept.extend(rewritten(attributes, |kind, payload| {
                (kind != NETEM_SEED).then(|| payload.to_vec())
            }));
            kept
        }
        _ => options.to_vec(),
    }
}

/// Options of a filter without counters, program ids and descriptors.
///
/// Actions hold times and counters in forms of their own: of each, its presence is compared.
fn comparable_filter(kind: &str, options: &[u8]) -> Vec<u8> {
    // Attribute numbers of what changes by itself, of the class that is led to, of the actions.
    let (changing, class, actions): (&[u16], u16, u16) = match kind {
        "u32" => (&[U32_COUNTERS, U32_MARKS], 1, 7),
        "bpf" => (&[BPF_PROGRAM_DESCRIPTOR, BPF_PROGRAM_ID], 3, 1),
        "matchall" => (&[], 1, 2),
        "flower" => (&[], 1, 3),
        "fw" => (&[], 1, 4),
        _ => return options.to_vec(),
    };
    rewritten(options, |kind, payload| {
        if changing.contains(&kind) {
            return None;
        }
        if kind == class {
            let minor = Handle(word(payload, 0)?).minor();
            return Some(minor.to_be_bytes().to_vec());
        }
        if kind != actions {
            return Some(payload.to_vec());
        }
        let names: Vec<&str> = AttributeIter::new(payload)
            .filter_map(|action| action.nested().get(KIND)?.text())
            .collect();
        Some(names.join(",").into_bytes())
    })
}

/// Attributes as number, length and kept payload, by rising number.
fn rewritten(options: &[u8], keep: impl Fn(u16, &[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut kept: Vec<(u16, Vec<u8>)> = AttributeIter::new(options)
        .filter_map(|attribute| Some((attribute.kind, keep(attribute.kind, attribute.payload)?)))
        .collect();
    kept.sort();
    let mut bytes = Vec::new();
    for (kind, payload) in kept {
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(
            &u32::try_from(payload.len())
                .unwrap_or(u32::MAX)
                .to_be_bytes(),
        );
        bytes.extend_from_slice(&payload);
    }
    bytes
}

/// Interface, handle, parent and info of `struct tcmsg`.
fn header(reply: &Parsed) -> Option<[u32; 4]> {
    let header = reply.header::<HEADER>()?;
    Some([
        word(&header, 1)?,
        word(&header, 2)?,
        word(&header, 3)?,
        word(&header, 4)?,
    ])
}

fn options(attributes: &AttributeIter<'_>) -> Vec<u8> {
    attributes
        .get(OPTIONS)
        .map(|options| options.payload.to_vec())
        .unwrap_or_default()
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let start = index.checked_mul(4)?;
    let bytes = bytes.get(start..)?.first_chunk::<4>()?;
    Some(u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn qdisc(handle: u32, parent: Handle, kind: &str) -> Qdisc {
        Qdisc {
            interface: 1,
            handle: Handle(handle),
            parent,
            kind: kind.to_owned(),
            options: Vec::new(),
            statistics: Statistics::default(),
        }
    }

    #[test]
    fn other_handles_are_the_same_configuration() {
        let tree = |major: u32| {
            let root = qdisc(major << 16, Handle::ROOT, "prio");
            let child = qdisc((major + 1) << 16, Handle(major << 16 | 2), "tbf");
            Configuration::from_parts(&[root, child], &[], &[])
        };
        assert_eq!(tree(1), tree(0x8001));
        assert_eq!(tree(1).parts[1].place, Place::Root(vec![2]));
        assert!(!tree(1).is_default());
    }

    #[test]
    fn the_queues_of_a_default_root_are_found_below_it() {
        let root = qdisc(0, Handle::ROOT, "mq");
        let first = qdisc(0, Handle(1), "fq_codel");
        let second = qdisc(0, Handle(2), "fq_codel");
        let found = Configuration::from_parts(&[second, root, first], &[], &[]);
        let places: Vec<_> = found.parts.iter().map(|part| part.place.clone()).collect();
        let below = |minor| Place::Root(vec![minor]);
        assert_eq!(places, [Place::Root(vec![]), below(1), below(2)]);
        assert!(found.is_default());
    }

    #[test]
    fn a_cycle_of_parents_ends() {
        let one = qdisc(0x10000, Handle(0x20001), "htb");
        let two = qdisc(0x20000, Handle(0x10001), "htb");
        let found = Configuration::from_parts(&[one, two], &[], &[]);
        let is_loose = |part: &Part| matches!(part.place, Place::Loose(_));
        assert!(found.parts.iter().all(is_loose));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let reply = Parsed { kind: 36, flags: 0, sequence: 0, payload: payload.clone() };
            let qdiscs: Vec<_> = Qdisc::parse(&reply).into_iter().collect();
            let classes: Vec<_> = Class::parse(&reply).into_iter().collect();
            let filters: Vec<_> = Filter::parse(&reply).into_iter().collect();
            let _ = Configuration::from_parts(&qdiscs, &classes, &filters);
            for kind in ["htb", "netem", "u32", "bpf", "flower"] {
                let _ = comparable_options(kind, &payload);
                let _ = comparable_filter(kind, &payload);
            }
            let _ = Statistics::parse(&AttributeIter::new(&payload));
        }
    }
}
