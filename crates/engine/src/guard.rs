//! A guardrail on a stream: the first proof of harm stops what runs.
//!
//! The proof is anytime-valid ([`HarmWatch`]), so it may be looked for at every window. What was
//! before the fault and what comes from it on are two watches, each with half of the error that is
//! allowed: a long and healthy baseline is no credit that harm has to use up first.
//!
//! It knows nothing of drills; whoever breaks something on purpose can hold one.

use std::time::Duration;

use firedrill_experiment::document::{Expectation, Expected, KpiGuardrail};
use firedrill_judge::{BadRateWatch, Degraded, HarmWatch, Window};

use crate::asked::objective;

/// Beyond this nobody counts on a guardrail to be quick.
const BAD_TO_STOP_MAX: u64 = 10_000;

/// One guardrail on one stream. Windows come in order.
#[derive(Debug, Clone)]
pub struct KpiGuard {
    name: String,
    before: HarmWatch,
    since: HarmWatch,
    broken: Option<String>,
}

impl KpiGuard {
    /// Degraded answers count as good where the system is expected to degrade.
    #[must_use]
    pub fn new(guardrail: &KpiGuardrail, expect: &Expectation) -> Self {
        let degraded = match expect.during {
            Expected::Degrade => Degraded::Good,
            Expected::Continue | Expected::Stop { .. } => Degraded::Bad,
        };
        let confidence = 1.0 - (1.0 - guardrail.confidence) / 2.0;
        let watch = HarmWatch::new(&objective(&guardrail.objective), confidence, degraded);
        Self {
            name: guardrail.name.clone(),
            before: watch.clone(),
            since: watch,
            broken: None,
        }
    }

    /// How many requests, all of them bad, prove harm from the fault on: the soonest that it can
    /// stop anything. Absent where only slowness would.
    #[must_use]
    pub fn bad_to_stop(guardrail: &KpiGuardrail) -> Option<u64> {
        let asked = &guardrail.objective;
        let counts = [asked.worst_window.map(|(_, bad)| bad), asked.bad_max];
        let counts = counts
            .into_iter()
            .flatten()
            .map(|bad| bad.saturating_add(1));
        let ratio = asked.success_ratio_min.and_then(|min| {
            let tests = 1.0 + f64::from(u8::from(asked.latency.is_some()));
            let alpha = (1.0 - guardrail.confidence) / 2.0 / tests;
            let mut watch = BadRateWatch::new(1.0 - min, alpha);
            (1..=BAD_TO_STOP_MAX).find(|_| watch.observe(1, 0).is_some())
        });
        counts.chain(ratio).min()
    }

    /// Takes the next window in. `disturbed` is when something was first put in place. Why to
    /// stop, once that is proven; the same from then on.
    pub fn observe(&mut self, window: &Window, disturbed: Option<Duration>) -> Option<&str> {
        if self.broken.is_none() {
            let end = window.start.saturating_add(window.length);
            let watch = match disturbed.is_some_and(|began| end > began) {
                true => &mut self.since,
                false => &mut self.before,
            };
            let harm = watch.observe(window).map(|harm| &harm.finding);
            self.broken =
                harm.map(|finding| format!("guardrail `{}` is broken: {finding}", self.name));
        }
        self.broken.as_deref()
    }

    /// Why to stop when the stream cannot be believed.
    #[must_use]
    pub fn blind(&self, why: &str) -> String {
        format!("guardrail `{}` could not be read: {why}", self.name)
    }

    /// Why to stop when the counters began anew.
    #[must_use]
    pub fn reset(&self) -> String {
        self.blind("its counters began anew, so what came just before is not known")
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use firedrill_experiment::document::{GuardedStream, Objective as Wanted};
    use firedrill_judge::latency_histogram;

    use super::*;

    fn guard(objective: Wanted, during: Expected) -> KpiGuard {
        let guardrail = KpiGuardrail {
            name: "orders".into(),
            watched: GuardedStream::Kpi(0),
            objective,
            confidence: 0.95,
        };
        let expect = Expectation {
            during,
            transition: Duration::ZERO,
        };
        KpiGuard::new(&guardrail, &expect)
    }

    fn window(at: u64, good: u64, degraded: u64, bad: u64) -> Window {
        Window {
            start: Duration::from_secs(at),
            length: Duration::from_secs(1),
            good,
            degraded,
            bad,
            late: 0,
            latency: latency_histogram().unwrap(),
        }
    }

    const NINES: Wanted = Wanted {
        success_ratio_min: Some(0.99),
        latency: None,
        worst_window: None,
        bad_max: None,
    };

    #[test]
    fn a_long_healthy_baseline_is_no_credit_for_harm() {
        let mut guard = guard(NINES, Expected::Continue);
        let began = Some(Duration::from_secs(600));
        for at in 0..600 {
            assert_eq!(guard.observe(&window(at, 1_000, 0, 0), began), None);
        }
        // 6,000 bad ones would have been free otherwise: one in a hundred of all.
        let why = guard.observe(&window(600, 960, 0, 40), began).unwrap();
        assert!(
            why.starts_with("guardrail `orders` is broken: 40 of 1,000 requests were bad"),
            "{why}"
        );
    }

    #[test]
    fn a_window_across_the_fault_s_beginning_is_the_fault_s() {
        let budget = Wanted {
            bad_max: Some(5),
            ..Wanted::default()
        };
        let mut guard = guard(budget, Expected::Continue);
        let began = Some(Duration::from_millis(1_500));
        assert_eq!(guard.observe(&window(0, 10, 0, 5), began), None);
        assert_eq!(guard.observe(&window(1, 10, 0, 3), began), None);
        assert!(guard.observe(&window(2, 10, 0, 3), began).is_some());
    }

    #[test]
    fn degraded_answers_are_harm_unless_they_are_expected() {
        for (during, is_harm) in [(Expected::Continue, true), (Expected::Degrade, false)] {
            let mut guard = guard(NINES, during);
            assert_eq!(
                guard.observe(&window(0, 900, 100, 0), None).is_some(),
                is_harm
            );
        }
    }

    #[test]
    fn the_fewest_bad_requests_that_stop_are_known_beforehand() {
        let guardrail = KpiGuardrail {
            name: "orders".into(),
            watched: GuardedStream::Kpi(0),
            objective: NINES,
            confidence: 0.95,
        };
        let fewest = KpiGuard::bad_to_stop(&guardrail).unwrap();
        let stops = |bad| {
            let mut guard = guard(NINES, Expected::Continue);
            guard.observe(&window(0, 0, 0, bad), None).is_some()
        };
        assert!(stops(fewest) && !stops(fewest - 1), "{fewest}");
    }

    #[test]
    fn what_was_broken_once_stays_so() {
        let mut guard = guard(NINES, Expected::Continue);
        let why = guard
            .observe(&window(0, 50, 0, 50), None)
            .map(str::to_owned);
        assert!(why.is_some());
        let later = guard.observe(&window(1, 1_000_000, 0, 0), None);
        assert_eq!(later.map(str::to_owned), why);
    }
}
