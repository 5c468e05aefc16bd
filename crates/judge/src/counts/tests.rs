use proptest::prelude::*;

use super::*;

fn test(weights: &[f64], k: f64) -> CountTest {
    CountTest::with_concentration(Shares::new(weights).unwrap(), k).unwrap()
}

/// savvi 0.3.1: shares 0.8 and 0.2, k = 100, one batch.
#[test]
fn evidence_and_interval_agree_with_savvi() {
    let mut test = test(&[0.8, 0.2], 100.0);
    test.batch(&[148, 62]).unwrap();
    assert!(
        (test.evidence().ln() - 3.088_294).abs() < 1e-6,
        "{:?}",
        test.evidence()
    );
    assert!(
        (test.p_value() - 0.045_579_631_759).abs() < 1e-12,
        "{}",
        test.p_value()
    );
    let ratio = test.log_rate_ratio(1, 0, Alpha::FIVE_PERCENT).unwrap();
    assert!((ratio.low() - 0.004_646_25).abs() < 1e-7, "{ratio:?}");
    assert!((ratio.high() - 0.994_506_44).abs() < 1e-7, "{ratio:?}");
}

/// savvi 0.3.1 gives 0.75493987 as the upper end for the same counts where it has looked at
/// each event: it narrows. Here an earlier look has excluded what is above.
#[test]
fn looking_more_often_narrows_the_interval() {
    let mut test = test(&[0.8, 0.2], 100.0);
    let mut left = crate::Narrowed::everything();
    for batch in [[100, 25], [48, 37]] {
        test.batch(&batch).unwrap();
        left.narrow(&test.log_rate_ratio(1, 0, Alpha::FIVE_PERCENT).unwrap());
    }
    let alone = test.log_rate_ratio(1, 0, Alpha::FIVE_PERCENT).unwrap();
    let crate::Narrowed::To(both) = left else {
        panic!("{left:?}")
    };
    assert!(
        both.high() < alone.high() && both.low() == alone.low(),
        "{both:?} {alone:?}"
    );
}

/// savvi 0.3.1: shares 0.5, 0.3 and 0.2, k = 100, one batch.
#[test]
fn three_arms_agree_with_savvi() {
    let mut test = test(&[0.5, 0.3, 0.2], 100.0);
    test.batch(&[200, 150, 70]).unwrap();
    assert!((test.evidence().ln() - 1.306_139_550).abs() < 1e-8);
    for (arm, low, high) in [
        (1, -0.133_134_67, 0.573_490_09),
        (2, -0.605_254_53, 0.305_081_38),
    ] {
        let ratio = test.log_rate_ratio(arm, 0, Alpha::FIVE_PERCENT).unwrap();
        assert!((ratio.low() - low).abs() < 1e-6, "{ratio:?}");
        assert!((ratio.high() - high).abs() < 1e-6, "{ratio:?}");
    }
}

#[test]
fn single_events_and_batches_come_to_the_same() {
    let mut events = test(&[3.0, 2.0, 1.0], 10.0);
    let mut batches = events.clone();
    for i in 0..3000_usize {
        events.event(i * i % 3).unwrap();
    }
    batches.batch(events.counts()).unwrap();
    assert!((events.evidence().ln() - batches.evidence().ln()).abs() < 1e-8);
    assert!(
        events.p_value() <= batches.p_value(),
        "it has looked more often"
    );
}

#[test]
fn an_arm_without_events_has_a_ratio_that_is_bounded_on_one_side() {
    let mut test = test(&[1.0, 1.0], 100.0);
    assert_eq!(
        test.log_rate_ratio(1, 0, Alpha::FIVE_PERCENT),
        Ok(Interval::EVERYTHING)
    );
    test.batch(&[500, 0]).unwrap();
    let ratio = test.rate_ratio(1, 0, Alpha::FIVE_PERCENT).unwrap();
    assert_eq!(ratio.low(), 0.0);
    assert!(ratio.high() < 0.25, "{ratio:?}");
    let other_way = test.rate_ratio(0, 1, Alpha::FIVE_PERCENT).unwrap();
    assert_eq!(other_way.high(), f64::INFINITY);
}

#[test]
fn what_does_not_fit_is_refused_and_not_counted() {
    assert_eq!(Shares::new(&[1.0]), Err(Unusable::Arms(1)));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-10] {
        assert!(Shares::new(&[1.0, bad]).is_err(), "{bad}");
    }
    assert_eq!(Shares::new(&[1e308, 1e308]).unwrap(), Shares::two_equal());
    let mut test = CountTest::new(Shares::two_equal());
    assert_eq!(test.event(2), Err(Unusable::Arm { arm: 2, last: 1 }));
    assert_eq!(
        test.batch(&[1]),
        Err(Unusable::Counts { given: 1, arms: 2 })
    );
    assert_eq!(test.total(), 0);
    let other = CountTest::new(Shares::new(&[1.0, 2.0]).unwrap());
    assert_eq!(test.merge(&other), Err(Unusable::Different));
}

proptest! {
    #[test]
    fn nothing_overflows_and_nothing_is_nan(
        batches in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..20),
        weights in (1e-3_f64..1.0, 1e-3_f64..1.0, 1e-3_f64..1.0),
        k in 1e-3_f64..1e9,
        alpha in 1e-12_f64..0.999,
    ) {
        let alpha = Alpha::new(alpha).unwrap();
        let mut test = test(&[weights.0, weights.1, weights.2], k);
        for (a, b, c) in batches {
            test.batch(&[a, b, c]).unwrap();
            test.event(0).unwrap();
            prop_assert!((0.0..=1.0).contains(&test.p_value()));
            for pair in [(0, 1), (1, 2), (2, 0)] {
                let ratio = test.rate_ratio(pair.0, pair.1, alpha).unwrap();
                prop_assert!(0.0 <= ratio.low() && ratio.low() <= ratio.high());
                let share = test.share(pair.0, alpha).unwrap();
                prop_assert!(0.0 <= share.low() && share.high() <= 1.0);
            }
        }
    }

    /// The set holds the shares exactly while they are not rejected.
    #[test]
    fn the_interval_of_two_arms_is_the_test_turned_around(
        a in 0_u64..3000, b in 0_u64..3000, share in 0.05_f64..0.95, k in 0.5_f64..500.0,
    ) {
        let mut test = test(&[share, 1.0 - share], k);
        test.batch(&[a, b]).unwrap();
        let near = (test.evidence().ln() - Alpha::FIVE_PERCENT.bar()).abs() < 1e-6;
        let inside = test.log_rate_ratio(0, 1, Alpha::FIVE_PERCENT).unwrap().contains(0.0);
        prop_assert!(near || inside != test.evidence().is_proof(Alpha::FIVE_PERCENT));
    }

    #[test]
    fn merging_adds_up(a in 0_u64..1000, b in 0_u64..1000, c in 0_u64..1000, d in 0_u64..1000) {
        let (mut left, mut right) = (test(&[1.0, 2.0], 50.0), test(&[1.0, 2.0], 50.0));
        left.batch(&[a, b]).unwrap();
        right.batch(&[c, d]).unwrap();
        left.merge(&right).unwrap();
        prop_assert_eq!(left.counts(), &[a + c, b + d]);
    }
}
