//! One objective against one tally.

use std::time::Duration;

use crate::bounds::{Estimate, QuantileEstimate, quantile_bounds, ratio_bounds, usable};
use crate::tally::{Counts, Tally};
use crate::traffic::requests_needed;
use crate::words;
use crate::worst::{WorstWindow, worst_window};

/// What "well" means. Parts that are absent are not judged.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Objective {
    /// Share of requests answered well, 0 to 1.
    pub success_ratio_min: Option<f64>,
    /// For a system that should refuse: at most this share is still answered well.
    pub success_ratio_max: Option<f64>,
    /// This quantile (0 to 1, exclusive) stays at or below this time.
    pub latency: Option<(f64, Duration)>,
    /// In no window of this length are there more bad requests than this.
    pub worst_window: Option<(Duration, u64)>,
    /// The budget: there are no more bad requests than this.
    pub bad_max: Option<u64>,
}

/// What a degraded answer counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Degraded {
    Good,
    Bad,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Every part is proven met.
    Met,
    /// Some part is proven missed.
    Missed,
    /// Neither, and the findings say what was lacking.
    Undecided,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub outcome: Outcome,
    /// One sentence per part, with its numbers.
    pub findings: Vec<String>,
    /// The outcome of each part, in the order of the findings.
    pub outcomes: Vec<Outcome>,
    /// Absent without requests.
    pub success_ratio: Option<Estimate>,
    /// Of the objective's quantile; absent without one, or without observations.
    pub latency: Option<QuantileEstimate>,
    /// Of the objective's window; absent without one, or without increments.
    pub worst_window: Option<WorstWindow>,
}

/// Judges a finished phase.
///
/// A ratio or quantile is met (missed) only when its one-sided confidence bound lies on the
/// right (wrong) side of the threshold, and undecided otherwise. The worst window and the budget
/// are hard counts: no confidence is involved. The whole is missed if a part is, met if every part is.
///
/// Errors: a system that misses its objective is called met with probability at most
/// `1 - confidence`, however many parts there are (all must agree). A system that meets it is
/// called missed with at most that for each of its ratio and quantile parts, added up. Both
/// hold for one look at a fixed end; see [`crate::sequential`] for looking continuously, and
/// [`crate::bounds`] for the assumption of independence.
#[must_use]
pub fn judge(
    objective: &Objective,
    tally: &Tally,
    confidence: f64,
    count_degraded_as: Degraded,
) -> Judgement {
    let confidence = usable(confidence);
    let requests = tally.requests();
    let good = count_degraded_as.good(tally.good(), tally.degraded());
    let ratio = ratio_bounds(good, requests, confidence);
    let success_ratio = (requests > 0).then_some(ratio);
    let mut parts = Vec::new();
    if let Some(min) = objective.success_ratio_min {
        parts.push(at_least(min, success_ratio, good, requests, confidence));
    }
    if let Some(max) = objective.success_ratio_max {
        parts.push(at_most(max, success_ratio, good, requests));
    }
    let mut latency = None;
    if let Some((quantile, max)) = objective.latency {
        latency = tally
            .latency()
            .and_then(|h| quantile_bounds(h, quantile, confidence));
        parts.push(fast(quantile, max, latency, confidence));
    }
    let mut worst = None;
    if let Some((length, bad_max)) = objective.worst_window {
        worst = worst_window(tally.windows(), length, count_degraded_as);
        parts.push(no_burst(bad_max, worst));
    }
    if let Some(bad_max) = objective.bad_max {
        let bad = requests.saturating_sub(good);
        parts.push(within_budget(bad_max, bad, requests));
    }
    let (outcomes, findings): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    Judgement {
        outcome: all(&outcomes),
        findings,
        outcomes,
        success_ratio,
        latency,
        worst_window: worst,
    }
}

impl Judgement {
    /// The findings that made the outcome: of a miss, what missed; of doubt, what is in doubt.
    #[must_use]
    pub fn decisive(&self) -> Vec<String> {
        let parts = self.findings.iter().zip(&self.outcomes);
        parts
            .filter(|(_, outcome)| **outcome == self.outcome)
            .map(|(finding, _)| finding.clone())
            .collect()
    }
}

impl Degraded {
    pub(crate) fn good(self, good: u64, degraded: u64) -> u64 {
        match self {
            Degraded::Good => good.saturating_add(degraded),
            Degraded::Bad => good,
        }
    }

