//! Everything comes later.

use std::time::Duration;

use firedrill_worker::queue::distribution::{Distribution, TABLE_SCALE, netem_table};

use super::held::{Arrival, Held};
use super::stage::Running;
use crate::chance::Chance;

/// A delay of what is sent.
///
/// A delay is drawn for each burst: what the sender said without a pause of [`PAUSE`](super::PAUSE),
/// at most [`BURST`](super::BURST) bytes of it. A message that TCP delivered in several parts is
/// delayed as one, and its parts keep their distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    pub delay: Duration,
    /// How far delays lie from their mean, as with netem; never below no delay.
    pub jitter: Duration,
    pub distribution: Distribution,
    /// How much of each draw is the one before, 0 to below 1.
    pub correlation: f64,
}

impl Latency {
    pub(super) fn running(self, chance: Chance) -> impl Running {
        Delayed {
            spread: Spread::of(self),
            chance,
            last: None,
        }
    }
}

/// How delays are spread around their mean, ready to be drawn from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spread {
    latency: Latency,
    table: Vec<i16>,
}

impl Spread {
    pub(crate) fn of(latency: Latency) -> Self {
        Self {
            latency,
            table: netem_table(latency.distribution),
        }
    }

    /// The delay of a draw from 0 to 1.
    pub(crate) fn delay(&self, draw: f64) -> Duration {
        let Latency { delay, jitter, .. } = self.latency;
        if jitter.is_zero() {
            return delay;
        }
        // In jitters from the mean.
        let away = match self.table.get((draw * self.table.len() as f64) as usize) {
            Some(entry) => f64::from(*entry) / TABLE_SCALE,
            None => 2.0 * draw - 1.0,
        };
        Duration::try_from_secs_f64(away.mul_add(jitter.as_secs_f64(), delay.as_secs_f64()))
            .unwrap_or_default()
    }
}

#[derive(Debug)]
struct Delayed {
    spread: Spread,
    chance: Chance,
    last: Option<Burst>,
}

#[derive(Debug, Clone, Copy)]
struct Burst {
    /// The offset at which it began.
    begin: u64,
    /// 0 to 1, with its correlation.
    draw: f64,
    delay: Duration,
}

impl Delayed {
    /// The delay of the burst that began there.
    fn of(&mut self, begin: u64) -> Duration {
        if let Some(last) = self.last.filter(|last| last.begin == begin) {
            return last.delay;
        }
        let fresh = self.chance.of(begin).unit();
        let draw = match self.last {
            Some(last) => last.draw + (fresh - last.draw) * (1.0 - self.spread.latency.correlation),
            None => fresh,
        };
        let delay = self.spread.delay(draw);
        self.last = Some(Burst { begin, draw, delay });
        delay
    }
}

impl Running for Delayed {
    fn admit(&mut self, arrival: Arrival, held: &mut Held) {
        let delay = self.of(arrival.part.burst);
        held.until(Some(arrival.at + delay), arrival);
    }
}
