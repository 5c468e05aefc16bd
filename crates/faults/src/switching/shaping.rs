//! Faults that hold or change packets: netem where the kernel has it and the way out is free, else a
//! queue in a worker of ours with the same parameters.

use std::path::{Path, PathBuf};

use firedrill_kernel::link::{self, Interface};
use firedrill_kernel::namespace::{NamespaceName, NetNamespace};
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::Action;
use firedrill_kernel::qdisc::{self, Bands, BandsKind, Handle};
use firedrill_undo::{Primitive, RootQdisc, Work};
use firedrill_worker::Job;
use firedrill_worker::queue::{Program, QueueJob, shape::Shape};
use serde_json::json;

use super::filter::{Direction, Filter};
use super::netem;
use super::place::{Place, places};
use super::rules;
use crate::arguments::Arguments;
use crate::catalogue::{Parameter, ParameterKind};
use crate::fault::{CompileError, Site};

/// A disturbance of packets, and by what means.
#[derive(Clone, Debug, PartialEq)]
pub struct Shaping {
    pub(super) filter: Filter,
    pub(super) mechanism: Mechanism,
    pub(super) shape: Shape,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mechanism {
    #[default]
    Auto,
    Netem,
    Queue,
}

pub(super) const NEEDS: &[&str] = &[
    "CAP_NET_ADMIN in the target's network namespace",
    "nf_tables, and sch_netem or nfnetlink_queue",
];

pub(super) const MECHANISMS: [&str; 2] = [
    "netem, for what leaves by interfaces whose root is the kernel's default: a band beside the \
     normal way, into which rules of a leased nftables table lead",
    "nfqueue: a queue in a worker process with netem's parameters; packets pass when it is gone",
];

pub(super) const RECOVERY: &str = "no packet is led into the fault any more once the guardian is dead or the lease has run out; \
     the worker dies with its guardian; `firedrill recover` removes an idle root qdisc of ours, as \
     does a reboot";

const WORDS: &str = "auto, netem or nfqueue";

/// Of the handles of our roots, which say whose they are in `tc qdisc`.
const MAJOR: u16 = 0xfd00;

/// The band beside the normal way.
const BAND: u16 = 1;

/// What a queue sends itself carries it, so that the rules that lead into that queue let it pass. The
/// lower half is the number of the queue: other queues of ours take such a packet as any other.
const SPARE_MARK: u32 = 0xfd5a_0000;

/// Packets held at once, unless delay and rate need more.
const HELD: u32 = 10_000;

pub(super) fn mechanism(read: &mut Arguments<'_>) -> Mechanism {
    let mechanism = read.read("mechanism", WORDS, |value| {
        Some(match value.as_str()? {
            "auto" => Mechanism::Auto,
            "netem" => Mechanism::Netem,
            "nfqueue" => Mechanism::Queue,
            _ => return None,
        })
    });
    mechanism.unwrap_or_default()
}

pub(super) fn mechanism_parameter() -> Parameter {
    Parameter {
        name: "mechanism",
        kind: ParameterKind::Choice,
        unit: None,
        bounds: Some(WORDS),
        default: Some(json!("auto")),
        required: false,
        summary: "auto takes what the kernel does by itself before what a worker does",
    }
}

impl Mechanism {
    pub(super) fn is_auto(self) -> bool {
        self == Self::Auto
    }
}

impl Shaping {
    pub(super) fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let mut primitives = Vec::new();
        for place in places(site)? {
            primitives.extend(self.at(place, site)?);
        }
        Ok(primitives)
    }

    fn at(&self, place: Place, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        match self.mechanism {
            Mechanism::Queue => self.by_queue(place, site),
            Mechanism::Netem => match self.roots(&place, site)? {
                Ok(roots) => self.by_netem(roots, place, site),
                Err(why) => Err(CompileError::NoNetem { why }),
            },
            Mechanism::Auto => match self.roots(&place, site) {
                Ok(Ok(roots)) => self.by_netem(roots, place, site),
                Ok(Err(_)) | Err(_) => self.by_queue(place, site),
            },
        }
    }

    /// First the way, then the rules that lead into it; taken back in the other order.
    fn by_netem(
        &self,
        roots: Vec<RootQdisc>,
        place: Place,
        site: &Site<'_>,
    ) -> Result<Vec<Primitive>, CompileError> {
        let class = Handle::of_major(MAJOR).class(BAND + 1);
        let lead = [(None, Action::Classify(class.0))];
        let table = rules::table(&self.filter, &lead, place, site)?;
        let mut primitives: Vec<_> = roots.into_iter().map(Primitive::ReplaceRoot).collect();
        primitives.push(Primitive::FilterPackets(table));
        Ok(primitives)
    }

