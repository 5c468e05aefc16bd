//! By which laws a queue delays and chooses packets, as a prober sees them arrive.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bed::Bed;
use crate::drill::Drill;
use crate::probe::{Flow, MET, Plan, Probe};

const LATENCY: &str = "switching.latency";
const LOSS: &str = "switching.loss";

/// For what counts packets.
const COUNTED: Plan = Plan {
    packets: 4000,
    size: 64,
    gap: Duration::from_millis(2),
    burst: 20,
    paired: false,
};

/// For what takes the time of each.
const TIMED: Plan = Plan {
    packets: 800,
    gap: Duration::from_millis(1),
    burst: 1,
    ..COUNTED
};

/// Sends through a queue, after which all must be as before.
fn through(bed: &Bed, fault: &str, arguments: &Value, plan: Plan) -> Flow {
    let before = bed.snapshot();
    let mut arguments = arguments.clone();
    arguments["mechanism"] = "nfqueue".into();
    arguments["remote-port"] = MET.into();
    let probe = Probe::new(bed);
    let placed = Drill::begin().apply(fault, &arguments, &[bed.near.target()]);
    let flow = probe.send(plan, || placed.renew());
    placed.revert();
    assert_eq!(bed.snapshot(), before);
    flow
}

/// How many of them it holds for.
fn share(of: &[bool]) -> f64 {
    of.iter().filter(|one| **one).count() as f64 / of.len() as f64
}

/// Of those right after one for which it holds.
fn again(of: &[bool]) -> f64 {
    let after: Vec<bool> = of
        .windows(2)
        .filter(|pair| pair[0])
        .map(|pair| pair[1])
        .collect();
    share(&after)
}

/// Shares below so many jitters from the mean. They are computed from the laws, not by the tables
/// of netem: Φ for normal; 1 − (3x/4 + 3/2)⁻³ for Pareto; and for the mixture of both, whose
/// quantiles are a quarter of one and three quarters of the other, at such quantiles.
const LAWS: [(&str, &[(f64, f64)]); 4] = [
    (
        "uniform",
        &[(-1.05, 0.0), (-0.8, 0.1), (0.0, 0.5), (0.8, 0.9)],
    ),
    (
        "normal",
        &[(-1.0, 0.1587), (0.0, 0.5), (1.0, 0.8413), (1.645, 0.95)],
    ),
    (
        "pareto",
        &[(-0.72, 0.0), (-0.333, 0.488), (0.0, 0.7037), (2.0, 0.963)],
    ),
    (
        "paretonormal",
        &[
            (-0.6907, 0.1587),
            (-0.2401, 0.5),
            (0.5972, 0.8413),
            (1.6257, 0.95),
        ],
    ),
];

#[test]
fn delays_lie_around_their_mean_as_each_distribution_has_it() {
    let Some(bed) = Bed::lay() else { return };
    for (distribution, law) in LAWS {
        let arguments = json!({"delay": "300ms", "jitter": "60ms", "distribution": distribution});
        let flow = through(&bed, LATENCY, &arguments, TIMED);
        assert_eq!(flow.arrived(), flow.sent());
        for (jitters, expected) in law {
            let limit = 300.0 + 60.0 * jitters;
            let below: Vec<bool> = flow.times().iter().map(|time| *time < limit).collect();
            let seen = share(&below);
            eprintln!("{distribution}: {seen:.3} below {jitters} jitters, {expected} by the law");
            // 4.9 standard errors of a half, and what a busy host adds.
            assert!((seen - expected).abs() < 0.087 + 0.03, "{seen}");
        }
    }
}

#[test]
fn a_delay_resembles_the_one_before_as_much_as_was_asked_for() {
    let Some(bed) = Bed::lay() else { return };
    for correlation in [0.0, 60.0] {
        let arguments = json!({"delay": "200ms", "jitter": "150ms", "correlation": correlation});
        let flow = through(&bed, LATENCY, &arguments, TIMED);
        let times = flow.times();
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let product = |pair: &[f64]| (pair[0] - mean) * (pair[1] - mean);
        let together: f64 = times.windows(2).map(product).sum();
        let alone: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
        let seen = 100.0 * together / alone;
        eprintln!("correlation: asked {correlation} %, seen {seen:.1} %");
        // Five standard errors.
        assert!((seen - correlation).abs() < 18.0, "{seen}");
    }
}

#[test]
fn only_a_share_of_the_packets_is_delayed() {
    let Some(bed) = Bed::lay() else { return };
    let arguments = json!({"delay": "400ms", "percent": 30});
    let flow = through(&bed, LATENCY, &arguments, TIMED);
    assert_eq!(flow.arrived(), flow.sent());
    let late: Vec<bool> = flow.times().iter().map(|time| *time > 399.0).collect();
    // 4.9 standard errors.
    assert!((share(&late) - 0.3).abs() < 0.08, "{}", share(&late));
    assert!(
        flow.times()
            .iter()
            .all(|time| *time > 399.0 || *time < 300.0)
    );
}

#[test]
fn losses_that_are_correlated_follow_one_another() {
    let Some(bed) = Bed::lay() else { return };
    let arguments = json!({"percent": 50, "correlation": 60});
    let flow = through(&bed, LOSS, &arguments, COUNTED);
    let lost: Vec<bool> = flow.came().iter().map(|came| !came).collect();
    follow_one_another(LOSS, &lost);
}

