use proptest::prelude::*;

use super::*;

fn load(block_size: u64, file_size: u64, workers: u32, rate: Option<u64>) -> IoLoad {
    IoLoad {
        directory: PathBuf::from("/tmp"),
        mode: IoMode::Mixed,
        block_size,
        rate,
        workers,
        file_size,
        reserve_bytes: 0,
    }
}

#[test]
fn sizes_that_do_not_fit_each_other_are_refused() {
    assert!(load(4096, 8192, 1, None).validate().is_ok());
    assert!(load(0, 8192, 1, None).validate().is_err());
    assert!(load(1000, 8000, 1, None).validate().is_err());
    assert!(load(4096, 6000, 1, None).validate().is_err());
    assert!(load(4096, 0, 1, None).validate().is_err());
    assert!(load(32 << 20, 32 << 20, 1, None).validate().is_err());
    assert!(load(4096, 8192, 0, None).validate().is_err());
    assert!(load(4096, 8192, 65, None).validate().is_err());
    assert!(load(4096, 8192, 1, Some(0)).validate().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_rate_is_kept_whatever_a_request_takes(
        rate in 1e4_f64..1e9,
        block in 4096_u64..1 << 20,
        share in prop::collection::vec(0.0_f64..0.9, 200),
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut pace = Pace::new(Some(rate));
        let mut bytes = 0;
        for part in share {
            // The device takes a part of the time that the request may take.
            now += Duration::from_secs_f64(block as f64 / rate * part);
            bytes += block;
            now += pace.after(block, now).unwrap_or_default();
        }
        let got = bytes as f64 / (now - start).as_secs_f64();
        prop_assert!((got / rate - 1.0).abs() < 0.02, "{got} for {rate}");
    }
}

#[test]
fn without_a_rate_nothing_is_waited_for() {
    assert_eq!(Pace::new(None).after(4096, Instant::now()), None);
}