    fn by_queue(&self, place: Place, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let number = free_queue(&place.namespace, site.seed)?;
        let mark = SPARE_MARK | u32::from(number);
        let mut shape = self.shape.clone();
        if shape.duplicate.share > 0.0 && self.filter.direction != Direction::Egress {
            return Err(CompileError::NoMechanism {
                what: "packets that arrive cannot be duplicated: a copy cannot be put back into \
                       the way in",
            });
        }
        if self.filter.direction != Direction::Ingress {
            shape.spare_mark = mark;
        }
        let job = Job::Queue(QueueJob {
            number,
            namespace: path(&place.namespace),
            program: Program::Shape(shape),
            seed: site.seed,
            limit_packets: HELD,
            limit_bytes: 256 * 1024 * 1024,
        });
        job.validate().map_err(CompileError::Job)?;
        let lead = [(
            None,
            Action::Queue {
                number,
                bypass: true,
            },
        )];
        let filter = self.filter.sparing_mark(mark);
        let table = rules::table(&filter, &lead, place, site)?;
        Ok(vec![
            Primitive::RunWorker(Work {
                job,
                place: Vec::new(),
            }),
            Primitive::FilterPackets(table),
        ])
    }

    /// A root of ours for each interface that packets leave by; or why there is none.
    fn roots(
        &self,
        place: &Place,
        site: &Site<'_>,
    ) -> Result<Result<Vec<RootQdisc>, String>, CompileError> {
        if self.filter.direction != Direction::Egress {
            return Ok(Err("netem works on what leaves only".into()));
        }
        if let Err(error) = qdisc::netem_usable() {
            return Ok(Err(error.to_string()));
        }
        let discipline = netem::from_shape(&self.shape, site.seed);
        place.namespace.within(|| {
            let mut socket = Socket::open(Protocol::Route)?;
            let mut roots = Vec::new();
            for link in link::list(&mut socket)? {
                if !self.leaves_by(&link) {
                    continue;
                }
                let present = qdisc::root(&mut socket, link.index)?;
                if let Some(foreign) = present.filter(|present| !present.is_default()) {
                    return Ok(Err(format!(
                        "{} has a root qdisc of its own, {}, which is left alone",
                        link.name, foreign.kind
                    )));
                }
                roots.push(RootQdisc {
                    namespace: place.namespace.clone(),
                    name: link.name,
                    bands: Bands {
                        interface: link.index,
                        handle: Handle::of_major(MAJOR),
                        kind: BandsKind::Prio,
                        count: BAND,
                    },
                    discipline: qdisc::Discipline::Netem(discipline.clone()),
                });
            }
            if roots.is_empty() {
                return Ok(Err("there is no interface that packets leave by".into()));
            }
            Ok(Ok(roots))
        })
    }

    fn leaves_by(&self, link: &Interface) -> bool {
        match &self.filter.interface {
            Some(name) => *name == link.name,
            None if link.is_loopback() => self.filter.may_mean_loopback(),
            None => link.is_up(),
        }
    }
}

/// The file by which a worker finds the namespace; none for the guardian's own, which is ours.
fn path(namespace: &NetNamespace) -> Option<PathBuf> {
    match &namespace.named {
        NamespaceName::Current => None,
        NamespaceName::Named(name) => Some(Path::new("/run/netns").join(name)),
        NamespaceName::Process(pid) => Some(PathBuf::from(format!("/proc/{pid}/ns/net"))),
        NamespaceName::Path(path) => Some(path.clone()),
    }
}

/// A queue number that nobody listens on in that namespace.
fn free_queue(namespace: &NetNamespace, seed: u64) -> Result<u16, CompileError> {
    const FILE: &str = "/proc/thread-self/net/netfilter/nfnetlink_queue";
    let taken: Vec<u16> = namespace.within(|| {
        // Absent before the first queue of all.
        let text = std::fs::read_to_string(FILE).unwrap_or_default();
        let number = |line: &str| line.split_whitespace().next()?.parse().ok();
        Ok::<_, CompileError>(text.lines().filter_map(number).collect())
    })?;
    let start = (seed % 30_000) as u16 + 30_000;
    let number = (0..1_000)
        .map(|step| start.wrapping_add(step))
        .find(|number| !taken.contains(number));
    number.ok_or(CompileError::NoMechanism {
        what: "a thousand packet queues in a row are taken",
    })
}
