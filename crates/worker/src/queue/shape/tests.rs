use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

fn shaper(shape: Shape) -> Shaper {
    Shaper::new(shape, 11).unwrap()
}

fn delayed(delay: u64) -> Shape {
    Shape {
        delay: Duration::from_nanos(delay),
        ..Shape::default()
    }
}

#[test]
fn a_constant_delay_keeps_the_order_and_the_gaps() {
    let mut shaper = shaper(delayed(20 * MS));
    for at in [5, 6, 90, 91] {
        assert_eq!(shaper.decide(at, 100).packet.unwrap().at, at + 20 * MS);
    }
}

#[test]
fn a_rate_sends_one_packet_after_the_other() {
    let mut shaper = shaper(Shape {
        rate: Some(Rate {
            bytes_per_second: 1_000_000,
            packet_overhead: 24,
            burst: 0,
        }),
        ..delayed(10 * MS)
    });
    let at: Vec<u64> = (0..3)
        .map(|_| shaper.decide(0, 976).packet.unwrap().at)
        .collect();
    assert_eq!(at, [11 * MS, 12 * MS, 13 * MS]);
    assert_eq!(shaper.decide(100 * MS, 976).packet.unwrap().at, 111 * MS);
}

#[test]
fn a_burst_passes_at_once_and_then_the_rate_holds() {
    let mut shaper = shaper(Shape {
        rate: Some(Rate {
            bytes_per_second: 1_000_000,
            packet_overhead: 0,
            burst: 2_000,
        }),
        ..Shape::default()
    });
    let at: Vec<u64> = (0..4)
        .map(|_| shaper.decide(50 * MS, 1_000).packet.unwrap().at / MS)
        .collect();
    assert_eq!(at, [50, 50, 51, 52]);
}

#[test]
fn every_fifth_packet_goes_ahead_with_a_gap_of_five() {
    let mut shaper = shaper(Shape {
        reorder: Some(Reorder {
            share: Share::of(1.0),
            gap: 5,
        }),
        ..delayed(MS)
    });
    let ahead: Vec<bool> = (0..10)
        .map(|_| shaper.decide(0, 1).packet.unwrap().ahead)
        .collect();
    let expected = [false, false, false, false, true].repeat(2);
    assert_eq!(ahead, expected);
}

#[test]
fn shares_are_as_asked() {
    let mut shaper = shaper(Shape {
        duplicate: Share::of(0.2),
        corrupt: Share::of(0.1),
        spare_mark: 1,
        reorder: Some(Reorder {
            share: Share::of(0.3),
            gap: 0,
        }),
        ..delayed(MS)
    });
    let (mut copies, mut corrupt, mut ahead) = (0, 0, 0);
    for _ in 0..200_000 {
        let decision = shaper.decide(0, 1);
        let packet = decision.packet.unwrap();
        copies += u32::from(decision.copy.is_some());
        corrupt += u32::from(packet.corrupt.is_some());
        ahead += u32::from(packet.ahead);
    }
    // Five standard deviations are below 0.0052 × 200,000.
    assert!(copies.abs_diff(40_000) < 1040, "{copies}");
    assert!(corrupt.abs_diff(20_000) < 1040, "{corrupt}");
    assert!(ahead.abs_diff(60_000) < 1040, "{ahead}");
}

#[test]
fn what_is_out_of_range_is_refused() {
    let mark = Shape {
        duplicate: Share::of(0.1),
        ..Shape::default()
    };
    assert_eq!(mark.validate(), Err(ShapeError::DuplicateWithoutMark));
    let share = Shape {
        corrupt: Share::of(1.5),
        ..Shape::default()
    };
    assert!(matches!(share.validate(), Err(ShapeError::Share { .. })));
    let nan = Shape {
        delay_correlation: f64::NAN,
        ..Shape::default()
    };
    assert!(matches!(
        nan.validate(),
        Err(ShapeError::Correlation { .. })
    ));
    let ahead_of_none = Shape {
        reorder: Some(Reorder {
            share: Share::of(0.1),
            gap: 0,
        }),
        ..Shape::default()
    };
    assert_eq!(
        ahead_of_none.validate(),
        Err(ShapeError::ReorderWithoutDelay)
    );
}

proptest! {
    #[test]
    fn no_packet_is_let_through_before_it_came(
        delay in 0_u64..1_000_000_000,
        jitter in 0_u64..1_000_000_000,
        rate in 1_u64..10_000_000,
        lengths in proptest::collection::vec(0_u32..70_000, 1..50),
        seed: u64,
    ) {
        let shape = Shape {
            jitter: Duration::from_nanos(jitter),
            distribution: Distribution::ParetoNormal,
            rate: Some(Rate { bytes_per_second: rate, packet_overhead: -20, burst: 5_000 }),
            duplicate: Share::of(0.3),
            spare_mark: 9,
            ..delayed(delay)
        };
        let mut shaper = Shaper::new(shape.clone(), seed).unwrap();
        let mut again = Shaper::new(shape, seed).unwrap();
        for (step, length) in lengths.iter().enumerate() {
            let now = step as u64 * 1000;
            let decision = shaper.decide(now, *length);
            prop_assert_eq!(decision, again.decide(now, *length));
            for passage in decision.packet.iter().chain(&decision.copy) {
                prop_assert!(passage.at >= now);
            }
        }
    }
}
