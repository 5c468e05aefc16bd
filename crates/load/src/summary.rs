use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Window;

/// What all windows of one run say together.
#[derive(Debug, Clone, Serialize)]
pub struct LoadSummary {
    pub sent: u64,
    pub good: u64,
    pub degraded: u64,
    pub bad: u64,
    pub unfinished: u64,
    pub late: u64,
    /// Bad requests by cause.
    pub errors: BTreeMap<String, u64>,
    /// How long arrivals went on, in seconds.
    pub elapsed_s: f64,
    /// Arrivals started per second, to be held against the rate that was asked for.
    pub achieved_rate: f64,
    /// (good + degraded) / ended; absent when nothing ended.
    pub success_ratio: Option<f64>,
    /// degraded / ended; absent when nothing ended.
    pub degraded_ratio: Option<f64>,
    /// late / sent: over a few percent, the generator was starved and its latencies are suspect.
    pub late_ratio: Option<f64>,
    /// Absent when no request has a latency.
    pub latency: Option<LatencyQuantiles>,
}

/// Milliseconds from the intended start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyQuantiles {
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

/// Folds windows into a summary as they are sent.
#[derive(Debug)]
pub(crate) struct Totals {
    sum: Window,
}

impl Totals {
    pub(crate) fn new() -> Self {
        Totals {
            sum: Window::empty(Duration::ZERO, Duration::ZERO),
        }
    }

    pub(crate) fn add(&mut self, window: &Window) {
        let sum = &mut self.sum;
        sum.length = window.end();
        sum.sent += window.sent;
        sum.good += window.good;
        sum.degraded += window.degraded;
        sum.bad += window.bad;
        sum.unfinished += window.unfinished;
        sum.late += window.late;
        for (cause, count) in &window.errors {
            *sum.errors.entry(cause.clone()).or_default() += count;
        }
        sum.latency += &window.latency;
    }

    pub(crate) fn summary(self) -> LoadSummary {
        let Window {
            sent,
            good,
            degraded,
            bad,
            unfinished,
            late,
            ..
        } = self.sum;
        let ended = good + degraded + bad;
        let elapsed_s = self.sum.length.as_secs_f64();
        LoadSummary {
            sent,
            good,
            degraded,
            bad,
            unfinished,
            late,
            elapsed_s,
            achieved_rate: ratio(sent as f64, elapsed_s).unwrap_or(0.0),
            success_ratio: ratio((good + degraded) as f64, ended as f64),
            degraded_ratio: ratio(degraded as f64, ended as f64),
            late_ratio: ratio(late as f64, sent as f64),
            latency: quantiles(&self.sum.latency),
            errors: self.sum.errors,
        }
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

fn quantiles(latency: &Histogram<u64>) -> Option<LatencyQuantiles> {
    let at = |quantile| latency.value_at_quantile(quantile) as f64 / 1000.0;
    (!latency.is_empty()).then(|| LatencyQuantiles {
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        max_ms: latency.max() as f64 / 1000.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_requests_has_no_ratios_and_no_latency() {
        let summary = Totals::new().summary();
        assert_eq!(summary.success_ratio, None);
        assert_eq!(summary.latency, None);
        assert_eq!(summary.achieved_rate, 0.0);
    }

    #[test]
    fn windows_add_up() {
        let mut totals = Totals::new();
        for start in [0, 1] {
            let length = Duration::from_secs(1);
            let mut window = Window::empty(Duration::from_secs(start), length);
            window.sent = 10;
            window.good = 6;
            window.degraded = 2;
            window.bad = 2;
            window.errors.insert("timeout".to_owned(), 2);
            window.latency.record_n(1000, 99).unwrap();
            window.latency.record(2000).unwrap();
            totals.add(&window);
        }
        let summary = totals.summary();
        assert_eq!(summary.achieved_rate, 10.0);
        assert_eq!(summary.success_ratio, Some(0.8));
        assert_eq!(summary.degraded_ratio, Some(0.2));
        assert_eq!(summary.errors["timeout"], 4);
        let latency = summary.latency.unwrap();
        assert!((latency.p50_ms - 1.0).abs() < 0.01);
        assert!((latency.max_ms - 2.0).abs() < 0.01);
    }
}
