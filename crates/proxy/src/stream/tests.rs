use std::time::Duration;

use firedrill_worker::queue::distribution::Distribution;
use firedrill_worker::queue::loss::Loss;
use firedrill_worker::queue::random::Share;
use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn fault(name: &str, kind: Kind) -> StreamFault {
    StreamFault {
        name: name.into(),
        direction: Direction::Downstream,
        toxicity: 1.0,
        arm: None,
        kind,
    }
}

fn latency(delay: Duration, jitter: Duration) -> Kind {
    Kind::Latency(Latency {
        delay,
        jitter,
        distribution: Distribution::Uniform,
        correlation: 0.0,
    })
}

fn stalls(share: f64, stall: Duration) -> Kind {
    let loss = Loss::Random(Share::of(share));
    Kind::Loss(Stalls { loss, stall })
}

/// A lane in a time of its own.
struct Played {
    start: Instant,
    now: Instant,
    lane: Lane,
    /// What came out, and when.
    out: Vec<(Duration, Piece)>,
}

impl Played {
    fn new(seed: u64, faults: &[StreamFault]) -> Self {
        let start = Instant::now();
        let faults: Vec<_> = faults.iter().collect();
        Self {
            start,
            now: start,
            lane: Lane::new(Chance::new(seed), &faults, start),
            out: Vec::new(),
        }
    }

    /// Lets time pass; the receiver takes what is due.
    fn until(&mut self, at: Duration) {
        let end = self.start + at;
        loop {
            while let Some(piece) = self.lane.pull(self.now) {
                self.out.push((self.now - self.start, piece));
            }
            match self.lane.due() {
                Some(due) if due <= end => self.now = self.now.max(due),
                _ => break,
            }
        }
        self.now = end.max(self.now);
    }

    fn data(&mut self, bytes: &[u8]) {
        let piece = Piece::Data(Bytes::copy_from_slice(bytes));
        self.lane.push(piece, self.now);
    }

    fn fin(&mut self) {
        self.lane.push(Piece::End(End::Fin), self.now);
    }

    fn change(&mut self, faults: &[StreamFault]) {
        let faults: Vec<_> = faults.iter().collect();
        self.lane.change(&faults, self.now);
    }

    fn bytes(&self) -> Vec<u8> {
        let data = |(_, piece): &(Duration, Piece)| match piece {
            Piece::Data(bytes) => bytes.to_vec(),
            Piece::End(_) => Vec::new(),
        };
        self.out.iter().flat_map(data).collect()
    }

    /// When each byte came out.
    fn times(&self) -> Vec<Duration> {
        let data = |(at, piece): &(Duration, Piece)| match piece {
            Piece::Data(bytes) => vec![*at; bytes.len()],
            Piece::End(_) => Vec::new(),
        };
        self.out.iter().flat_map(data).collect()
    }

    fn end(&self) -> Option<(Duration, End)> {
        self.out.iter().find_map(|(at, piece)| match piece {
            Piece::End(end) => Some((*at, *end)),
            Piece::Data(_) => None,
        })
    }
}

const LONG: Duration = Duration::from_secs(100_000);

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// Faults that delay and cut, but keep every byte.
fn keeping() -> impl Strategy<Value = Kind> {
    let time = (0..200_u64).prop_map(|ms| MS * ms as u32);
    prop_oneof![
        (time.clone(), time.clone()).prop_map(|(delay, jitter)| latency(delay, jitter)),
        (1_000..10_000_000_u64).prop_map(|rate| Kind::Bandwidth(Bandwidth {
            bytes_per_second: rate
        })),
        (0.0..1.0, time.clone()).prop_map(|(share, stall)| stalls(share, stall)),
        (1..2000_u64, 0..3000_u64, time.clone()).prop_map(|(size, variation, delay)| {
            Kind::Slicer(Slicer {
                size,
                variation,
                delay,
            })
        }),
        time.prop_map(|delay| Kind::SlowClose(SlowClose { delay })),
        Just(Kind::Noop),
    ]
}

fn several() -> impl Strategy<Value = Vec<StreamFault>> {
    prop::collection::vec(keeping(), 0..4).prop_map(|kinds| {
        let named = kinds.into_iter().enumerate();
        named
            .map(|(at, kind)| fault(&format!("fault {at}"), kind))
            .collect()
    })
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..5000_usize, 1..12)
}

