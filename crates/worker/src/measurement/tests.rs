use proptest::prelude::*;

use super::*;

#[test]
fn a_mean_has_students_interval() {
    // t(0.975, 4) = 2.776445; s = 1.581139, so the half width is 1.963243.
    let measured =
        Measurement::mean(Quantity::AddedDelay, Some(3.0), &[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    assert_eq!(measured.achieved, 3.0);
    assert!((measured.low - 1.036_757).abs() < 1e-5, "{measured:?}");
    assert!((measured.high - 4.963_243).abs() < 1e-5, "{measured:?}");
    assert_eq!(measured.samples, 5);
}

#[test]
fn a_share_has_wilsons_interval() {
    // Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662.
    let measured = Measurement::share(Quantity::ShareDropped, None, 81, 263).unwrap();
    assert!((measured.low - 0.2553).abs() < 5e-5, "{measured:?}");
    assert!((measured.high - 0.3662).abs() < 5e-5, "{measured:?}");
}

#[test]
fn too_little_gives_no_measurement() {
    assert_eq!(Measurement::mean(Quantity::CpuShare, None, &[0.5]), None);
    assert_eq!(Measurement::share(Quantity::ShareDropped, None, 0, 0), None);
    assert_eq!(Measurement::share(Quantity::ShareDropped, None, 2, 1), None);
}

#[test]
fn figures_are_shown_in_plain_units() {
    let of = |quantity, achieved, low, high| {
        Measurement {
            quantity,
            requested: None,
            achieved,
            low,
            high,
            samples: 9,
        }
        .to_string()
    };
    assert_eq!(
        of(Quantity::AddedDelay, 50.12, 49.9, 50.31),
        "added delay 50.12 ms (49.90 ms to 50.31 ms)"
    );
    assert_eq!(
        of(Quantity::ShareDropped, 0.298, 0.281, 0.316),
        "dropped 29.80 % (28.10 % to 31.60 %)"
    );
    let held = Measurement::exact(Quantity::MemoryUsed, Some(512.0), 256.0 * 1024.0 * 1024.0);
    assert_eq!(held.to_string(), "memory used 256.0 MiB (asked 512.0 B)");
    let held = Measurement::exact(Quantity::InodesHeld, None, 500.0);
    assert_eq!(held.to_string(), "inodes held 500");
}

proptest! {
    #[test]
    fn an_interval_holds_its_figure(hits in 0_u64..5_000, more in 1_u64..5_000) {
        let measured =
            Measurement::share(Quantity::ShareDropped, None, hits, hits + more).unwrap();
        prop_assert!(0.0 <= measured.low && measured.low <= measured.achieved);
        prop_assert!(measured.achieved <= measured.high && measured.high <= 1.0);
    }

    #[test]
    fn a_mean_lies_in_its_interval(samples in prop::collection::vec(-1e9_f64..1e9, 2..50)) {
        let measured = Measurement::mean(Quantity::AddedDelay, None, &samples).unwrap();
        prop_assert!(measured.low <= measured.achieved && measured.achieved <= measured.high);
    }
}
