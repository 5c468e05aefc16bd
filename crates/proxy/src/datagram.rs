//! Datagrams of one flow in one direction, and what faults do to them. Pure: bytes and times come
//! from outside.
//!
//! A datagram stays what it is: it is never merged with another or split. Other than a part of a
//! stream it may be lost, come twice, or overtake another. Every decision is about its number in
//! the flow.

mod queue;
mod stage;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::arms::Arm;
use crate::chance::Chance;
use crate::stream::{Bandwidth, Direction, Latency};

pub use queue::Budget;
use stage::Stage;

/// A fault on the datagrams of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct DatagramFault {
    /// Unique on its route. Decisions follow the name: a fault that is edited keeps them.
    pub name: Arc<str>,
    pub direction: Direction,
    /// The share of the flows that it is on, 0 to 1.
    pub toxicity: f64,
    /// Only flows of this arm meet it.
    pub arm: Option<Arm>,
    pub kind: Kind,
}

/// What a fault does to datagrams. Shares are of datagrams, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Drawn for each datagram: with a jitter they overtake each other.
    Latency(Latency),
    /// What comes faster waits, a tenth of a second of it; the rest is lost. 0 lets nothing pass.
    Bandwidth(Bandwidth),
    Loss {
        share: f64,
    },
    Duplicate {
        share: f64,
    },
    /// One bit is flipped.
    Corrupt {
        share: f64,
    },
    /// A share of them is late by so much, so that others overtake it.
    Reorder {
        share: f64,
        late: Duration,
    },
    /// After so many bytes nothing passes.
    Limit {
        bytes: u64,
    },
    /// Nothing passes.
    Blackhole,
    /// Nothing is done.
    Noop,
}

/// A datagram on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Datagram {
    number: u64,
    /// Tells copies apart; the first is 0.
    copy: u64,
    bytes: Bytes,
}

/// One direction of one flow.
#[derive(Debug)]
pub struct Lane {
    chance: Chance,
    budget: Budget,
    /// Datagrams that came.
    came: u64,
    stages: Vec<Stage>,
    ready: VecDeque<Bytes>,
}

/// Keeps a fault's own draws apart from the one that put it on the flow.
const DECISIONS: u64 = 1;

impl Lane {
    /// A lane with those of the faults that this flow's chance falls to.
    #[must_use]
    pub fn new(chance: Chance, budget: Budget, faults: &[&DatagramFault], now: Instant) -> Self {
        let mut lane = Self {
            chance,
            budget,
            came: 0,
            stages: Vec::new(),
            ready: VecDeque::new(),
        };
        lane.change(faults, now);
        lane
    }

    /// Whether datagrams pass as they are, and nothing waits: then they need not come through here.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.stages.is_empty() && self.ready.is_empty()
    }

    /// Counts one that passed beside a lane that is clear.
    pub fn passed(&mut self) {
        self.came += 1;
    }

    /// Takes what was sent.
    pub fn push(&mut self, bytes: Bytes, now: Instant) {
        let number = self.came;
        self.came += 1;
        let datagram = Datagram {
            number,
            copy: 0,
            bytes,
        };
        self.give(0, datagram, now);
        self.advance(now);
    }

    /// What is sent on next, if anything is due.
    pub fn pull(&mut self, now: Instant) -> Option<Bytes> {
        self.advance(now);
        self.ready.pop_front()
    }

    /// How many are due and have not been pulled.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// When there is something more to pull, if only time is missing.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.stages.iter().filter_map(Stage::due).min()
    }

    /// Makes these the faults of the lane: a changed one goes on with its new values and its old
    /// decisions, and what a removed one held goes on its way.
    pub fn change(&mut self, faults: &[&DatagramFault], now: Instant) {
        let chosen = |fault: &&&DatagramFault| {
            let chance = self.chance.named(&fault.name);
            chance.happens(fault.toxicity)
        };
        let mut wanted: Vec<&DatagramFault> = faults.iter().filter(chosen).copied().collect();
        let old = std::mem::take(&mut self.stages);
        let mut released = Vec::new();
        for mut stage in old {
            match wanted.iter().position(|fault| stage.is(fault)) {
                Some(at) => {
                    stage.change(&wanted.remove(at).kind, now);
                    self.stages.push(stage);
                }
                // It meets the stages that stood behind this one.
                None => released.push((self.stages.len(), stage.released())),
            }
        }
        for (at, datagrams) in released {
            for datagram in datagrams {
                self.give(at, datagram, now);
            }
        }
        for fault in wanted {
            let chance = self.chance.named(&fault.name).of(DECISIONS);
            self.stages
                .push(Stage::new(fault, chance, self.budget.clone(), now));
        }
        self.advance(now);
    }

    fn advance(&mut self, now: Instant) {
        for at in 0..self.stages.len() {
            while let Some(datagram) = self.stages[at].release(now) {
                self.give(at + 1, datagram, now);
            }
        }
    }

    fn give(&mut self, at: usize, datagram: Datagram, now: Instant) {
        match self.stages.get_mut(at) {
            Some(stage) => stage.admit(datagram, now),
            None => self.ready.push_back(datagram.bytes),
        }
    }
}

#[cfg(test)]
mod tests;