proptest! {
    #[test]
    fn what_delays_and_cuts_keeps_every_byte_in_its_order(
        seed: u64, faults in several(), parts in cuts(), pause in 0..50_u32,
    ) {
        let mut played = Played::new(seed, &faults);
        let sent = text(parts.iter().sum());
        let mut from = 0;
        for (at, part) in parts.iter().enumerate() {
            played.data(&sent[from..from + part]);
            from += part;
            played.until(MS * pause * at as u32);
        }
        played.fin();
        played.until(LONG);
        prop_assert_eq!(played.bytes(), sent);
        prop_assert_eq!(played.end().map(|(_, end)| end), Some(End::Fin));
    }

    #[test]
    fn no_decision_depends_on_how_tcp_cut_the_stream(
        seed: u64, faults in several(), parts in cuts(),
    ) {
        let sent = text(parts.iter().sum());
        let mut whole = Played::new(seed, &faults);
        whole.data(&sent);
        whole.fin();
        whole.until(LONG);
        let mut cut = Played::new(seed, &faults);
        let mut from = 0;
        for part in parts {
            cut.data(&sent[from..from + part]);
            from += part;
        }
        cut.fin();
        cut.until(LONG);
        // A portion of a limited rate is due when all of it is: cuts move bytes within a portion.
        let portion = MS * 6 * faults.len() as u32;
        let ends = whole.end().zip(cut.end()).expect("two ends");
        prop_assert!(ends.0.0.abs_diff(ends.1.0) <= portion);
        for (one, other) in whole.times().iter().zip(cut.times()) {
            prop_assert!(one.abs_diff(other) <= portion, "{one:?} {other:?}");
        }
    }

    #[test]
    fn faults_that_come_change_and_go_lose_and_reorder_nothing(
        seed: u64, lists in prop::collection::vec(several(), 1..6), part in 1..20_000_usize,
    ) {
        let mut played = Played::new(seed, &[]);
        let sent = text(part * lists.len());
        for (at, faults) in lists.iter().enumerate() {
            played.change(faults);
            played.data(&sent[at * part..(at + 1) * part]);
            played.until(MS * 30 * at as u32);
        }
        played.fin();
        played.change(&[]);
        played.until(LONG);
        prop_assert_eq!(played.bytes(), sent);
        prop_assert_eq!(played.end().map(|(_, end)| end), Some(End::Fin));
    }

    #[test]
    fn an_edited_fault_changes_no_decision_of_another(seed: u64, ms in 0..50_u64) {
        let jitter = fault("jitter", latency(MS * 100, MS * 50));
        let delay = |ms: u64| fault("other", latency(MS * ms as u32, Duration::ZERO));
        let times = |other: Option<StreamFault>, then: Option<StreamFault>| {
            let faults: Vec<_> = std::iter::once(jitter.clone()).chain(other).collect();
            let mut played = Played::new(seed, &faults);
            for at in 0..20 {
                if at == 10 {
                    let faults: Vec<_> = std::iter::once(jitter.clone()).chain(then.clone()).collect();
                    played.change(&faults);
                }
                played.data(b"question");
                played.until(MS * 1000 * (at + 1));
            }
            played.times()
        };
        let alone = times(None, None);
        let beside = times(Some(delay(0)), Some(delay(ms)));
        for (at, (alone, beside)) in alone.iter().zip(beside).enumerate() {
            let added = if at < 80 { Duration::ZERO } else { MS * ms as u32 };
            prop_assert_eq!(*alone + added, beside);
        }
    }

    #[test]
    fn corruption_flips_one_bit_in_a_share_of_segments_however_tcp_cut_them(
        seed: u64, parts in cuts(), share in 0.0..=1.0,
    ) {
        let faults = [fault("corrupt", Kind::Corrupt(Corrupt { share }))];
        let sent = text(parts.iter().sum());
        let mut whole = Played::new(seed, &faults);
        whole.data(&sent);
        whole.until(LONG);
        let mut cut = Played::new(seed, &faults);
        let mut from = 0;
        for part in parts {
            cut.data(&sent[from..from + part]);
            from += part;
        }
        cut.until(LONG);
        prop_assert_eq!(whole.bytes(), cut.bytes());
        for (one, other) in whole.bytes().chunks(1448).zip(sent.chunks(1448)) {
            let bits: u32 = one.iter().zip(other).map(|(a, b)| (a ^ b).count_ones()).sum();
            prop_assert!(bits <= 1);
        }
    }
}