#[test]
fn copies_flipped_bits_and_overtakers_that_are_correlated_follow_one_another() {
    let Some(bed) = Bed::lay() else { return };
    let arguments = json!({"percent": 50, "correlation": 60});
    let doubled = through(&bed, "switching.duplicate", &arguments, COUNTED);
    let twice: Vec<bool> = doubled.times_came().iter().map(|came| *came == 2).collect();
    assert!(doubled.came().iter().all(|came| *came));
    follow_one_another("switching.duplicate", &twice);
    let corrupted = through(&bed, "switching.corrupt", &arguments, COUNTED);
    // A flipped bit is found by the checksum, and what carries it is dropped.
    let wrong: Vec<bool> = corrupted.came().iter().map(|came| !came).collect();
    follow_one_another("switching.corrupt", &wrong);
    let arguments = json!({"percent": 50, "correlation": 60, "delay": "400ms"});
    let reordered = through(&bed, "switching.reorder", &arguments, TIMED);
    let ahead: Vec<bool> = reordered.times().iter().map(|time| *time < 300.0).collect();
    follow_one_another("switching.reorder", &ahead);
}

/// Half of them are chosen, and two in a row more often than by chance.
fn follow_one_another(fault: &str, chosen: &[bool]) {
    let (share, again) = (share(chosen), again(chosen));
    eprintln!("{fault}: {share:.3} of all, {again:.3} of those after such a one");
    assert!((share - 0.5).abs() < 0.12, "{fault}: {share}");
    assert!(again > share + 0.1, "{fault}: {again}");
}

#[test]
fn each_parameter_of_a_bursty_channel_has_its_share() {
    let Some(bed) = Bed::lay() else { return };
    // The channel is bad for p/(p + r) of the packets. Two in a row are lost with π_b·b·((1−r)·b +
    // r·g) + π_g·g·((1−p)·g + p·b), of which one of the first is the share of the second.
    for (channel, lost, following, tolerance) in [
        (json!({"p": 2, "r": 20}), 0.0909, 0.8, 0.07),
        (json!({"p": 20, "r": 20}), 0.5, 0.8, 0.09),
        (
            json!({"p": 20, "r": 20, "loss-in-bad": 50}),
            0.25,
            0.4,
            0.07,
        ),
        (
            json!({"p": 20, "r": 20, "loss-in-bad": 0, "loss-in-good": 40}),
            0.2,
            0.32,
            0.07,
        ),
    ] {
        let arguments = json!({ "gilbert-elliott": channel });
        let flow = through(&bed, LOSS, &arguments, COUNTED);
        let gone: Vec<bool> = flow.came().iter().map(|came| !came).collect();
        let (seen, after) = (share(&gone), again(&gone));
        eprintln!("{channel}: lost {seen:.4}, after a lost one {after:.3}");
        assert!((seen - lost).abs() < tolerance, "{channel}: {seen}");
        assert!((after - following).abs() < 0.13, "{channel}: {after}");
    }
}

#[test]
fn every_so_manieth_packet_goes_ahead() {
    let Some(bed) = Bed::lay() else { return };
    let arguments = json!({"percent": 100, "gap": 5, "delay": "400ms"});
    let plan = Plan {
        packets: 500,
        ..TIMED
    };
    let flow = through(&bed, "switching.reorder", &arguments, plan);
    let ahead: Vec<bool> = flow.times().iter().map(|time| *time < 300.0).collect();
    let places = (0..ahead.len()).filter(|place| ahead[*place]);
    let places: Vec<usize> = places.collect();
    assert_eq!(places.len(), 100);
    assert!(
        places.windows(2).all(|pair| pair[1] - pair[0] == 5),
        "{places:?}"
    );
}

/// The headers of UDP and IPv4, which count.
const HEADERS: usize = 28;

/// Of so many bytes each, at once.
fn train(packets: u64, size: usize) -> Plan {
    Plan {
        packets,
        size: size - HEADERS,
        gap: Duration::ZERO,
        burst: 1,
        paired: false,
    }
}

#[test]
fn bytes_that_are_counted_on_top_of_every_packet_slow_all_of_them_down() {
    let Some(bed) = Bed::lay() else { return };
    for (overhead, expected) in [(0, 320.0), (200, 160.0), (-100, 640.0)] {
        let arguments = json!({"rate": 64_000, "overhead": overhead});
        let flow = through(&bed, "switching.bandwidth", &arguments, train(100, 200));
        let seen = flow.packets_per_second();
        eprintln!("overhead {overhead}: {seen:.1} packets/s, {expected} by the rate");
        assert_eq!(flow.arrived(), 100);
        assert!((seen / expected - 1.0).abs() < 0.1, "{seen}");
    }
}

#[test]
fn an_idle_link_sends_its_burst_at_once() {
    let Some(bed) = Bed::lay() else { return };
    let first = |burst: Option<&str>| {
        let mut arguments = json!({"rate": 20_000});
        if let Some(burst) = burst {
            arguments["burst"] = burst.into();
        }
        let flow = through(&bed, "switching.bandwidth", &arguments, train(40, 1000));
        assert_eq!(flow.arrived(), 40);
        flow.times().iter().filter(|time| **time < 500.0).count()
    };
    let (without, with) = (first(None), first(Some("20KB")));
    eprintln!("burst: in half a second {without} packets without, {with} with 20 of them");
    assert!((5..=11).contains(&without), "{without}");
    assert!((25..=31).contains(&with), "{with}");
}

#[test]
fn only_a_share_of_the_packets_counts_for_the_rate() {
    let Some(bed) = Bed::lay() else { return };
    // A tenth of a second for each.
    let arguments = json!({"rate": 10_000, "percent": 50});
    let flow = through(&bed, "switching.bandwidth", &arguments, train(60, 1000));
    assert_eq!(flow.arrived(), 60);
    let free: Vec<bool> = flow.times().iter().map(|time| *time < 90.0).collect();
    eprintln!("bandwidth of half: {:.2} pass at once", share(&free));
    // 4.9 standard errors.
    assert!((0.18..0.82).contains(&share(&free)), "{}", share(&free));
}