    pub(crate) fn bad(self, counts: &Counts) -> u64 {
        match self {
            Degraded::Good => counts.bad,
            Degraded::Bad => counts.bad.saturating_add(counts.degraded),
        }
    }
}

/// Missed if any is, met if all are; an objective without parts says nothing.
fn all(outcomes: &[Outcome]) -> Outcome {
    if outcomes.contains(&Outcome::Missed) {
        Outcome::Missed
    } else if outcomes.is_empty() || outcomes.contains(&Outcome::Undecided) {
        Outcome::Undecided
    } else {
        Outcome::Met
    }
}

type Part = (Outcome, String);

fn at_least(min: f64, ratio: Option<Estimate>, good: u64, n: u64, confidence: f64) -> Part {
    let wanted = words::percent(min);
    let Some(e) = ratio else {
        return (
            Outcome::Undecided,
            format!("No requests, so nothing shows a success ratio of {wanted}."),
        );
    };
    let seen = seen(e, good, n);
    let sure = words::percent(e.confidence);
    if e.low >= min {
        let low = words::percent_down(e.low);
        return (
            Outcome::Met,
            format!("{seen}, at least {low} at {sure} confidence: meets the minimum of {wanted}."),
        );
    }
    if e.high < min {
        let high = words::percent_up(e.high);
        return (
            Outcome::Missed,
            format!("{seen}, at most {high} at {sure} confidence: misses the minimum of {wanted}."),
        );
    }
    let mut text = format!(
        "{seen}, between {} and {} at {sure} confidence each: too little data to tell it from the minimum of {wanted}",
        words::percent_down(e.low),
        words::percent_up(e.high),
    );
    match requests_needed(min, confidence) {
        Some(needed) if needed > n => {
            text.push_str(&format!(
                "; it takes {} requests at the least",
                words::count(needed)
            ));
        }
        Some(_) => {}
        None => text.push_str("; no amount of traffic proves it"),
    }
    (Outcome::Undecided, text + ".")
}

fn at_most(max: f64, ratio: Option<Estimate>, good: u64, n: u64) -> Part {
    let wanted = words::percent(max);
    let Some(e) = ratio else {
        return (
            Outcome::Undecided,
            format!("No requests, so nothing shows that at most {wanted} succeed."),
        );
    };
    let seen = seen(e, good, n);
    let sure = words::percent(e.confidence);
    let (low, high) = (words::percent_down(e.low), words::percent_up(e.high));
    if e.high <= max {
        (
            Outcome::Met,
            format!("{seen}, at most {high} at {sure} confidence: within the maximum of {wanted}."),
        )
    } else if e.low > max {
        (
            Outcome::Missed,
            format!("{seen}, at least {low} at {sure} confidence: above the maximum of {wanted}."),
        )
    } else {
        (
            Outcome::Undecided,
            format!(
                "{seen}, between {low} and {high} at {sure} confidence each: too little data to tell it from the maximum of {wanted}."
            ),
        )
    }
}

fn seen(e: Estimate, good: u64, n: u64) -> String {
    format!(
        "Success ratio {} ({} of {} requests)",
        words::percent(e.value),
        words::count(good),
        words::count(n)
    )
}

fn fast(quantile: f64, max: Duration, latency: Option<QuantileEstimate>, confidence: f64) -> Part {
    let name = words::quantile(quantile);
    let wanted = words::duration(max);
    let Some(e) = latency else {
        return (
            Outcome::Undecided,
            format!("No latencies, so nothing shows a {name} of at most {wanted}."),
        );
    };
    let max = u64::try_from(max.as_micros()).unwrap_or(u64::MAX);
    let seen = format!("Latency {name} {}", words::micros(e.value));
    let sure = words::percent(e.confidence);
    let low = words::micros(e.low);
    match e.high {
        Some(high) if high <= max => (
            Outcome::Met,
            format!(
                "{seen}, at most {} at {sure} confidence: within the limit of {wanted}.",
                words::micros(high)
            ),
        ),
        _ if e.low > max => (
            Outcome::Missed,
            format!("{seen}, at least {low} at {sure} confidence: above the limit of {wanted}."),
        ),
        Some(high) => (
            Outcome::Undecided,
            format!(
                "{seen}, between {low} and {} at {sure} confidence each: too little data to tell it from the limit of {wanted}.",
                words::micros(high)
            ),
        ),
        None => (
            Outcome::Undecided,
            match requests_needed(quantile, confidence) {
                Some(n) => format!(
                    "{seen}, with too few requests to bound it: {} at the least.",
                    words::count(n)
                ),
                None => format!("{seen}, which no amount of traffic bounds."),
            },
        ),
    }
}