/// Bounds outside which a binomial count is once in a million times, by the normal law.
fn binomial(n: f64, p: f64) -> std::ops::RangeInclusive<f64> {
    let away = 4.9 * (n * p * (1.0 - p)).sqrt();
    n * p - away..=n * p + away
}

#[test]
fn a_fault_is_on_its_share_of_the_connections() {
    let faults = [StreamFault {
        toxicity: 0.3,
        arm: None,
        ..fault("some", latency(MS, Duration::ZERO))
    }];
    let faults: Vec<_> = faults.iter().collect();
    let now = Instant::now();
    let hit = |c: &u64| !Lane::new(Chance::new(5).of(*c), &faults, now).is_clear();
    let hits = (0..20_000_u64).filter(hit).count() as f64;
    assert!(binomial(20_000.0, 0.3).contains(&hits), "{hits}");
}

#[test]
fn a_share_that_is_edited_keeps_the_connections_it_had() {
    let now = Instant::now();
    let on = |c: u64, toxicity: f64| {
        let fault = StreamFault {
            toxicity,
            arm: None,
            ..fault("some", latency(MS, Duration::ZERO))
        };
        !Lane::new(Chance::new(5).of(c), &[&fault], now).is_clear()
    };
    assert!((0..1000).all(|c| !on(c, 0.2) || on(c, 0.5)));
}

#[test]
fn jitter_has_its_mean_and_its_bounds() {
    let faults = [fault("jitter", latency(MS * 100, MS * 50))];
    let mut played = Played::new(1, &faults);
    let n = 5000_u32;
    for at in 1..=n {
        played.data(b"?");
        played.until(MS * 1000 * at);
    }
    let delays: Vec<f64> = (0..n)
        .zip(played.times())
        .map(|(at, out)| (out - MS * 1000 * at).as_secs_f64() * 1e3)
        .collect();
    assert!(delays.iter().all(|d| (50.0..150.0).contains(d)));
    let mean = delays.iter().sum::<f64>() / f64::from(n);
    // 4.9 standard errors of a uniform law of ±50.
    assert!(
        (mean - 100.0).abs() < 4.9 * 28.87 / f64::from(n).sqrt(),
        "{mean}"
    );
}

#[test]
fn a_limited_rate_is_met_to_the_byte() {
    let rate = Kind::Bandwidth(Bandwidth {
        bytes_per_second: 100_000,
    });
    let mut played = Played::new(1, &[fault("rate", rate)]);
    let sent = text(500_000);
    let mut rest = &sent[..];
    while !rest.is_empty() {
        // As a sender that has always something to send.
        while played.lane.has_room() && !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(4000));
            played.data(part);
            rest = after;
        }
        let next = played.now - played.start + MS;
        played.until(next);
    }
    played.fin();
    played.until(LONG);
    let (at, _) = played.end().expect("an end");
    assert!(at.abs_diff(Duration::from_secs(5)) < MS, "{at:?}");
}

#[test]
fn without_a_rate_nothing_passes_until_there_is_one() {
    let rate = |bytes_per_second| {
        let rate = Kind::Bandwidth(Bandwidth { bytes_per_second });
        [fault("rate", rate)]
    };
    let mut played = Played::new(1, &rate(0));
    played.data(b"question");
    played.until(LONG);
    assert_eq!(played.bytes(), b"");
    played.change(&rate(1000));
    played.until(LONG + MS * 8);
    assert_eq!(played.bytes(), b"question");
}

#[test]
fn a_limit_passes_so_many_bytes_and_closes() {
    let mut played = Played::new(1, &[fault("limit", Kind::Limit(Limit { bytes: 10 }))]);
    played.data(b"12345");
    played.data(b"67890more");
    played.data(b"and more");
    played.until(MS);
    assert_eq!(played.bytes(), b"1234567890");
    assert_eq!(played.end(), Some((Duration::ZERO, End::Close)));
}

