//! Nothing divides by zero, overflows, panics or says NaN, whatever is observed: of the estimators
//! that have no such test beside them.

use std::time::Duration;

use firedrill_judge::order::{PairedIncrease, PairedOrder};
use firedrill_judge::rate::RateLimit;
use firedrill_judge::several::{benjamini_hochberg, bonferroni, mean, weighted_bonferroni};
use firedrill_judge::share::{Outcomes, ShareSequence, share_difference};
use firedrill_judge::users::FirstEvents;
use firedrill_judge::{
    Allocation, AllocationCheck, Alpha, Counts, Degraded, Evidence, HarmWatch, Objective, Shares,
    Tally, Window, judge, latency_histogram, quantile_bounds, ratio_bounds, recovered,
    requests_needed, requests_needed_for, worst_window,
};
use proptest::prelude::*;

/// Counts of every size, with the ends of the range among them.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), 0_u64..1_000, any::<u64>()]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        Just(f64::NAN),
        0.0_f64..1.0,
        prop::num::f64::ANY
    ]
}

/// What is asked for is a number, of whatever size: its words come back in the findings.
fn threshold() -> impl Strategy<Value = f64> {
    number().prop_filter("a number", |number| !number.is_nan())
}

fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0_u64..10_000).prop_map(Duration::from_millis),
        any::<u64>().prop_map(Duration::from_nanos)
    ]
}

prop_compose! {
    fn window()(
        start in time(), length in time(), good in count(), degraded in count(), bad in count(),
        late in count(), us in 0_u64..10_000_000_000, latencies in 0_u64..100_000,
    ) -> Window {
        let mut latency = latency_histogram().expect("the library takes these constants");
        latency.record_n(us, latencies).expect("it grows");
        Window { start, length, good, degraded, bad, late, latency }
    }
}

prop_compose! {
    fn objective()(
        min in prop::option::of(threshold()), max in prop::option::of(threshold()),
        latency in prop::option::of((threshold(), time())),
        worst in prop::option::of((time(), count())), bad_max in prop::option::of(count()),
    ) -> Objective {
        Objective {
            success_ratio_min: min,
            success_ratio_max: max,
            latency,
            worst_window: worst,
            bad_max,
        }
    }
}

fn degraded() -> impl Strategy<Value = Degraded> {
    prop_oneof![Just(Degraded::Good), Just(Degraded::Bad)]
}

fn is_usable(evidence: Evidence) -> bool {
    !evidence.ln().is_nan() && (0.0..=1.0).contains(&evidence.p_value())
}

