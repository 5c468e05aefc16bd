//! What passed through a route, counted as it passes.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::arms::Arm;
use crate::histogram::{Histogram, Times};
use crate::message::Answered;

/// A number of each for every worker, so that none waits for another's.
#[derive(Debug)]
pub(crate) struct Counters {
    workers: Box<[OfWorker]>,
}

/// The numbers of one worker. On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct OfWorker {
    pub(crate) opened: Count,
    pub(crate) closed: Count,
    pub(crate) failed: Count,
    /// By source: the client, the upstream.
    pub(crate) received: [Count; 2],
    /// By destination: the upstream, the client.
    pub(crate) sent: [Count; 2],
    /// In no arm, in the control arm, in the experiment.
    requests: [RequestCounts; 3],
}

impl OfWorker {
    /// Of the requests in this arm.
    pub(crate) fn requests(&self, arm: Option<Arm>) -> &RequestCounts {
        &self.requests[place(arm)]
    }
}

const fn place(arm: Option<Arm>) -> usize {
    match arm {
        None => 0,
        Some(Arm::Control) => 1,
        Some(Arm::Experiment) => 2,
    }
}

/// What requests got, where the protocol is known.
#[derive(Debug, Default)]
pub(crate) struct RequestCounts {
    well: Count,
    badly: Count,
    ours: Count,
    times: Histogram,
}

impl RequestCounts {
    pub(crate) fn answered(&self, answered: Answered) {
        let which = if answered.well {
            &self.well
        } else {
            &self.badly
        };
        which.add(1);
        if answered.ours {
            self.ours.add(1);
        }
        self.times.add(answered.took);
    }
}

/// Counted by one thread, read by any.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        // One writer: no locked instruction is needed.
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(more);
        self.0.store(sum, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What passed through a route since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Connections that were accepted.
    pub connections: u64,
    /// Of these, how many are still there.
    pub open: u64,
    /// Connections for which no upstream could be reached.
    pub failed: u64,
    pub upstream: Bytes,
    pub downstream: Bytes,
}

/// Requests that have their answers, on a route whose protocol is known: all there were since it was
/// opened. Judges take what came in between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// Answered well, as far as the protocol has a word for it (HTTP: a status below 500).
    pub well: u64,
    /// Or, of HTTP, not at all: the connection, or the stream, ended before.
    pub badly: u64,
    /// Of both, how many were answered by a fault, or given up on while a fault held them back.
    pub ours: u64,
    /// How long they took, from when the request was there to when its answer ended.
    pub times: Times,
}

/// One direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    pub received: u64,
    pub sent: u64,
}

impl Counters {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers).map(|_| OfWorker::default()).collect(),
        }
    }

    pub(crate) fn of(&self, worker: usize) -> &OfWorker {
        &self.workers[worker]
    }

    pub(crate) fn passed(&self) -> Passed {
        let sum =
            |count: fn(&OfWorker) -> &Count| self.workers.iter().map(|w| count(w).get()).sum();
        // Closed is read first, so that no connection is counted closed that was not opened.
        let closed: u64 = sum(|w| &w.closed);
        let connections: u64 = sum(|w| &w.opened);
        Passed {
            connections,
            open: connections - closed,
            failed: sum(|w| &w.failed),
            upstream: Bytes {
                received: sum(|w| &w.received[0]),
                sent: sum(|w| &w.sent[0]),
            },
            downstream: Bytes {
                received: sum(|w| &w.received[1]),
                sent: sum(|w| &w.sent[1]),
            },
        }
    }

    /// Those in this arm.
    pub(crate) fn requests(&self, arm: Option<Arm>) -> Requests {
        let mut requests = Requests::default();
        for worker in &self.workers {
            let counts = worker.requests(arm);
            requests.well += counts.well.get();
            requests.badly += counts.badly.get();
            requests.ours += counts.ours.get();
            counts.times.add_to(&mut requests.times);
        }
        requests
    }
}