#[test]
fn a_timeout_drops_everything_and_closes_in_time_or_when_it_goes() {
    let timeout = |after| [fault("timeout", Kind::Timeout(Timeout { after }))];
    let mut timed = Played::new(1, &timeout(Some(MS * 50)));
    timed.data(b"lost");
    timed.until(MS * 100);
    assert_eq!(timed.bytes(), b"");
    assert_eq!(timed.end(), Some((MS * 50, End::Close)));
    let mut endless = Played::new(1, &timeout(None));
    endless.data(b"lost");
    endless.until(LONG);
    assert_eq!(endless.out, []);
    endless.change(&[]);
    endless.until(LONG);
    assert_eq!(endless.end(), Some((LONG, End::Close)));
}

#[test]
fn a_reset_comes_its_time_after_the_first_byte() {
    let reset = Kind::Reset(Reset { after: MS * 20 });
    let mut played = Played::new(1, &[fault("reset", reset)]);
    played.until(MS * 100);
    assert_eq!(played.out, []);
    played.data(b"question");
    played.until(MS * 110);
    played.data(b"question");
    played.until(LONG);
    assert_eq!(played.out, [(MS * 120, Piece::End(End::Reset))]);
}

#[test]
fn a_peer_that_hangs_says_everything_when_it_wakes() {
    let mut played = Played::new(1, &[fault("hang", Kind::Hang(Hang))]);
    played.data(b"question");
    played.fin();
    played.until(LONG);
    assert_eq!(played.out, []);
    played.change(&[]);
    played.until(LONG);
    assert_eq!(played.bytes(), b"question");
    assert_eq!(played.end(), Some((LONG, End::Fin)));
}

#[test]
fn a_lost_segment_holds_up_what_is_behind_it() {
    let mut played = Played::new(1, &[fault("loss", stalls(1.0, MS * 200))]);
    played.data(&text(1448));
    played.data(b"behind");
    played.until(LONG);
    let times = played.times();
    assert_eq!(times[0], MS * 200);
    assert_eq!(times[1448], MS * 400);
}

#[test]
fn slices_have_their_sizes_and_their_pauses() {
    let slicer = Kind::Slicer(Slicer {
        size: 100,
        variation: 30,
        delay: MS * 10,
    });
    let mut played = Played::new(1, &[fault("slicer", slicer)]);
    played.data(&text(10_000));
    played.until(LONG);
    let sizes: Vec<usize> = played
        .out
        .iter()
        .filter_map(|(_, piece)| match piece {
            Piece::Data(bytes) => Some(bytes.len()),
            Piece::End(_) => None,
        })
        .collect();
    let (_, whole) = sizes.split_last().expect("slices");
    assert!(
        whole.iter().all(|size| (70..=130).contains(size)),
        "{whole:?}"
    );
    let mean = whole.iter().sum::<usize>() as f64 / whole.len() as f64;
    assert!((mean - 100.0).abs() < 4.9 * 17.6 / (whole.len() as f64).sqrt());
    for (at, (time, _)) in played.out.iter().enumerate() {
        assert_eq!(*time, MS * 10 * at as u32);
    }
}

#[test]
fn a_stage_without_room_stops_the_sender() {
    let rate = Kind::Bandwidth(Bandwidth {
        bytes_per_second: 10_000,
    });
    let faults = [fault("latency", latency(MS, MS)), fault("rate", rate)];
    let mut played = Played::new(1, &faults);
    let mut taken = 0;
    while played.lane.has_room() {
        played.data(&text(64 << 10));
        taken += 64 << 10;
        let next = played.now - played.start + MS;
        played.until(next);
    }
    assert!(taken < 16 << 20, "{taken}");
}

#[test]
fn a_clear_lane_says_so() {
    let mut played = Played::new(1, &[]);
    assert!(played.lane.is_clear());
    played.data(b"question");
    assert!(!played.lane.is_clear());
    played.until(MS);
    assert!(played.lane.is_clear());
    played.change(&[fault("noop", Kind::Noop)]);
    assert!(!played.lane.is_clear());
}
