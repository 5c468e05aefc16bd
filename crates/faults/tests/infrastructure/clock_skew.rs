use std::fs::File;
use std::time::Duration;

use firedrill_faults::Target;
use firedrill_kernel::realtime::{self, Discipline};
use firedrill_undo::Quantity;
use rustix::time::ClockId;
use serde_json::json;

use crate::drill::{Drill, compile};
use crate::places::OwnProcess;

pub(crate) const CLOCK: &str = "infrastructure.clock-skew";

const SECOND: i64 = 1_000_000_000;

/// One test at a time that moves the clock, over processes too, and the clock as before at the end,
/// even of a panic.
pub(crate) struct Clock {
    offset: i64,
    raw: i64,
    discipline: Discipline,
    _lock: File,
}

impl Clock {
    /// `None`, and said, where the clock may not be set or a daemon keeps it.
    pub(crate) fn take() -> Option<Self> {
        // A directory can be locked as well as a file, and nothing is left of it.
        let lock = File::open(std::env::temp_dir()).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let discipline = realtime::discipline().unwrap();
        if realtime::set_rate(discipline.rate).is_err() {
            eprintln!("skipped: setting the clock needs CAP_SYS_TIME");
            return None;
        }
        if discipline.is_steered() || !realtime::ntp_daemons().unwrap().is_empty() {
            eprintln!("skipped: a time daemon runs");
            return None;
        }
        Some(Self {
            offset: distance(),
            raw: realtime::raw(),
            discipline,
            _lock: lock,
        })
    }

    /// How far the clock is from where it would be, in nanoseconds.
    pub(crate) fn moved(&self) -> i64 {
        distance() - self.expected()
    }

    pub(crate) fn is_away(&self) -> bool {
        self.moved().abs() > SECOND / 10
    }

    fn expected(&self) -> i64 {
        let drift = self.discipline.rate.parts_per_million() / 1e6;
        self.offset + ((realtime::raw() - self.raw) as f64 * drift) as i64
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let _ = realtime::set_rate(self.discipline.rate);
        let _ = realtime::shift_to(self.expected(), Duration::from_micros(10));
        let _ = realtime::restore_discipline(&self.discipline);
    }
}

/// CLOCK_REALTIME − CLOCK_MONOTONIC_RAW by plain readings; the narrowest of many.
fn distance() -> i64 {
    let read = |id| {
        let now = rustix::time::clock_gettime(id);
        now.tv_sec * SECOND + now.tv_nsec
    };
    let once = |_| {
        let before = read(ClockId::MonotonicRaw);
        let time = read(ClockId::Realtime);
        let after = read(ClockId::MonotonicRaw);
        (after - before, time - before - (after - before) / 2)
    };
    (0..500).map(once).min().unwrap().1
}

#[test]
fn an_offset_moves_the_clock_and_its_undo_leaves_microseconds() {
    let Some(clock) = Clock::take() else { return };
    for (offset, asked) in [("3s", 3 * SECOND), ("-1.5s", -3 * SECOND / 2)] {
        let placed = Drill::begin().apply(CLOCK, &json!({ "offset": offset }), Target::Host);
        let moved = clock.moved();
        assert!((moved - asked).abs() < 1_000_000, "{moved}");
        let figure = placed.figure(Quantity::ClockOffset);
        assert_eq!(figure.requested, Some(asked as f64 / 1e6));
        placed.revert();
        let residue = clock.moved();
        eprintln!("clock: {offset} moved {moved} ns; residue {residue} ns");
        assert!(residue.abs() < 10_000, "{residue}");
    }
    assert_eq!(
        realtime::discipline().unwrap().status,
        clock.discipline.status
    );
}

#[test]
fn a_drift_gains_what_it_says_and_its_undo_takes_back_what_was_gained() {
    let Some(clock) = Clock::take() else { return };
    let raw = realtime::raw();
    let placed = Drill::begin().apply(CLOCK, &json!({"drift": 50_000}), Target::Host);
    crate::drill::pause(Duration::from_secs(1));
    let (gained, time) = (clock.moved(), realtime::raw() - raw);
    let ppm = gained as f64 / time as f64 * 1e6;
    assert!(placed.observe().is_complete());
    placed.revert();
    let residue = clock.moved();
    eprintln!("clock: 50000 ppm asked, about {ppm:.0} seen; residue {residue} ns");
    assert!((30_000.0..52_000.0).contains(&ppm), "{ppm}");
    assert!(residue.abs() < 10_000, "{residue}");
    assert_eq!(realtime::discipline().unwrap().rate, clock.discipline.rate);
}

#[test]
fn a_strobe_goes_to_and_fro() {
    let Some(clock) = Clock::take() else { return };
    let arguments = json!({"offset": "2s", "period": "100ms"});
    let placed = Drill::begin().apply(CLOCK, &arguments, Target::Host);
    let (mut away, mut home) = (0, 0);
    for _ in 0..100 {
        if clock.is_away() {
            away += 1;
        } else {
            home += 1;
        }
        crate::drill::pause(Duration::from_millis(7));
    }
    let figure = placed.figure(Quantity::ClockOffset);
    placed.revert();
    let residue = clock.moved();
    eprintln!("clock: strobe away {away}, home {home}, {figure}; residue {residue} ns");
    assert!(away >= 10 && home >= 10, "{away} {home}");
    assert!((figure.achieved - 2000.0).abs() < 1.0, "{figure}");
    assert!(residue.abs() < 10_000, "{residue}");
}

#[test]
fn a_time_daemon_refuses_it_or_is_paused_meanwhile() {
    let Some(clock) = Clock::take() else { return };
    // Named as a daemon would be, by the kernel's own means.
    let daemon = OwnProcess::shell("printf chronyd >/proc/$$/comm; while :; do sleep 0.05; done");
    crate::drill::wait_for("it is named", || {
        daemon.identity().stat().unwrap().unwrap().comm == "chronyd"
    });
    let error = compile(CLOCK, &json!({"offset": 1}), &[Target::Host]).unwrap_err();
    assert!(error.to_string().contains("stop-ntp"), "{error}");
    let state = || daemon.identity().stat().unwrap().unwrap().state;
    let arguments = json!({"offset": 1, "stop-ntp": true});
    let placed = Drill::begin().apply(CLOCK, &arguments, Target::Host);
    assert!(placed.observe().is_complete());
    assert!(state().is_stopped());
    assert!(clock.is_away());
    placed.revert();
    assert!(!state().is_stopped());
    assert!(clock.moved().abs() < 10_000);
}
