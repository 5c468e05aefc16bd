//! One test for each way in which a sensor can be wrong, and what is not one.

use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules {
    interval: Duration::from_secs(1),
    silence_max: Duration::from_secs(3),
    idle_max: Some(Duration::from_secs(10)),
};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn reading(at: u64, good: f64, bad: f64) -> Reading {
    Reading {
        asked: s(at),
        came: s(at),
        good,
        bad,
        ..Reading::default()
    }
}

fn stamped(at: u64, stamp: f64, good: f64) -> Reading {
    Reading {
        stamp: Some(stamp),
        ..reading(at, good, 0.0)
    }
}

fn sensor() -> Sensor {
    Sensor::new(RULES, Duration::ZERO)
}

/// What the last of the readings came to; those before it are well.
fn last_of(readings: Vec<Reading>) -> Result<Told, Ailment> {
    let mut sensor = sensor();
    let mut told = Ok(Told::Nothing);
    for reading in readings {
        told = sensor.read(reading);
    }
    told
}

fn window(told: Result<Told, Ailment>) -> Window {
    match told {
        Ok(Told::Window(window)) => window,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_difference_of_two_readings_is_a_window_and_the_first_is_none() {
    let mut sensor = sensor();
    assert!(matches!(
        sensor.read(reading(1, 1000.0, 7.0)),
        Ok(Told::Nothing)
    ));
    let window = window(sensor.read(reading(3, 1090.0, 17.0)));
    assert_eq!((window.start, window.length), (s(1), s(2)));
    assert_eq!((window.good, window.bad), (90, 10));
}

/// Timers are never on time, and a limit on any second must not count the requests of two.
#[test]
fn a_window_ends_at_the_interval_though_its_reading_came_a_little_off() {
    let at = |ms: u64, good: f64| Reading {
        asked: Duration::from_millis(ms),
        came: Duration::from_millis(ms),
        good,
        ..Reading::default()
    };
    let mut sensor = sensor();
    sensor.read(at(3, 0.0)).unwrap();
    let first = window(sensor.read(at(1_004, 10.0)));
    let second = window(sensor.read(at(1_998, 20.0)));
    assert_eq!((first.start, first.length), (s(0), s(1)));
    assert_eq!((second.start, second.length), (s(1), s(1)));
    let late = window(sensor.read(at(3_400, 30.0)));
    assert_eq!(
        (late.start, late.length),
        (s(2), Duration::from_millis(1_400))
    );
}

#[test]
fn a_reading_that_was_missed_is_in_the_next_window() {
    let mut sensor = sensor();
    sensor.read(reading(1, 100.0, 0.0)).unwrap();
    sensor.missed(s(2), "refused").unwrap();
    sensor.missed(s(3), "refused").unwrap();
    let window = window(sensor.read(reading(4, 130.0, 0.0)));
    assert_eq!((window.start, window.length, window.good), (s(1), s(3), 30));
}

#[test]
fn a_sensor_that_is_missing_is_told_with_the_reason_and_not_before_its_time() {
    let mut sensor = sensor();
    sensor.read(reading(1, 1.0, 0.0)).unwrap();
    assert_eq!(sensor.missed(s(4), "connection refused"), Ok(()));
    let ailment = sensor.missed(s(5), "connection refused").unwrap_err();
    assert_eq!(
        ailment.to_string(),
        "nothing could be read for 4.0 s: connection refused"
    );
    assert_eq!(sensor.read(reading(6, 2.0, 0.0)).unwrap_err(), ailment);
}

#[test]
fn a_sensor_that_never_answered_is_missing() {
    assert!(matches!(
        sensor().missed(s(4), "no route"),
        Err(Ailment::Missing { .. })
    ));
}

#[test]
fn a_sensor_whose_counters_stand_still_is_stuck() {
    let readings = (0..=11).map(|at| reading(at, 50.0, 0.0)).collect();
    assert_eq!(
        last_of(readings).unwrap_err(),
        Ailment::Stuck { since: s(11) }
    );
    let moving = (0..=30).map(|at| reading(at, at as f64, 0.0)).collect();
    assert!(last_of(moving).is_ok());
}

#[test]
fn a_sensor_of_which_no_traffic_is_asked_may_stand_still() {
    let mut sensor = Sensor::new(
        Rules {
            idle_max: None,
            ..RULES
        },
        Duration::ZERO,
    );
    for at in 0..100 {
        sensor.read(reading(at, 50.0, 0.0)).unwrap();
    }
}

#[test]
fn a_sensor_whose_stamp_stands_still_is_stuck_although_its_counters_move() {
    let readings = (0..=4).map(|at| stamped(at, 7.0, at as f64)).collect();
    assert_eq!(
        last_of(readings).unwrap_err(),
        Ailment::StampStuck { since: s(4) }
    );
}

#[test]
fn a_sensor_that_has_never_counted_is_at_zero() {
    let readings = (0..=11).map(|at| reading(at, 0.0, 0.0)).collect();
    assert_eq!(
        last_of(readings).unwrap_err(),
        Ailment::Zero { since: s(11) }
    );
}

#[test]
fn a_sensor_that_shows_the_past_is_late() {
    // Its clock makes half a second of each of ours.
    let readings = (0..=7)
        .map(|at| stamped(at, at as f64 / 2.0, at as f64))
        .collect();
    assert_eq!(
        last_of(readings).unwrap_err(),
        Ailment::Late {
            behind: Duration::from_millis(3500)
        }
    );
}

#[test]
fn an_answer_that_took_too_long_is_late() {
    let slow = Reading {
        came: s(5),
        ..reading(1, 1.0, 0.0)
    };
    assert_eq!(
        last_of(vec![slow]).unwrap_err(),
        Ailment::Late { behind: s(4) }
    );
}

#[test]
fn a_reading_older_than_the_last_is_out_of_order() {
    let by_ours = last_of(vec![reading(2, 1.0, 0.0), reading(1, 2.0, 0.0)]);
    assert_eq!(
        by_ours.unwrap_err(),
        Ailment::OutOfOrder { what: "reading" }
    );
    let by_its_own = last_of(vec![stamped(1, 9.0, 1.0), stamped(2, 8.9, 2.0)]);
    assert_eq!(
        by_its_own.unwrap_err(),
        Ailment::OutOfOrder { what: "time stamp" }
    );
}

#[test]
fn a_counter_that_overflows_is_told() {
    let ailment = last_of(vec![reading(1, 2.0_f64.powi(53) + 2.0, 0.0)]).unwrap_err();
    assert!(
        matches!(
            ailment,
            Ailment::Overflow {
                counter: "good",
                ..
            }
        ),
        "{ailment}"
    );
    assert!(last_of(vec![reading(1, 2.0_f64.powi(53), 0.0)]).is_ok());
    let infinite = last_of(vec![reading(1, 0.0, f64::INFINITY)]).unwrap_err();
    assert!(
        matches!(infinite, Ailment::Overflow { counter: "bad", .. }),
        "{infinite}"
    );
}

#[test]
fn what_is_no_count_is_corrupt() {
    for (value, why) in [
        (f64::NAN, "is not a number"),
        (-1.0, "is below zero"),
        (0.5, "a rate is no counter"),
        (f64::NEG_INFINITY, "is below zero"),
    ] {
        let ailment = last_of(vec![reading(1, value, 0.0)]).unwrap_err();
        assert!(matches!(ailment, Ailment::Corrupt { .. }), "{ailment}");
        assert!(ailment.to_string().contains(why), "{ailment}");
    }
    let ailment = last_of(vec![stamped(1, f64::NAN, 1.0)]).unwrap_err();
    assert!(matches!(ailment, Ailment::Corrupt { .. }), "{ailment}");
    assert_eq!(
        sensor().corrupt("`$.good` leads to \"many\"").to_string(),
        "the sensor is corrupt: `$.good` leads to \"many\""
    );
}

#[test]
fn one_counter_that_goes_back_alone_is_no_restart() {
    let ailment = last_of(vec![reading(1, 100.0, 5.0), reading(2, 90.0, 6.0)]).unwrap_err();
    assert_eq!(
        ailment,
        Ailment::Decreased {
            counter: "good",
            from: 100.0,
            to: 90.0
        }
    );
}

#[test]
fn counters_that_begin_anew_are_a_reset_and_count_from_nothing() {
    let mut sensor = sensor();
    sensor.read(reading(1, 1000.0, 0.0)).unwrap();
    // What had counted nothing before the restart may have since.
    let Ok(Told::Reset(window)) = sensor.read(reading(2, 30.0, 4.0)) else {
        panic!()
    };
    assert_eq!((window.good, window.bad, window.start), (30, 4, s(1)));
    let Ok(Told::Window(next)) = sensor.read(reading(3, 50.0, 4.0)) else {
        panic!()
    };
    assert_eq!((next.good, next.bad), (20, 0));
}

#[test]
fn buckets_become_latencies_and_one_that_goes_back_alone_is_told() {
    let with = |at: u64, good: f64, latency: &[(u64, f64)]| Reading {
        latency: latency.to_vec(),
        ..reading(at, good, 0.0)
    };
    let window = window(last_of(vec![
        with(1, 10.0, &[(250_000, 9.0), (500_000, 1.0)]),
        with(2, 13.0, &[(250_000, 11.0), (500_000, 2.0)]),
    ]));
    assert_eq!(window.latency.len(), 3);
    assert_eq!(window.latency.count_between(0, 250_000), 2);
    let slowest = window.latency.highest_equivalent(window.latency.max());
    assert!((499_000..=500_000).contains(&slowest), "{slowest}");
    let back = last_of(vec![
        with(1, 10.0, &[(250_000, 9.0)]),
        with(2, 13.0, &[(250_000, 8.0)]),
    ]);
    assert!(matches!(
        back,
        Err(Ailment::Decreased {
            counter: "latency",
            ..
        })
    ));
}

proptest! {
    /// Whatever is read, and in whatever order: no panic, windows that touch, and as many requests
    /// as the counters went up.
    #[test]
    fn windows_touch_and_add_up(
        steps in prop::collection::vec((0_u64..5_000, 0_u64..1_000, 0_u64..50), 1..40),
    ) {
        let mut sensor = Sensor::new(Rules { interval: s(1), silence_max: s(600), idle_max: None }, Duration::ZERO);
        let (mut at, mut good, mut bad) = (Duration::ZERO, 5.0, 3.0);
        let (mut until, mut seen) = (None, (0, 0));
        for (ms, more_good, more_bad) in steps {
            at += Duration::from_millis(ms);
            (good, bad) = (good + more_good as f64, bad + more_bad as f64);
            let told = sensor.read(Reading { asked: at, came: at, good, bad, ..Reading::default() });
            match told {
                Ok(Told::Window(window)) => {
                    prop_assert_eq!(until.unwrap_or(window.start), window.start);
                    until = Some(window.start + window.length);
                    seen = (seen.0 + window.good, seen.1 + window.bad);
                }
                // Nothing lies between readings of the same moment; the next one has it.
                Ok(Told::Nothing) => {}
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert!(seen.0 as f64 <= good && seen.1 as f64 <= bad);
    }

    #[test]
    fn nothing_that_is_read_breaks_it(
        readings in prop::collection::vec(
            (any::<u64>(), any::<u64>(), prop::option::of(prop::num::f64::ANY), prop::num::f64::ANY,
             prop::num::f64::ANY, prop::collection::vec((any::<u64>(), prop::num::f64::ANY), 0..3)),
            0..12,
        ),
        silence in any::<u64>(), idle in prop::option::of(any::<u64>()),
    ) {
        let rules = Rules {
            interval: Duration::from_micros(silence / 3),
            silence_max: Duration::from_micros(silence),
            idle_max: idle.map(Duration::from_micros),
        };
        let mut sensor = Sensor::new(rules, Duration::ZERO);
        for (asked, came, stamp, good, bad, latency) in readings {
            let reading = Reading {
                asked: Duration::from_micros(asked),
                came: Duration::from_micros(came),
                stamp,
                good: (good % 1e15).trunc().abs(),
                bad,
                latency,
                ..Reading::default()
            };
            let ok = sensor.read(reading).is_ok();
            let _ = sensor.missed(Duration::from_micros(came), "why");
            prop_assert!(ok || sensor.read(Reading::default()).is_err());
        }
    }
}
