//! One fault on one flow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::queue::{Arrival, Budget, Queue};
use super::{Datagram, DatagramFault, Kind};
use crate::chance::Chance;
use crate::stream::{Direction, Spread};

#[derive(Debug)]
pub(super) struct Stage {
    name: Arc<str>,
    direction: Direction,
    chance: Chance,
    running: Running,
    held: Queue,
    /// Bytes since a limit began.
    came: u64,
}

/// What a fault remembers of a flow.
#[derive(Debug)]
enum Running {
    Latency {
        spread: Spread,
        correlation: f64,
        last: Option<f64>,
    },
    Bandwidth {
        rate: u64,
        /// When the last byte that came will have been sent.
        free: Instant,
    },
    Limit {
        bytes: u64,
    },
    /// Nothing but the number of the datagram matters.
    Other(Kind),
}

impl Running {
    fn new(kind: &Kind, now: Instant) -> Self {
        match *kind {
            Kind::Latency(latency) => Self::Latency {
                spread: Spread::of(latency),
                correlation: latency.correlation,
                last: None,
            },
            Kind::Bandwidth(bandwidth) => Self::Bandwidth {
                rate: bandwidth.bytes_per_second,
                free: now,
            },
            Kind::Limit { bytes } => Self::Limit { bytes },
            other => Self::Other(other),
        }
    }
}

impl Stage {
    pub(super) fn new(fault: &DatagramFault, chance: Chance, budget: Budget, now: Instant) -> Self {
        Self {
            name: Arc::clone(&fault.name),
            direction: fault.direction,
            chance,
            running: Running::new(&fault.kind, now),
            held: Queue::new(budget),
            came: 0,
        }
    }

    pub(super) fn is(&self, fault: &DatagramFault) -> bool {
        self.name == fault.name && self.direction == fault.direction
    }

    /// New values: what is held is decided anew, as of when it came.
    pub(super) fn change(&mut self, kind: &Kind, now: Instant) {
        self.running = Running::new(kind, now);
        for arrival in self.held.take() {
            self.decide(arrival);
        }
    }

    pub(super) fn admit(&mut self, datagram: Datagram, now: Instant) {
        self.decide(Arrival { at: now, datagram });
    }

    pub(super) fn release(&mut self, now: Instant) -> Option<Datagram> {
        self.held.release(now)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.held.due()
    }

    /// Everything it holds, at its end.
    pub(super) fn released(mut self) -> impl Iterator<Item = Datagram> {
        let held = self.held.take().into_iter();
        held.map(|arrival| arrival.datagram)
    }

    fn decide(&mut self, mut arrival: Arrival) {
        let Arrival { at, ref datagram } = arrival;
        let length = datagram.bytes.len();
        let chance = self.chance.of(datagram.number).of(datagram.copy);
        let due = match &mut self.running {
            Running::Latency {
                spread,
                correlation,
                last,
            } => {
                let fresh = chance.unit();
                let draw = last.map_or(fresh, |last| last + (fresh - last) * (1.0 - *correlation));
                *last = Some(draw);
                at + spread.delay(draw)
            }
            Running::Bandwidth { rate, free } => {
                let room = (*rate / 10) as usize;
                let is_full = self.held.bytes() > 0 && self.held.bytes() + length > room;
                if *rate == 0 || is_full {
                    return;
                }
                let takes = Duration::from_secs_f64(length as f64 / *rate as f64);
                *free = (*free).max(at) + takes;
                *free
            }
            Running::Limit { bytes } => {
                self.came = self.came.saturating_add(length as u64);
                if self.came > *bytes {
                    return;
                }
                at
            }
            Running::Other(kind) => match *kind {
                Kind::Blackhole => return,
                Kind::Loss { share } if chance.happens(share) => return,
                Kind::Duplicate { share } if chance.happens(share) => {
                    let mut copy = arrival.clone();
                    copy.datagram.copy = 2 * datagram.copy + 1;
                    self.held.until(at, copy);
                    at
                }
                Kind::Corrupt { share } if chance.happens(share) => {
                    arrival.datagram.bytes = flipped(&arrival.datagram.bytes, chance.of(1));
                    at
                }
                Kind::Reorder { share, late } if chance.happens(share) => at + late,
                _ => at,
            },
        };
        self.held.until(due, arrival);
    }
}

/// The same bytes but for one bit.
fn flipped(bytes: &Bytes, chance: Chance) -> Bytes {
    let mut bytes = BytesMut::from(&bytes[..]);
    let bits = bytes.len() as u64 * 8;
    if bits > 0 {
        let bit = chance.below(bits);
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
    bytes.freeze()
}
