//! What the queue did, counted as it does it.

mod histogram;

use serde::{Deserialize, Serialize};

use histogram::Histogram;

use super::Program;
use crate::{Measurement, Quantity};

/// Throughput is measured over windows of this length, nanoseconds.
const WINDOW: u64 = 100_000_000;

/// The counters of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counters {
    /// Packets that came into the queue, and their bytes.
    pub matched: u64,
    pub matched_bytes: u64,
    /// Packets let through, copies not counted.
    pub released: u64,
    pub released_bytes: u64,
    /// Dropped because the program says so.
    pub dropped: u64,
    /// Dropped because as much was held as may be.
    pub overflowed: u64,
    /// Times that the kernel let packets pass because it could not show them.
    pub unseen: u64,
    pub duplicated: u64,
    /// Copies that the kernel would not send.
    pub copies_refused: u64,
    /// Held packets that the kernel would not send when their time had come.
    pub refused: u64,
    pub corrupted: u64,
    pub reordered: u64,
    /// Gone while they were held, as when their interface goes down.
    pub vanished: u64,
    /// DNS messages that a rule named, and those that could not be read.
    pub answered: u64,
    pub unreadable: u64,
}

/// Counters, delays and throughput.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counters: Counters,
    delays: Histogram,
    delay_sum: f64,
    delay_squares: f64,
    rates: Vec<f64>,
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: u64,
    bytes: u64,
}

impl Tally {
    /// A packet was let through `delay` nanoseconds after it came.
    pub(crate) fn released(&mut self, delay: u64, bytes: u32) {
        self.counters.released += 1;
        self.counters.released_bytes += u64::from(bytes);
        self.delays.record(delay);
        let milliseconds = delay as f64 / 1e6;
        self.delay_sum += milliseconds;
        self.delay_squares += milliseconds * milliseconds;
        if let Some(window) = &mut self.window {
            window.bytes += u64::from(bytes);
        }
    }

    /// To be called at every turn: only while packets are held back is throughput what the rate
    /// makes of it.
    pub(crate) fn watch(&mut self, now: u64, holding: bool) {
        match self.window {
            _ if !holding => self.window = None,
            None => {
                self.window = Some(Window {
                    began: now,
                    bytes: 0,
                });
            }
            Some(window) if now.saturating_sub(window.began) >= WINDOW => {
                let seconds = now.saturating_sub(window.began) as f64 / 1e9;
                self.rates.push(window.bytes as f64 / seconds);
                self.window = Some(Window {
                    began: now,
                    bytes: 0,
                });
            }
            Some(_) => {}
        }
    }

    /// Quantile of the time from arrival to release, milliseconds.
    pub(crate) fn delay_quantile(&self, quantile: f64) -> Option<f64> {
        let nanoseconds = self.delays.quantile(quantile)?;
        Some(nanoseconds as f64 / 1e6)
    }

    pub(crate) fn measurements(&self, program: &Program) -> Vec<Measurement> {
        let counters = &self.counters;
        let mut all = vec![Measurement::exact(
            Quantity::PacketsMatched,
            None,
            counters.matched as f64,
        )];
        match program {
            Program::Shape(shape) => {
                let asked = shape.delay.as_secs_f64() * 1e3;
                all.extend(self.mean_delay((asked > 0.0).then_some(asked)));
                let expected = shape.loss.as_ref().and_then(super::loss::Loss::expected);
                let mut share = |quantity, asked: Option<f64>, hits| {
                    if asked.is_some() || hits > 0 {
                        let share = Measurement::share(quantity, asked, hits, counters.matched);
                        all.extend(share);
                    }
                };
                let dropped = counters.dropped + counters.overflowed;
                share(Quantity::ShareDropped, expected, dropped);
                let asked = |share: f64| (share > 0.0).then_some(share);
                share(
                    Quantity::ShareDuplicated,
                    asked(shape.duplicate.share),
                    counters.duplicated,
                );
                share(
                    Quantity::ShareCorrupted,
                    asked(shape.corrupt.share),
                    counters.corrupted,
                );
                let reorder = shape.reorder.filter(|reorder| reorder.gap <= 1);
                share(
                    Quantity::ShareReordered,
                    reorder.and_then(|reorder| asked(reorder.share.share)),
                    counters.reordered,
                );
                if let Some(rate) = shape.rate {
                    let asked = Some(rate.bytes_per_second as f64);
                    let rate = Measurement::mean(Quantity::BytesPerSecond, asked, &self.rates);
                    all.extend(rate);
                }
            }
            Program::Dns(_) => all.extend(Measurement::share(
                Quantity::ShareAnswered,
                None,
                counters.answered,
                counters.matched,
            )),
        }
        all
    }

    /// With the normal interval: a queue under load sees thousands of packets.
    fn mean_delay(&self, requested: Option<f64>) -> Option<Measurement> {
        let samples = self.counters.released;
        if samples < 2 {
            return None;
        }
        let n = samples as f64;
        let mean = self.delay_sum / n;
        let variance = (self.delay_squares / n - mean * mean).max(0.0);
        let half = 1.96 * (variance / n).sqrt();
        Some(Measurement {
            quantity: Quantity::AddedDelay,
            requested,
            achieved: mean,
            low: mean - half,
            high: mean + half,
            samples,
        })
    }
}
