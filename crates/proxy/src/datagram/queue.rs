//! Datagrams that wait, each until its own time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use super::Datagram;

/// What all flows of a route may hold together, in bytes.
const ALL_FLOWS: usize = 256 << 20;
/// What a datagram costs beside its bytes.
const OVERHEAD: usize = 128;

/// How much the flows of a route hold. What would be more is lost, as in a full buffer of a router.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    held: Arc<AtomicUsize>,
}

impl Budget {
    fn take(&self, bytes: usize) -> bool {
        let before = self.held.fetch_add(bytes, Relaxed);
        let fits = before + bytes <= ALL_FLOWS;
        if !fits {
            self.give(bytes);
        }
        fits
    }

    fn give(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Relaxed);
    }
}

/// A datagram, and when it came to the stage.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) at: Instant,
    pub(super) datagram: Datagram,
}

#[derive(Debug)]
struct Held {
    due: Instant,
    /// Of two that are due at once, the one that came first goes first.
    order: u64,
    arrival: Arrival,
}

/// Datagrams in the order in which they are due.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: BinaryHeap<Held>,
    bytes: usize,
    came: u64,
    budget: Budget,
}

impl Queue {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            waiting: BinaryHeap::new(),
            bytes: 0,
            came: 0,
            budget,
        }
    }

    /// Holds it until then, if there is room for it.
    pub(super) fn until(&mut self, due: Instant, arrival: Arrival) {
        let bytes = arrival.datagram.bytes.len();
        if self.budget.take(bytes + OVERHEAD) {
            self.bytes += bytes;
            let order = self.came;
            self.came += 1;
            self.waiting.push(Held {
                due,
                order,
                arrival,
            });
        }
    }

    pub(super) fn release(&mut self, now: Instant) -> Option<Datagram> {
        if self.due()? > now {
            return None;
        }
        self.pop().map(|arrival| arrival.datagram)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.peek().map(|held| held.due)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Everything, in the order in which it came.
    pub(super) fn take(&mut self) -> Vec<Arrival> {
        let mut all: Vec<Held> = std::mem::take(&mut self.waiting).into_vec();
        all.sort_unstable_by_key(|held| held.order);
        self.budget.give(self.bytes + all.len() * OVERHEAD);
        self.bytes = 0;
        all.into_iter().map(|held| held.arrival).collect()
    }

    fn pop(&mut self) -> Option<Arrival> {
        let arrival = self.waiting.pop()?.arrival;
        let bytes = arrival.datagram.bytes.len();
        self.bytes -= bytes;
        self.budget.give(bytes + OVERHEAD);
        Some(arrival)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.take();
    }
}

/// The heap gives the greatest first, and the earliest is to be it.
impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.order).cmp(&(self.due, self.order))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Held {}