proptest! {
    #[test]
    fn a_phase_is_judged_whatever_is_in_it(
        windows in prop::collection::vec(window(), 0..8), objective in objective(),
        confidence in number(), degraded in degraded(),
    ) {
        let mut tally = Tally::new();
        windows.iter().for_each(|window| tally.push(window));
        let twice = tally.clone();
        tally.merge(&twice);
        prop_assert!((0.0..=1.0).contains(&tally.late_share()));
        let judged = judge(&objective, &tally, confidence, degraded);
        prop_assert_eq!(judged.findings.len(), judged.outcomes.len());
        if let Some(e) = judged.success_ratio {
            prop_assert!(0.0 <= e.low && e.low <= e.value && e.value <= e.high && e.high <= 1.0, "{:?}", e);
        }
        prop_assert!(judged.findings.iter().all(|said| !said.contains("NaN")), "{:?}", judged.findings);
    }

    #[test]
    fn harm_is_watched_for_whatever_comes(
        windows in prop::collection::vec(window(), 0..8), objective in objective(),
        confidence in number(), degraded in degraded(),
    ) {
        let mut watch = HarmWatch::new(&objective, confidence, degraded);
        let mut proven = false;
        for window in &windows {
            let harm = watch.observe(window).cloned();
            prop_assert!(!proven || harm.is_some(), "a proof is kept");
            proven = harm.is_some();
            prop_assert!(harm.is_none_or(|harm| !harm.finding.contains("NaN")));
        }
    }

    #[test]
    fn a_recovery_is_looked_for_whatever_comes(
        windows in prop::collection::vec(window(), 0..8), objective in objective(),
        end in time(), hold in time(), degraded in degraded(),
    ) {
        let _ = recovered(end, &windows, &objective, hold, degraded);
        let mut counts: Vec<Counts> = windows.iter().map(Window::counts).collect();
        counts.sort_by_key(|counts| counts.start);
        let worst = worst_window(&counts, hold, degraded);
        prop_assert_eq!(worst.is_some(), !counts.is_empty());
    }

    #[test]
    fn bounds_and_traffic_are_numbers(
        good in count(), n in 0_u64..1_000_000_000, ratio in number(), confidence in number(),
        objective in objective(), values in prop::collection::vec((0_u64..1 << 40, 0_u64..1_000), 0..6),
    ) {
        let e = ratio_bounds(good, n, confidence);
        prop_assert!(0.0 <= e.low && e.low <= e.high && e.high <= 1.0, "{:?}", e);
        prop_assert!(requests_needed(ratio, confidence) != Some(0));
        prop_assert!(requests_needed_for(&objective, confidence) != Some(0));
        let mut latency = latency_histogram().expect("the library takes these constants");
        for (us, times) in values {
            latency.record_n(us, times).expect("it grows");
        }
        if let Some(bounds) = quantile_bounds(&latency, ratio, confidence) {
            prop_assert!(bounds.low <= bounds.value);
            prop_assert!(bounds.high.is_none_or(|high| bounds.value <= high), "{:?}", bounds);
        }
    }

    #[test]
    fn an_allocation_is_checked_whatever_is_counted(
        weights in prop::collection::vec(number(), 0..5),
        batches in prop::collection::vec(prop::collection::vec(count(), 0..5), 0..5),
    ) {
        let Ok(shares) = Shares::new(&weights) else { return Ok(()) };
        let Ok(mut check) = AllocationCheck::new(shares, Alpha::FIVE_PERCENT) else { return Ok(()) };
        let mut mismatched = false;
        for batch in &batches {
            let _ = check.assigned(batch);
            prop_assert!(is_usable(check.evidence()));
            let now = matches!(check.allocation(), Allocation::Mismatch { .. });
            prop_assert!(!mismatched || now, "a mismatch is kept");
            mismatched = now;
        }
    }

    #[test]
    fn pairs_are_compared_whatever_they_are(pairs in prop::collection::vec((number(), number()), 0..40)) {
        let (mut order, mut increase) = (PairedOrder::new().expect("usable"), PairedIncrease::new().expect("usable"));
        for (control, experiment) in &pairs {
            order.observe(control, experiment);
            increase.observe(control, experiment);
        }
        let (other, more) = (order.clone(), increase);
        order.merge(&other);
        increase.merge(&more);
        prop_assert!(is_usable(order.evidence()) && is_usable(increase.evidence()));
        prop_assert!((0.0..=1.0).contains(&order.p_value()) && (0.0..=1.0).contains(&increase.p_value()));
        let interval = order.interval(Alpha::FIVE_PERCENT);
        prop_assert!(interval.low() <= interval.high());
    }

    #[test]
    fn shares_and_rates_take_what_there_is(
        counts in prop::collection::vec((count(), count(), number()), 0..8), limit in number(),
    ) {
        let (mut one, two) = (ShareSequence::new(), ShareSequence::new());
        let mut rate = RateLimit::new(limit).ok();
        for (good, bad, exposure) in counts {
            one.observe(Outcomes { good, bad });
            if let Some(rate) = &mut rate {
                let _ = rate.observe(bad, exposure);
                prop_assert!(is_usable(rate.evidence()));
            }
        }
        let mut both = one;
        both.merge(&one);
        let difference = share_difference(&both, &two, Alpha::FIVE_PERCENT);
        prop_assert!(-1.0 <= difference.low() && difference.high() <= 1.0);
    }

    #[test]
    fn several_claims_are_sorted_out_whatever_the_evidence(
        logs in prop::collection::vec((number(), number()), 0..10),
    ) {
        let evidence: Vec<Evidence> = logs.iter().map(|(ln, _)| Evidence::from_ln(*ln)).collect();
        let weighted: Vec<(Evidence, f64)> =
            evidence.iter().copied().zip(logs.iter().map(|(_, weight)| *weight)).collect();
        prop_assert_eq!(bonferroni(&evidence, Alpha::FIVE_PERCENT).len(), logs.len());
        prop_assert_eq!(weighted_bonferroni(&weighted, Alpha::FIVE_PERCENT).len(), logs.len());
        prop_assert_eq!(benjamini_hochberg(&evidence, Alpha::FIVE_PERCENT).len(), logs.len());
        prop_assert!(is_usable(mean(&evidence)));
    }

    #[test]
    fn a_user_is_first_at_most_once(users in prop::collection::vec(any::<u64>(), 0..200), size in 0_u64..1_000) {
        let mut filter = FirstEvents::new(size);
        for user in &users {
            filter.is_first(*user);
            prop_assert!(!filter.is_first(*user));
        }
    }
}
