//! Where packets arrive: their fate is decided, and they are held until it comes.

use super::binding::Copied;
use super::copies::Copies;
use super::dns::{DnsFate, DnsProgram};
use super::held::{Held, Outgoing, Release};
use super::packet;
use super::shape::{Decision, Passage, Shaper};
use super::tally::Counters;
use super::wire::Queued;
use super::{Program, QueueError, QueueJob};

#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) held: Held,
    /// To be dropped at once, by id.
    pub(crate) dropped: Vec<u32>,
    /// Sends what the queue sends itself; absent when it sends nothing.
    pub(crate) copies: Option<Copies>,
    /// Whether senders are not charged for what is held.
    frees: bool,
    program: Running,
    limit_packets: usize,
    limit_bytes: u64,
}

#[derive(Debug)]
enum Running {
    Shape(Box<Shaper>),
    Dns(DnsProgram),
}

impl Station {
    pub(crate) fn new(job: &QueueJob) -> Result<Self, QueueError> {
        let program = match &job.program {
            Program::Shape(shape) => {
                Running::Shape(Box::new(Shaper::new(shape.clone(), job.seed)?))
            }
            Program::Dns(program) => Running::Dns(program.clone()),
        };
        let frees = matches!(&job.program, Program::Shape(shape) if shape.frees_senders());
        Ok(Self {
            held: Held::default(),
            dropped: Vec::new(),
            copies: None,
            frees,
            program,
            limit_packets: usize::try_from(job.limit_packets).unwrap_or(usize::MAX),
            limit_bytes: job.limit_bytes,
        })
    }

    /// One byte is the cheapest way to learn the length: the kernel tells it of what it cuts off.
    pub(crate) fn copied(&self) -> Copied {
        match &self.program {
            Running::Shape(shaper) if !self.frees && !shaper.shape().needs_payload() => {
                Copied::Part(1)
            }
            Running::Shape(_) | Running::Dns(_) => Copied::Whole,
        }
    }

    pub(crate) fn takes_large_segments(&self) -> bool {
        match &self.program {
            // A raw socket sends none that are larger than the interface takes.
            Running::Shape(shaper) => !self.frees && !shaper.shape().judges_packets(),
            Running::Dns(_) => false,
        }
    }

    pub(crate) fn keeps_order(&self) -> bool {
        match &self.program {
            Running::Shape(shaper) => {
                !self.frees && !shaper.shape().judges_packets() && shaper.shape().jitter.is_zero()
            }
            Running::Dns(_) => false,
        }
    }

    /// The mark of what the queue sends itself, when it does.
    pub(crate) fn spare_mark(&self) -> Option<u32> {
        match &self.program {
            Running::Shape(shaper) => {
                let shape = shaper.shape();
                (self.frees || shape.duplicate.share > 0.0).then_some(shape.spare_mark)
            }
            Running::Dns(_) => None,
        }
    }

    /// Takes a packet that came at `now`.
    pub(crate) fn arrive(&mut self, now: u64, queued: Queued<'_>, counters: &mut Counters) {
        counters.matched += 1;
        counters.matched_bytes += u64::from(queued.length);
        let full = self.held.len() >= self.limit_packets || self.held.bytes() >= self.limit_bytes;
        if full {
            counters.overflowed += 1;
            self.dropped.push(queued.id);
            return;
        }
        let decision = match &mut self.program {
            Running::Shape(shaper) => shaper.decide(now, queued.length),
            Running::Dns(program) => {
                let fate = program.treat(queued.payload);
                self.settle(now, queued, fate, counters);
                return;
            }
        };
        self.pass(now, queued, decision, counters);
    }

    fn pass(&mut self, now: u64, queued: Queued<'_>, decision: Decision, counters: &mut Counters) {
        let Some(passage) = decision.packet else {
            counters.dropped += 1;
            self.dropped.push(queued.id);
            return;
        };
        counters.reordered += u64::from(passage.ahead);
        counters.corrupted += u64::from(passage.corrupt.is_some());
        let release = if self.is_freed(&queued) {
            self.dropped.push(queued.id);
            Release::Send(outgoing(&queued, passage))
        } else if passage.corrupt.is_some() {
            Release::Replace(changed(&queued, passage))
        } else {
            Release::Accept
        };
        self.hold(passage.at, now, queued, release);
        if let Some(copy) = decision.copy {
            self.hold(copy.at, now, queued, Release::Copy(outgoing(&queued, copy)));
        }
    }

    /// Whether the packet can be sent anew as it would have gone by itself. Not one with a mark: its
    /// route may hang on it. Nor one that its interface would have to fragment.
    fn is_freed(&mut self, queued: &Queued<'_>) -> bool {
        let Some((interface, copies)) = queued.leaves_by.zip(self.copies.as_mut()) else {
            return false;
        };
        self.frees
            && queued.mark == 0
            && packet::is_of_flow(queued.payload)
            && queued.length <= copies.largest(interface)
    }

    fn settle(&mut self, now: u64, queued: Queued<'_>, fate: DnsFate, counters: &mut Counters) {
        match fate {
            DnsFate::Pass => {}
            DnsFate::Unreadable => counters.unreadable += 1,
            DnsFate::Delay(_) | DnsFate::Replace(_) => counters.answered += 1,
            DnsFate::Drop => {
                counters.dropped += 1;
                counters.answered += 1;
                self.dropped.push(queued.id);
                return;
            }
        }
        let (at, release) = match fate {
            DnsFate::Pass | DnsFate::Unreadable | DnsFate::Drop => (now, Release::Accept),
            DnsFate::Delay(delay) => {
                let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
                (now.saturating_add(delay), Release::Accept)
            }
            DnsFate::Replace(bytes) => (now, Release::Replace(bytes.into())),
        };
        self.hold(at, now, queued, release);
    }

    fn hold(&mut self, at: u64, now: u64, queued: Queued<'_>, release: Release) {
        self.held.push(at, now, queued.id, queued.length, release);
    }
}

fn outgoing(queued: &Queued<'_>, passage: Passage) -> Outgoing {
    Outgoing {
        bytes: changed(queued, passage),
        interface: queued.leaves_by.unwrap_or(0),
    }
}

fn changed(queued: &Queued<'_>, passage: Passage) -> Box<[u8]> {
    let mut bytes: Box<[u8]> = queued.payload.into();
    if let Some(choice) = passage.corrupt {
        packet::flip_bit(&mut bytes, choice);
    }
    bytes
}
