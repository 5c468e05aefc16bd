//! Faults that hold or change packets: netem where the kernel has it and the way out is free, else a
//! queue in a worker of ours with the same parameters.

use firedrill_kernel::link::{self, Interface};
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::Action;
use firedrill_kernel::qdisc::{self, Bands, Handle};
use firedrill_undo::{Primitive, ROOT_MAJOR, RootQdisc};
use firedrill_worker::queue::{Program, shape::Shape};
use serde_json::json;

use super::filter::{self, Direction, Filter};
use super::netem;
use super::place::{Place, places};
use super::queue::{self, PacketQueue};
use super::rules;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, Parameter, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Site};

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

const NEEDS: &[&str] = &[
    "CAP_NET_ADMIN in the target's network namespace",
    "nf_tables, and sch_netem or nfnetlink_queue",
];

pub(super) const MECHANISMS: [&str; 2] = [
    "netem, for what leaves by interfaces whose root is the kernel's default: a band beside the \
     normal way, into which rules of a leased nftables table lead",
    "nfqueue: a queue in a worker process with netem's parameters; packets pass when it is gone",
];

const RECOVERY: &str = "no packet is led into the fault any more once the guardian is dead or the lease has run out; \
     the worker dies with its guardian; `firedrill recover` removes an idle root qdisc of ours, as \
     does a reboot";

const WORDS: &str = "auto, netem or nfqueue";

/// The band beside the normal way.
const BAND: u16 = 1;

/// What a queue sends itself carries it, so that the rules that lead into that queue let it pass. The
/// lower half is the number of the queue: other queues of ours take such a packet as any other.
const SPARE_MARK: u32 = 0xfd5a_0000;

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

/// What a fault that holds or changes packets says of itself; the rest is the same for all of them.
pub(super) struct Told {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) observed_effect: &'static str,
    pub(super) example: &'static str,
}

pub(super) fn entry(told: Told) -> Entry {
    let mut parameters = told.parameters;
    parameters.push(mechanism_parameter());
    parameters.extend(filter::parameters("egress"));
    Entry {
        name: told.name,
        layer: "switching",
        summary: told.summary,
        targets: rules::TARGETS.to_vec(),
        parameters,
        needs: NEEDS.to_vec(),
        mechanisms: MECHANISMS.to_vec(),
        recovery_path: RECOVERY,
        undo: UndoClass::Reversible,
        observed_effect: told.observed_effect,
        example: told.example,
    }
}

fn mechanism_parameter() -> Parameter {
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

impl Disturbance for Shaping {
    fn hosts(&self) -> Vec<String> {
        self.filter.hosts().to_vec()
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let mut primitives = Vec::new();
        for place in places(site)? {
            primitives.extend(self.at(place, site)?);
        }
        Ok(primitives)
    }
}

impl Shaping {
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
        let class = Handle::of_major(ROOT_MAJOR).class(BAND + 1);
        let lead = [(None, Action::Classify(class.0))];
        let table = rules::table(&self.filter, &lead, place, site)?;
        let mut primitives: Vec<_> = roots.into_iter().map(Primitive::ReplaceRoot).collect();
        primitives.push(Primitive::FilterPackets(table));
        Ok(primitives)
    }

    fn by_queue(&self, place: Place, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let number = queue::free_number(&place.namespace, site.seed)?;
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
        let queue = PacketQueue::at(number, &place.namespace, Program::Shape(shape), site)?;
        let lead = [(None, queue.lead())];
        let filter = self.filter.sparing_mark(mark);
        let table = rules::table(&filter, &lead, place, site)?;
        Ok(vec![queue.served(), Primitive::FilterPackets(table)])
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
        if self.shape.rate.is_some_and(|rate| rate.burst > 0) {
            return Ok(Err("netem has no burst".into()));
        }
        let kind = match qdisc::bands_usable() {
            Ok(kind) => kind,
            Err(error) => return Ok(Err(error.to_string())),
        };
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
                let netem = netem::from_shape(&self.shape, site.seed, link.header_bytes());
                roots.push(RootQdisc {
                    namespace: place.namespace.clone(),
                    name: link.name,
                    bands: Bands {
                        interface: link.index,
                        handle: Handle::of_major(ROOT_MAJOR),
                        kind,
                        count: BAND,
                    },
                    discipline: qdisc::Discipline::Netem(netem),
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
