use super::*;

const S: Duration = Duration::from_secs(1);

fn window(start: f64, length: f64, good: u64) -> Window {
    Window {
        start: Duration::from_secs_f64(start),
        length: Duration::from_secs_f64(length),
        good,
        degraded: 0,
        bad: 0,
        late: 0,
        latency: firedrill_judge::tally::latency_histogram().unwrap(),
    }
}

/// Read every second, and behind by so much.
fn slack(behind: Duration) -> Slack {
    Slack {
        behind: behind + S / 4,
        ahead: S / 4,
    }
}

/// Ten requests a second in both, until this second.
fn even(pairs: &mut Pairs, from: u32, to: u32) {
    for at in from..to {
        pairs.add(0, window(f64::from(at), 1.0, 10));
        pairs.add(1, window(f64::from(at), 1.0, 10));
    }
}

fn counts(taken: Option<[Vec<Window>; 2]>) -> [u64; 2] {
    let taken = taken.unwrap_or_default();
    taken.map(|windows| windows.iter().map(requests).sum())
}

#[test]
fn the_control_is_never_of_a_longer_time_than_the_experiment() {
    // Windows whose ends may be off are left out at both ends of the control.
    for (behind, lost) in [(Duration::ZERO, 20), (S * 2, 60)] {
        let mut pairs = Pairs::new([slack(behind); 2], true);
        let mut sums = [0, 0];
        for at in 0..20 {
            even(&mut pairs, at, at + 1);
            let [control, experiment] = counts(pairs.take());
            sums = [sums[0] + control, sums[1] + experiment];
            let most = u64::saturating_sub(sums[1], lost);
            assert!(sums[0] <= most, "{behind:?} {at} {sums:?}");
        }
        assert_eq!(sums, [200 - lost, 200]);
    }
}

#[test]
fn a_load_s_windows_are_compared_as_they_are() {
    let mut pairs = Pairs::new([Slack::default(); 2], true);
    even(&mut pairs, 0, 3);
    assert_eq!(counts(pairs.take()), [30, 30]);
    assert_eq!(counts(pairs.take()), [0, 0]);
    let before = pairs.turn(S * 3);
    assert_eq!((before.requests, before.seconds), ([30, 30], [3.0, 3.0]));
}

#[test]
fn what_may_be_from_before_the_fault_is_not_counted_with_it() {
    let mut pairs = Pairs::new([slack(S * 2); 2], true);
    even(&mut pairs, 0, 8);
    assert_eq!(counts(pairs.take())[1], 80);
    let before = pairs.turn(Duration::from_millis(8_100));
    // Ends that are each up to 2.25 s old and 0.25 s early.
    assert_eq!(before.seconds[1], 8.0 + 2.5);
    even(&mut pairs, 8, 14);
    // From 8.1 + 2.25 s on: the windows of 11, 12 and 13.
    assert_eq!(counts(pairs.take())[1], 30);
}

/// While a sensor stands still that may be stuck, nothing is said of that time, of either arm.
#[test]
fn an_experiment_that_stands_still_is_waited_for_unless_it_shows_life() {
    let mut sums = [[0, 0]; 2];
    for (shows_life, sum) in [false, true].into_iter().zip(&mut sums) {
        let mut pairs = Pairs::new([Slack::default(); 2], shows_life);
        for at in 0..5 {
            pairs.add(0, window(f64::from(at), 1.0, 10));
            pairs.add(1, window(f64::from(at), 1.0, 0));
        }
        *sum = counts(pairs.take());
        if !shows_life {
            pairs.add(1, window(5.0, 1.0, 60));
            assert_eq!(counts(pairs.take()), [50, 60]);
        }
    }
    assert_eq!(sums, [[0, 0], [50, 0]]);
}

#[test]
fn sources_that_are_read_at_different_intervals_wait_for_each_other() {
    let mut pairs = Pairs::new([slack(Duration::ZERO), Slack::default()], true);
    for at in 0..10 {
        pairs.add(0, window(f64::from(at), 1.0, 10));
    }
    pairs.add(1, window(0.0, 5.0, 50));
    // Of the first five, neither the one that may have begun before nor the one that may end after.
    assert_eq!(counts(pairs.take()), [30, 50]);
    pairs.add(1, window(5.0, 5.0, 50));
    assert_eq!(counts(pairs.take()), [50, 50]);
}
