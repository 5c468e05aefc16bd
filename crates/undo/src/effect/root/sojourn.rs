use std::time::Duration;

use firedrill_kernel::qdisc::{Discipline, Loss, Netem, Statistics};

use crate::{Measurement, Quantity};

/// What netem achieved, from looks at its counters: the kernel keeps no times of packets.
///
/// The mean delay is Little's law (Little 1961), W = L / λ: packets that are held on average, by
/// packets per second. L is sampled, λ is counted.
#[derive(Debug)]
pub(super) struct Sojourn {
    netem: Netem,
    first: Option<Look>,
    last: Option<Look>,
    /// Packets held, at looks so far apart that no packet is in two of them.
    held: Moments,
    /// Bytes per second between looks that both found packets waiting.
    rates: Moments,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Duration,
    statistics: Statistics,
}

/// Mean and spread of a stream of figures (Welford 1962).
#[derive(Debug, Default)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Below it, the normal interval is too narrow for a mean of so few samples.
const SAMPLES: u64 = 10;

/// Of a whole number that stands for a time: regular traffic may meet every look in the same phase,
/// and then the samples differ by less than they are wrong.
const ROUNDING: f64 = 1.0 / 12.0;

/// Shorter, and a rate is of single packets.
const RATE_TIME: Duration = Duration::from_millis(50);

impl Sojourn {
    /// `None` for what is not netem.
    pub(super) fn of(discipline: &Discipline) -> Option<Self> {
        let Discipline::Netem(netem) = discipline else {
            return None;
        };
        Some(Self {
            netem: netem.clone(),
            first: None,
            last: None,
            held: Moments::default(),
            rates: Moments::default(),
        })
    }

    /// Takes up what the counters say at a time (on BOOTTIME). Looks that are too close to the one
    /// before are left out.
    pub(super) fn look(&mut self, at: Duration, statistics: Statistics) {
        let look = Look { at, statistics };
        let Some(last) = self.last else {
            (self.first, self.last) = (Some(look), Some(look));
            return;
        };
        let apart = at.saturating_sub(last.at);
        if apart <= self.longest_hold().max(RATE_TIME) {
            return;
        }
        self.last = Some(look);
        self.held.add(f64::from(statistics.backlog_packets));
        let waiting = |look: &Look| look.statistics.backlog_packets > 0;
        if waiting(&last) && waiting(&look) {
            let sent = self.bytes(&look) - self.bytes(&last);
            self.rates.add(sent / apart.as_secs_f64());
        }
    }

    pub(super) fn measurements(&self, now: Statistics) -> Vec<Measurement> {
        let mut all: Vec<Measurement> = self.share_dropped(now).into_iter().collect();
        if self.netem.delay_ns > 0 {
            all.extend(self.added_delay());
        }
        if let Some(rate) = &self.netem.rate {
            let asked = rate.bytes_per_second as f64;
            let quantity = Quantity::BytesPerSecond;
            all.extend(self.rates.measurement(quantity, Some(asked), 1.0, 0.0));
        }
        all
    }

    fn added_delay(&self) -> Option<Measurement> {
        let (first, last) = (self.first?, self.last?);
        let time = last.at.saturating_sub(first.at).as_secs_f64();
        let left = last
            .statistics
            .packets
            .checked_sub(first.statistics.packets)? as f64;
        // Half of what entered or left at the edges of the time.
        let still = f64::from(last.statistics.backlog_packets);
        let were = f64::from(first.statistics.backlog_packets);
        let passed = left + (still - were) / 2.0;
        if passed <= 0.0 {
            return None;
        }
        // With a reordering, what goes ahead has no delay, and none was asked for on the mean.
        let plain = self.netem.reorder.is_none() && self.netem.rate.is_none();
        let asked = plain.then_some(self.netem.delay_ns as f64 / 1e6);
        let milliseconds = 1e3 * time / passed;
        self.held
            .measurement(Quantity::AddedDelay, asked, milliseconds, ROUNDING)
    }

