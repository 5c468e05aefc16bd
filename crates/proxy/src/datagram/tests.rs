use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn lane(kinds: &[Kind], now: Instant) -> Lane {
    changed(kinds, |faults| {
        Lane::new(Chance::new(7), Budget::default(), faults, now)
    })
}

fn changed<T>(kinds: &[Kind], with: impl FnOnce(&[&DatagramFault]) -> T) -> T {
    let faults: Vec<_> = kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| DatagramFault {
            name: format!("fault {at}").into(),
            direction: Direction::Upstream,
            toxicity: 1.0,
            arm: None,
            kind: *kind,
        })
        .collect();
    with(&faults.iter().collect::<Vec<_>>())
}

fn numbered(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn number(bytes: &Bytes) -> u64 {
    u64::from_be_bytes(bytes[..].try_into().expect("eight bytes"))
}

/// What comes out of a lane by this time, and when.
fn out(lane: &mut Lane, until: Instant) -> Vec<(Instant, Bytes)> {
    let mut all = Vec::new();
    while let Some(due) = lane.due().filter(|due| *due <= until) {
        while let Some(bytes) = lane.pull(due) {
            all.push((due, bytes));
        }
    }
    all
}

/// What becomes of so many datagrams that come at once.
fn at_once(kinds: &[Kind], count: u64) -> Vec<u64> {
    let now = Instant::now();
    let mut lane = lane(kinds, now);
    for each in 0..count {
        lane.push(numbered(each), now);
    }
    let mut all: Vec<_> = std::iter::from_fn(|| lane.pull(now)).collect();
    all.extend(
        out(&mut lane, now + MS * 3_600_000)
            .into_iter()
            .map(|(_, bytes)| bytes),
    );
    all.iter().map(number).collect()
}

fn latency(delay: Duration, jitter: Duration) -> Kind {
    Kind::Latency(Latency {
        delay,
        jitter,
        distribution: Default::default(),
        correlation: 0.0,
    })
}

#[test]
fn a_latency_without_jitter_keeps_the_distances() {
    let begin = Instant::now();
    let mut lane = lane(&[latency(MS * 50, Duration::ZERO)], begin);
    for each in 0..10 {
        lane.push(numbered(each), begin + MS * each as u32);
    }
    assert_eq!(lane.pull(begin + MS * 49), None);
    for (each, (at, bytes)) in (0..10).zip(out(&mut lane, begin + MS * 100)) {
        assert_eq!(at, begin + MS * (50 + each));
        assert_eq!(number(&bytes), u64::from(each));
    }
}

#[test]
fn a_jitter_lies_around_the_mean_and_lets_them_overtake() {
    let begin = Instant::now();
    let mut lane = lane(&[latency(MS * 50, MS * 20)], begin);
    for each in 0..1000 {
        lane.push(numbered(each), begin);
    }
    let all = out(&mut lane, begin + MS * 1000);
    assert_eq!(all.len(), 1000);
    let delays = all.iter().map(|(at, _)| (*at - begin).as_secs_f64() * 1e3);
    let mean = delays.clone().sum::<f64>() / 1000.0;
    // Uniform over 40 ms: the mean of a thousand is off by 0.37 ms, five times that is not chance.
    assert!((mean - 50.0).abs() < 1.9, "{mean}");
    assert!(delays.clone().all(|delay| (30.0..=70.0).contains(&delay)));
    assert!(!all.iter().map(|(_, bytes)| number(bytes)).is_sorted());
}

#[test]
fn a_loss_is_a_share_and_the_same_ones_each_time() {
    let lost = |share| at_once(&[Kind::Loss { share }], 10_000);
    let some = lost(0.1);
    assert_eq!(some, lost(0.1));
    // Binomial: 10,000 draws of 0.1 have a deviation of 30; five of it is once in a million.
    assert!((8850..=9150).contains(&some.len()), "{}", some.len());
    // Those that survive more are among those that survive less.
    assert!(lost(0.3).iter().all(|each| some.contains(each)));
    assert!(lost(1.0).is_empty());
    assert_eq!(lost(0.0).len(), 10_000);
}

#[test]
fn a_loss_of_one_fault_is_not_that_of_another() {
    let both = [Kind::Loss { share: 0.5 }, Kind::Loss { share: 0.5 }];
    let left = at_once(&both, 10_000).len();
    // A quarter survives both: a deviation of 43.
    assert!((2283..=2717).contains(&left), "{left}");
}

#[test]
fn a_duplicate_is_the_same_datagram_once_more() {
    let all = at_once(&[Kind::Duplicate { share: 0.2 }], 10_000);
    let more = all.len() - 10_000;
    assert!((1800..=2200).contains(&more), "{more}");
    assert!(all.is_sorted());
    assert_eq!(
        at_once(&[Kind::Duplicate { share: 1.0 }], 3),
        [0, 0, 1, 1, 2, 2]
    );
}

#[test]
fn one_bit_of_a_share_is_another() {
    let now = Instant::now();
    let mut lane = lane(&[Kind::Corrupt { share: 0.5 }], now);
    let mut hit = 0;
    for each in 0..1000 {
        lane.push(numbered(each), now);
        let got = lane.pull(now).expect("a datagram");
        let bits = (number(&got) ^ each).count_ones();
        assert!(bits <= 1);
        hit += bits;
    }
    // A deviation of 16.
    assert!((420..=580).contains(&hit), "{hit}");
    lane.push(Bytes::new(), now);
    assert_eq!(lane.pull(now), Some(Bytes::new()));
}

#[test]
fn one_that_is_late_is_overtaken() {
    let begin = Instant::now();
    let mut lane = lane(
        &[Kind::Reorder {
            share: 0.2,
            late: MS * 5,
        }],
        begin,
    );
    let mut got = Vec::new();
    for each in 0..1000_u32 {
        let now = begin + MS * each;
        lane.push(numbered(u64::from(each)), now);
        while let Some(bytes) = lane.pull(now) {
            got.push(number(&bytes));
        }
    }
    let late = got.windows(2).filter(|two| two[0] > two[1]).count();
    assert!((100..=250).contains(&late), "{late}");
    got.extend(
        out(&mut lane, begin + MS * 2000)
            .iter()
            .map(|(_, bytes)| number(bytes)),
    );
    got.sort_unstable();
    assert!(got.into_iter().eq(0..1000));
}

#[test]
fn a_rate_is_kept_and_what_does_not_fit_is_lost() {
    let begin = Instant::now();
    let rate = Kind::Bandwidth(Bandwidth {
        bytes_per_second: 100_000,
    });
    let mut lane = lane(&[rate], begin);
    // Twice what passes, for ten seconds.
    let mut got = 0;
    for each in 0..2000_u32 {
        let now = begin + MS * 5 * each;
        lane.push(Bytes::from(vec![0; 1000]), now);
        got += std::iter::from_fn(|| lane.pull(now)).count();
    }
    // What waits is at most a tenth of a second of it.
    assert!((989..=1001).contains(&got), "{got}");
    let rest = out(&mut lane, begin + MS * 20_000);
    assert!(rest.len() <= 10, "{}", rest.len());
    let nothing = Kind::Bandwidth(Bandwidth {
        bytes_per_second: 0,
    });
    assert!(at_once(&[nothing], 5).is_empty());
}

#[test]
fn after_the_limit_nothing_passes() {
    assert_eq!(at_once(&[Kind::Limit { bytes: 24 }], 10), [0, 1, 2]);
    assert_eq!(at_once(&[Kind::Limit { bytes: 25 }], 10), [0, 1, 2]);
    assert!(at_once(&[Kind::Blackhole], 10).is_empty());
}

#[test]
fn what_a_fault_held_comes_when_it_goes_or_when_its_new_values_say() {
    let begin = Instant::now();
    let hour = [latency(MS * 3_600_000, Duration::ZERO)];
    let mut one = lane(&hour, begin);
    one.push(numbered(1), begin);
    one.change(&[], begin + MS);
    assert_eq!(one.pull(begin + MS), Some(numbered(1)));
    let mut other = lane(&hour, begin);
    other.push(numbered(1), begin);
    changed(&[latency(MS * 20, Duration::ZERO)], |faults| {
        other.change(faults, begin + MS * 10);
    });
    assert_eq!(other.due(), Some(begin + MS * 20));
}

#[test]
fn a_share_of_the_flows_has_the_fault() {
    let now = Instant::now();
    let fault = DatagramFault {
        name: "fault".into(),
        direction: Direction::Upstream,
        toxicity: 0.3,
        arm: None,
        kind: Kind::Blackhole,
    };
    let chance = Chance::new(3);
    let hit = (0..1000)
        .filter(|flow| !Lane::new(chance.of(*flow), Budget::default(), &[&fault], now).is_clear())
        .count();
    // A deviation of 14.5.
    assert!((228..=372).contains(&hit), "{hit}");
}

#[test]
fn what_all_flows_hold_together_is_bounded_and_given_back() {
    let now = Instant::now();
    let budget = Budget::default();
    let hold = |count: usize| {
        changed(&[latency(MS * 1000, Duration::ZERO)], |faults| {
            let mut lane = Lane::new(Chance::new(1), budget.clone(), faults, now);
            let big = Bytes::from(vec![0; 60_000]);
            (0..count).for_each(|_| lane.push(big.clone(), now));
            lane
        })
    };
    let mut full = hold(10_000);
    let held = out(&mut full, now + MS * 2000).len();
    assert!((4400..4500).contains(&held), "{held}");
    drop(hold(10_000));
    assert_eq!(out(&mut hold(1000), now + MS * 2000).len(), 1000);
}

fn kind() -> impl Strategy<Value = Kind> {
    let share = 0.0..=1.0;
    prop_oneof![
        Just(Kind::Noop),
        (0_u32..100, 0_u32..50).prop_map(|(delay, jitter)| latency(MS * delay, MS * jitter)),
        share.clone().prop_map(|share| Kind::Duplicate { share }),
        (share, 0_u32..50).prop_map(|(share, late)| Kind::Reorder {
            share,
            late: MS * late
        }),
    ]
}

proptest! {
    /// Where nothing is to be lost nothing is, whatever the faults and whenever they change.
    #[test]
    fn no_datagram_is_merged_split_or_lost(
        before in prop::collection::vec(kind(), 0..4),
        after in prop::collection::vec(kind(), 0..4),
        sizes in prop::collection::vec(0_usize..2000, 1..60),
    ) {
        let begin = Instant::now();
        let mut lane = lane(&before, begin);
        let mut sent = Vec::new();
        let mut got = Vec::new();
        for (at, size) in sizes.iter().enumerate() {
            let now = begin + MS * 3 * at as u32;
            if at == sizes.len() / 2 {
                changed(&after, |faults| lane.change(faults, now));
            }
            let bytes = Bytes::from(vec![at as u8; *size]);
            sent.push(bytes.clone());
            lane.push(bytes, now);
            got.extend(std::iter::from_fn(|| lane.pull(now)));
        }
        got.extend(out(&mut lane, begin + MS * 10_000).into_iter().map(|(_, bytes)| bytes));
        prop_assert!(sent.iter().all(|bytes| got.contains(bytes)));
        prop_assert!(got.iter().all(|bytes| sent.contains(bytes)));
        prop_assert!(got.len() >= sent.len());
    }
}