fn no_burst(bad_max: u64, worst: Option<WorstWindow>) -> Part {
    let limit = words::count(bad_max);
    let Some(w) = worst.filter(|w| w.requests > 0) else {
        return (
            Outcome::Undecided,
            format!("No requests, so nothing shows a worst window of at most {limit} bad."),
        );
    };
    let seen = format!(
        "Worst {} window, at {}: {} bad of {} requests",
        words::duration(w.length),
        words::duration(w.start),
        words::count(w.bad),
        words::count(w.requests)
    );
    if w.bad > bad_max {
        (
            Outcome::Missed,
            format!("{seen}, above the limit of {limit}."),
        )
    } else {
        (
            Outcome::Met,
            format!("{seen}, within the limit of {limit}."),
        )
    }
}

fn within_budget(bad_max: u64, bad: u64, requests: u64) -> Part {
    let limit = words::count(bad_max);
    if requests == 0 {
        let text = format!("No requests, so nothing shows a budget of {limit} bad ones kept.");
        return (Outcome::Undecided, text);
    }
    let seen = format!(
        "{} bad of {} requests",
        words::count(bad),
        words::count(requests)
    );
    if bad > bad_max {
        let text = format!("{seen}, beyond the budget of {limit}.");
        return (Outcome::Missed, text);
    }
    (
        Outcome::Met,
        format!("{seen}, within the budget of {limit}."),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Window, latency_histogram, requests_needed_for};

    const OBJECTIVE: Objective = Objective {
        success_ratio_min: Some(0.99),
        success_ratio_max: None,
        latency: Some((0.99, Duration::from_millis(300))),
        worst_window: Some((Duration::from_secs(1), 20)),
        bad_max: None,
    };

    fn window(i: u64, good: u64, degraded: u64, bad: u64, us: u64) -> Window {
        let mut latency = latency_histogram().unwrap();
        latency
            .record_n(us, good.saturating_add(degraded).saturating_add(bad))
            .unwrap();
        Window {
            start: Duration::from_millis(500).saturating_mul(u32::try_from(i).unwrap()),
            length: Duration::from_millis(500),
            good,
            degraded,
            bad,
            late: 0,
            latency,
        }
    }

    fn tally(windows: &[Window]) -> Tally {
        let mut tally = Tally::new();
        windows.iter().for_each(|w| tally.push(w));
        tally
    }

    #[test]
    fn a_clean_phase_with_enough_requests_is_met_and_one_request_short_is_not() {
        let enough = tally(&[window(0, 299, 0, 0, 20_000)]);
        assert_eq!(
            judge(&OBJECTIVE, &enough, 0.95, Degraded::Bad).outcome,
            Outcome::Met
        );
        let short = tally(&[window(0, 298, 0, 0, 20_000)]);
        let judgement = judge(&OBJECTIVE, &short, 0.95, Degraded::Bad);
        assert_eq!(judgement.outcome, Outcome::Undecided);
        assert_eq!(
            judgement.findings,
            [
                "Success ratio 100 % (298 of 298 requests), between 98.99 % and 100 % at 95 % confidence each: too little data to tell it from the minimum of 99 %; it takes 299 requests at the least.",
                "Latency p99 20 ms, with too few requests to bound it: 299 at the least.",
                "Worst 1 s window, at 0 s: 0 bad of 298 requests, within the limit of 20.",
            ]
        );
    }

    #[test]
    fn a_ratio_surely_below_its_minimum_is_missed() {
        let judgement = judge(
            &OBJECTIVE,
            &tally(&[window(0, 4800, 0, 200, 20_000)]),
            0.95,
            Degraded::Bad,
        );
        assert_eq!(judgement.outcome, Outcome::Missed);
        assert_eq!(
            judgement.findings[0],
            "Success ratio 96 % (4,800 of 5,000 requests), at most 96.45 % at 95 % confidence: misses the minimum of 99 %."
        );
    }

    #[test]
    fn a_slow_quantile_is_missed() {
        let slow = tally(&[window(0, 900, 0, 0, 20_000), window(1, 100, 0, 0, 900_000)]);
        let judgement = judge(&OBJECTIVE, &slow, 0.95, Degraded::Bad);
        assert_eq!(judgement.outcome, Outcome::Missed);
        assert!(
            judgement.findings[1]
                .starts_with("Latency p99 900 ms, at least 900 ms at 95 % confidence: above"),
            "{judgement:?}"
        );
    }

    #[test]
    fn a_burst_is_missed_although_the_average_is_fine() {
        let burst = tally(&[window(0, 100_000, 0, 0, 1), window(1, 5, 0, 21, 1)]);
        let judgement = judge(&OBJECTIVE, &burst, 0.95, Degraded::Bad);
        assert_eq!(judgement.outcome, Outcome::Missed);
        assert_eq!(
            judgement.findings[2],
            "Worst 1 s window, at 0 s: 21 bad of 100,026 requests, above the limit of 20."
        );
    }

    #[test]
    fn a_budget_is_a_count_and_needs_no_confidence() {
        let budget = Objective {
            bad_max: Some(3),
            ..Objective::default()
        };
        let judged = |good, bad| {
            let tally = tally(&[window(0, good, 0, bad, 1)]);
            judge(&budget, &tally, 0.95, Degraded::Bad)
        };
        assert_eq!(judged(1, 3).outcome, Outcome::Met);
        let spent = judged(1_000_000, 4);
        assert_eq!(spent.outcome, Outcome::Missed);
        assert_eq!(
            spent.findings,
            ["4 bad of 1,000,004 requests, beyond the budget of 3."]
        );
        assert_eq!(judged(0, 0).outcome, Outcome::Undecided);
    }

    #[test]
    fn degraded_answers_count_as_the_caller_says() {
        let only_ratio = Objective {
            success_ratio_min: Some(0.99),
            ..Objective::default()
        };
        let degraded = tally(&[window(0, 1000, 1000, 0, 1)]);
        assert_eq!(
            judge(&only_ratio, &degraded, 0.95, Degraded::Good).outcome,
            Outcome::Met
        );
        assert_eq!(
            judge(&only_ratio, &degraded, 0.95, Degraded::Bad).outcome,
            Outcome::Missed
        );
    }

    #[test]
    fn a_system_that_should_refuse_is_judged_by_the_maximum() {
        let refuse = Objective {
            success_ratio_max: Some(0.05),
            ..Objective::default()
        };
        assert_eq!(requests_needed_for(&refuse, 0.95), Some(59));
        let outcome = |good, bad| {
            judge(
                &refuse,
                &tally(&[window(0, good, 0, bad, 1)]),
                0.95,
                Degraded::Bad,
            )
            .outcome
        };
        assert_eq!(outcome(0, 59), Outcome::Met);
        assert_eq!(outcome(0, 58), Outcome::Undecided);
        assert_eq!(outcome(50, 50), Outcome::Missed);
    }

    #[test]
    fn without_data_or_without_parts_nothing_is_decided() {
        let judgement = judge(&OBJECTIVE, &Tally::new(), 0.95, Degraded::Bad);
        assert_eq!(judgement.outcome, Outcome::Undecided);
        assert_eq!(judgement.findings.len(), 3);
        let silent = tally(&[window(0, 0, 0, 0, 1)]);
        assert_eq!(
            judge(&OBJECTIVE, &silent, 0.95, Degraded::Bad).outcome,
            Outcome::Undecided
        );
        let none = judge(
            &Objective::default(),
            &tally(&[window(0, 9, 0, 0, 1)]),
            0.95,
            Degraded::Bad,
        );
        assert_eq!(none.outcome, Outcome::Undecided);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_counts_objective_or_confidence_bring_it_down(
            good in any::<u64>(), degraded in any::<u64>(), bad in any::<u64>(), us in any::<u64>(),
            min in prop::num::f64::ANY, q in prop::num::f64::ANY, confidence in prop::num::f64::ANY,
            limit in any::<u64>(),
        ) {
            let objective = Objective {
                success_ratio_min: Some(min),
                success_ratio_max: Some(min),
                latency: Some((q, Duration::from_micros(limit))),
                worst_window: Some((Duration::from_micros(limit), limit)),
                bad_max: Some(limit),
            };
            let tally = tally(&[window(0, good, degraded, bad, us), window(1, bad, good, 0, 0)]);
            let judgement = judge(&objective, &tally, confidence, Degraded::Good);
            let e = judgement.success_ratio;
            prop_assert!(e.is_none_or(|e| !e.value.is_nan() && !e.low.is_nan() && !e.high.is_nan()));
            prop_assert_eq!(judgement.findings.len(), 5);
        }
    }
}