    fn share_dropped(&self, now: Statistics) -> Option<Measurement> {
        let dropped = u64::from(now.drops);
        let asked = self.netem.loss.as_ref().and_then(expected_loss);
        if dropped == 0 && self.netem.loss.is_none() {
            return None;
        }
        let seen = dropped + now.packets + u64::from(now.backlog_packets);
        Measurement::share(Quantity::ShareDropped, asked, dropped, seen)
    }

    /// As the rate counts them: netem corrects the length of every packet.
    fn bytes(&self, look: &Look) -> f64 {
        let overhead = self
            .netem
            .rate
            .as_ref()
            .map_or(0, |rate| rate.packet_overhead);
        look.statistics.bytes as f64 + look.statistics.packets as f64 * f64::from(overhead)
    }

    /// Of a packet, but for the tail of a distribution.
    fn longest_hold(&self) -> Duration {
        Duration::from_nanos(self.netem.delay_ns.saturating_add(self.netem.jitter_ns))
    }
}

impl Moments {
    fn add(&mut self, figure: f64) {
        self.count += 1;
        let off = figure - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (figure - self.mean);
    }

    /// The mean in another unit, with its interval; `None` while there are too few samples.
    fn measurement(
        &self,
        quantity: Quantity,
        requested: Option<f64>,
        unit: f64,
        least_variance: f64,
    ) -> Option<Measurement> {
        if self.count < SAMPLES {
            return None;
        }
        let count = self.count as f64;
        let variance = self.squares / (count - 1.0) + least_variance;
        let half = Z * (variance / count).sqrt();
        Some(Measurement {
            quantity,
            requested,
            achieved: self.mean * unit,
            low: (self.mean - half).max(0.0) * unit,
            high: (self.mean + half) * unit,
            samples: self.count,
        })
    }
}

/// In the long run; `None` where there is no closed form: correlated, or of four states.
fn expected_loss(loss: &Loss) -> Option<f64> {
    match loss {
        Loss::Random(random) => (random.correlation.0 == 0).then(|| random.probability.fraction()),
        Loss::GilbertElliott {
            good_to_bad,
            bad_to_good,
            loss_when_bad,
            loss_when_good,
        } => {
            let (p, r) = (good_to_bad.fraction(), bad_to_good.fraction());
            let bad = if p + r > 0.0 { p / (p + r) } else { 0.0 };
            Some(bad * loss_when_bad.fraction() + (1.0 - bad) * loss_when_good.fraction())
        }
        Loss::FourState { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 packets a second that stay for 25 ms: two or three of them at any time.
    fn regular(phase_ms: u64) -> Sojourn {
        let netem = Netem {
            delay_ns: 25_000_000,
            ..Netem::default()
        };
        let mut sojourn = Sojourn::of(&Discipline::Netem(netem)).unwrap();
        for beat in 0..100 {
            let ms = beat * 203 + phase_ms;
            let (arrived, left) = (ms / 10, ms.saturating_sub(25) / 10);
            let statistics = Statistics {
                packets: left,
                backlog_packets: (arrived - left) as u32,
                ..Statistics::default()
            };
            sojourn.look(Duration::from_millis(ms), statistics);
        }
        sojourn
    }

    #[test]
    fn the_mean_delay_of_regular_traffic_is_within_its_interval() {
        for phase_ms in 0..10 {
            let sojourn = regular(phase_ms);
            let delay = sojourn.added_delay().unwrap();
            assert!(delay.low < 25.0 && 25.0 < delay.high, "{delay:?}");
            assert!((delay.achieved - 25.0).abs() < 1.0, "{delay:?}");
            assert_eq!(delay.requested, Some(25.0));
        }
    }

    #[test]
    fn looks_that_could_hold_the_same_packet_are_one() {
        let mut sojourn = regular(0);
        let count = sojourn.held.count;
        let last = sojourn.last.unwrap();
        sojourn.look(last.at + Duration::from_millis(20), last.statistics);
        assert_eq!(sojourn.held.count, count);
    }

    #[test]
    fn without_packets_there_is_no_delay_to_report() {
        let mut sojourn = regular(0);
        sojourn.first = sojourn.last;
        assert_eq!(sojourn.added_delay(), None);
    }
}
