//! How exactly a source knows how long requests took.

use std::time::Duration;

use firedrill_experiment::call::{Counters, KpiSource};
use hdrhistogram::Histogram;

use super::super::sense;
use crate::kpi::{Asks, bucket_ends};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Width {
    /// As exactly as the window keeps it.
    Cell,
    /// A bucket is at most this part of its end wide.
    Part(f64),
    /// Between two of these, in microseconds.
    Ends(Vec<u64>),
}

impl Width {
    /// Asks for it, where the source alone knows.
    pub(super) async fn of(source: &KpiSource, asks: &Asks) -> Result<Self, String> {
        let KpiSource::Counters(call) = source else {
            return Ok(Self::Cell);
        };
        match &call.from {
            Counters::Proxy { .. } => Ok(Self::Part(sense::WIDTH)),
            Counters::Prometheus {
                latency: Some(_), ..
            } => bucket_ends(asks, call).await.map(Self::Ends),
            Counters::Prometheus { .. } | Counters::Json { .. } => Ok(Self::Cell),
        }
    }

    /// The least and the most seconds, and how many took that.
    pub(super) fn times(&self, latency: &Histogram<u64>) -> Vec<(f64, f64, u64)> {
        let cells = latency.iter_recorded();
        cells
            .map(|cell| {
                let (at, count) = (cell.value_iterated_to(), cell.count_at_value());
                let (least, most) = self.around(at, latency);
                (seconds(least), seconds(most), count)
            })
            .collect()
    }

    fn around(&self, at: u64, latency: &Histogram<u64>) -> (u64, u64) {
        let cell = latency.lowest_equivalent(at);
        match self {
            Self::Cell => (cell, at),
            // A bucket whose end is within a cell was counted in the one before.
            Self::Part(part) => {
                let least = cell as f64 * (1.0 - part);
                (
                    least as u64,
                    latency.highest_equivalent(at.saturating_add(1)),
                )
            }
            Self::Ends(ends) => {
                let above = ends.partition_point(|end| *end < at);
                let least = above.checked_sub(1).and_then(|below| ends.get(below));
                let most = ends.get(above).copied().unwrap_or(at);
                (least.copied().unwrap_or(0), most)
            }
        }
    }
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bucket_holds_lies_between_its_ends() {
        let mut latency = firedrill_judge::tally::latency_histogram().unwrap();
        // As the sensor puts them: in no cell that reaches beyond the bucket's end.
        for end in [100_000, 500_000] {
            let within = match latency.highest_equivalent(end) > end {
                true => latency.lowest_equivalent(end) - 1,
                false => end,
            };
            latency.record_n(within, 3).unwrap();
        }
        let ends = Width::Ends(vec![50_000, 100_000, 250_000, 500_000, 3_600_000_000]);
        assert_eq!(ends.times(&latency), [(0.05, 0.1, 3), (0.25, 0.5, 3)]);
        for (least, most, _) in Width::Part(1.0 / 32.0).times(&latency) {
            assert!(least < most && most < least * 1.04, "{least} {most}");
        }
        for (least, most, _) in Width::Cell.times(&latency) {
            assert!(least < most && most < least * 1.002, "{least} {most}");
        }
    }
}
