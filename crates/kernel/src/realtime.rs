//! CLOCK_REALTIME: how far it is from the hardware's own count, moving it, and its rate.
//!
//! CLOCK_MONOTONIC_RAW is touched by nobody: no daemon, no adjustment, no time namespace. So the
//! distance of CLOCK_REALTIME from it says by how much the clock was moved, and whether a move
//! was already taken back. A move is relative, so its inverse is not idempotent: [`shift_to`]
//! compares before it moves.
//!
//! Source: clock_adjtime(2), include/uapi/linux/timex.h, kernel/time/ntp.c.

use std::time::Duration;

use rustix::time::{ClockId, Timespec};
use serde::{Deserialize, Serialize};

use crate::{KernelError, ProcessIdentity, process, sys};

/// CLOCK_REALTIME − CLOCK_MONOTONIC_RAW.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offset {
    pub nanoseconds: i64,
    /// The true value is at most this far away, at the moment of the measurement.
    pub error_ns: u64,
}

/// How fast CLOCK_REALTIME runs, in the two parts that the kernel keeps.
///
/// `tick_us` is added a hundred times per second (10 000 is true time, 9 000 to 11 000 allowed);
/// `frequency` is a fine correction in parts per million times 65 536, at most 500 ppm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub frequency: i64,
    pub tick_us: i64,
}

/// What the kernel believes about the quality of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discipline {
    /// `STA_*` of timex.h.
    pub status: i32,
    pub max_error_us: i64,
    pub estimated_error_us: i64,
    pub rate: Rate,
}

/// What [`shift_to`] found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Return {
    /// It was where it should be: nothing was done.
    AlreadyThere,
    /// It was moved by this much.
    Moved { by_ns: i64 },
}

/// A process that keeps the clock in step with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NtpDaemon {
    pub process: ProcessIdentity,
    pub name: String,
}

/// How far `frequency` may be from zero: 500 ppm.
pub const FREQUENCY_MAX: i64 = 500 << 16;

/// The range of `tick_us` (for `USER_HZ` 100).
pub const TICK_US: std::ops::RangeInclusive<i64> = 9_000..=11_000;

const TICK_TRUE_US: i64 = 10_000;

/// One step of `tick_us`, in parts per million.
const TICK_STEP_PPM: f64 = 100.0;

const NANOSECONDS: i64 = 1_000_000_000;

/// Readings to choose the best of. One takes well below a microsecond unless interrupted.
const READINGS: usize = 256;

/// Names as the kernel cuts them, to 15 bytes.
const NTP_DAEMONS: [&str; 8] = [
    "chronyd",
    "ntpd",
    "openntpd",
    "systemd-timesyn",
    "ntp-daemon",
    "ptp4l",
    "phc2sys",
    "timemaster",
];

/// `STA_*` bits that user space may write; the others are the kernel's own.
const STATUS_WRITABLE: i32 = !(libc::STA_PPSSIGNAL
    | libc::STA_PPSJITTER
    | libc::STA_PPSWANDER
    | libc::STA_PPSERROR
    | libc::STA_CLOCKERR
    | libc::STA_NANO
    | libc::STA_MODE
    | libc::STA_CLK);

impl Discipline {
    /// No daemon vouches for the clock (`STA_UNSYNC`).
    #[must_use]
    pub fn is_unsynchronised(&self) -> bool {
        self.status & libc::STA_UNSYNC != 0
    }

    /// A daemon steers the clock through the kernel's phase-locked loop (`STA_PLL`).
    #[must_use]
    pub fn is_steered(&self) -> bool {
        self.status & libc::STA_PLL != 0
    }
}

impl Rate {
    pub const TRUE: Self = Self {
        frequency: 0,
        tick_us: TICK_TRUE_US,
    };

    /// The rate that gains `ppm` microseconds per second (loses, if negative).
    ///
    /// `None` beyond what the kernel can do: ±100 000 ppm, one part in ten.
    #[must_use]
    pub fn from_parts_per_million(ppm: f64) -> Option<Self> {
        if !ppm.is_finite() || ppm.abs() > 100_000.0 {
            return None;
        }
        let steps = (ppm / TICK_STEP_PPM).round();
        // Both are far inside the range: |steps| <= 1000, and the rest is at most 50 ppm.
        let frequency = ((ppm - steps * TICK_STEP_PPM) * 65_536.0).round();
        Some(Self {
            frequency: frequency as i64,
            tick_us: TICK_TRUE_US + steps as i64,
        })
    }

    /// What is gained, in microseconds per second.
    #[must_use]
    pub fn parts_per_million(&self) -> f64 {
        (self.tick_us - TICK_TRUE_US) as f64 * TICK_STEP_PPM + self.frequency as f64 / 65_536.0
    }
}

/// CLOCK_REALTIME − CLOCK_MONOTONIC_RAW now.
///
/// CLOCK_REALTIME is read between two readings of the raw clock; of many such triples the
/// narrowest counts. The error is half its width.
#[must_use]
pub fn offset() -> Offset {
    let mut best = read_once();
    for _ in 1..READINGS {
        let next = read_once();
        if next.error_ns < best.error_ns {
            best = next;
        }
    }
    best
}

/// CLOCK_MONOTONIC_RAW in nanoseconds: what nobody can set or steer.
#[must_use]
pub fn raw() -> i64 {
    nanoseconds(rustix::time::clock_gettime(ClockId::MonotonicRaw))
}

/// Moves CLOCK_REALTIME by `delta_ns`. Timers on CLOCK_REALTIME notice; others do not.
///
/// The kernel then calls its clock unsynchronised: see [`restore_discipline`].
///
/// # Errors
/// When it may not be set (CAP_SYS_TIME), or would leave the range of the kernel's time.
pub fn shift(delta_ns: i64) -> Result<(), KernelError> {
    let before = discipline()?;
    adjust("clock_adjtime(ADJ_SETOFFSET)", |timex| {
        timex.modes = libc::ADJ_SETOFFSET | libc::ADJ_NANO;
        timex.time.tv_sec = delta_ns.div_euclid(NANOSECONDS);
        // In nanoseconds because of ADJ_NANO, and never negative.
        timex.time.tv_usec = delta_ns.rem_euclid(NANOSECONDS);
    })?;
    if before.status & libc::STA_NANO == 0 {
        // ADJ_NANO also switched the unit of later readings; a daemon may count on the old one.
        adjust("clock_adjtime(ADJ_MICRO)", |timex| {
            timex.modes = libc::ADJ_MICRO;
        })?;
    }
    Ok(())
}

/// Moves CLOCK_REALTIME so that [`offset`] is `target_ns`, unless it is within `tolerance` of it.
/// Safe to repeat.
///
/// # Errors
/// As [`shift`].
pub fn shift_to(target_ns: i64, tolerance: Duration) -> Result<Return, KernelError> {
    let by_ns = target_ns.saturating_sub(offset().nanoseconds);
    if u128::from(by_ns.unsigned_abs()) <= tolerance.as_nanos() {
        return Ok(Return::AlreadyThere);
    }
    shift(by_ns)?;
    Ok(Return::Moved { by_ns })
}

/// How the kernel keeps its clock now. Needs no privilege.
///
/// # Errors
/// When the kernel (or a seccomp filter) refuses the call.
pub fn discipline() -> Result<Discipline, KernelError> {
    let timex = adjust("clock_adjtime", |_| ())?;
    Ok(Discipline {
        status: timex.status,
        max_error_us: timex.maxerror,
        estimated_error_us: timex.esterror,
        rate: Rate {
            frequency: timex.freq,
            tick_us: timex.tick,
        },
    })
}

/// Writes back what [`discipline`] read: what a shift or a daemon's absence changed beside the
/// time itself.
///
/// # Errors
/// When refused (CAP_SYS_TIME).
pub fn restore_discipline(wanted: &Discipline) -> Result<(), KernelError> {
    set_rate(wanted.rate)?;
    adjust("clock_adjtime(ADJ_STATUS)", |timex| {
        timex.modes = libc::ADJ_STATUS | libc::ADJ_MAXERROR | libc::ADJ_ESTERROR;
        timex.status = wanted.status & STATUS_WRITABLE;
        timex.maxerror = wanted.max_error_us;
        timex.esterror = wanted.estimated_error_us;
    })?;
    Ok(())
}

/// Sets how fast CLOCK_REALTIME runs. CLOCK_MONOTONIC and CLOCK_BOOTTIME run at the same rate;
/// only the raw clock does not.
///
/// # Errors
/// When refused (CAP_SYS_TIME) or out of range (`EINVAL`).
pub fn set_rate(rate: Rate) -> Result<(), KernelError> {
    if rate.frequency.abs() > FREQUENCY_MAX || !TICK_US.contains(&rate.tick_us) {
        // The kernel would silently cut the frequency to its range.
        return Err(KernelError::call(
            "clock_adjtime(ADJ_FREQUENCY | ADJ_TICK)",
            rustix::io::Errno::INVAL,
        ));
    }
    adjust("clock_adjtime(ADJ_FREQUENCY | ADJ_TICK)", |timex| {
        timex.modes = libc::ADJ_FREQUENCY | libc::ADJ_TICK;
        timex.freq = rate.frequency;
        timex.tick = rate.tick_us;
    })?;
    Ok(())
}

/// Sets the rate to `new` only if it is `expected` now; whether it was.
///
/// # Errors
/// As [`set_rate`].
pub fn swap_rate(expected: Rate, new: Rate) -> Result<bool, KernelError> {
    if discipline()?.rate != expected {
        return Ok(false);
    }
    set_rate(new)?;
    Ok(true)
}

/// The processes that would take a shift back, or fight it. One that runs in another PID
/// namespace above ours cannot be seen from here: [`Discipline::is_steered`] may betray it.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn ntp_daemons() -> Result<Vec<NtpDaemon>, KernelError> {
    let mut found = Vec::new();
    for pid in process::list()? {
        let Some(stat) = process::stat(pid)?.filter(|stat| !stat.is_gone()) else {
            continue;
        };
        if NTP_DAEMONS.contains(&stat.comm.as_str()) {
            found.push(NtpDaemon {
                process: ProcessIdentity::from_stat(&stat)?,
                name: stat.comm,
            });
        }
    }
    Ok(found)
}

fn read_once() -> Offset {
    let before = nanoseconds(rustix::time::clock_gettime(ClockId::MonotonicRaw));
    let realtime = nanoseconds(rustix::time::clock_gettime(ClockId::Realtime));
    let after = nanoseconds(rustix::time::clock_gettime(ClockId::MonotonicRaw));
    let width = after.saturating_sub(before);
    Offset {
        nanoseconds: realtime.saturating_sub(before.saturating_add(width / 2)),
        error_ns: (width.unsigned_abs() / 2).saturating_add(1),
    }
}

/// Until the year 2262, where the kernel's own time ends as well.
fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec
        .saturating_mul(NANOSECONDS)
        .saturating_add(time.tv_nsec)
}

fn adjust(
    call: &'static str,
    request: impl FnOnce(&mut libc::timex),
) -> Result<libc::timex, KernelError> {
    sys::adjust_clock(request).map_err(|source| KernelError::Call { call, source })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;
    use std::process::Stdio;

    use proptest::prelude::*;

    use super::*;

    /// One test at a time, over processes too, and the clock as before at the end, even of a panic.
    struct Restored {
        offset: Offset,
        discipline: Discipline,
        started: std::time::Instant,
        _lock: File,
    }

    impl Restored {
        /// `None` where the clock may not be set.
        fn take() -> Option<Self> {
            // A directory can be locked as well as a file, and nothing is left of it.
            let lock = File::open(std::env::temp_dir()).unwrap();
            rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
            let discipline = discipline().unwrap();
            match set_rate(discipline.rate) {
                Ok(()) => Some(Self {
                    offset: offset(),
                    discipline,
                    started: std::time::Instant::now(),
                    _lock: lock,
                }),
                Err(error) if error.is_permission() => {
                    eprintln!("skipped: setting the clock needs CAP_SYS_TIME");
                    None
                }
                Err(error) => panic!("{error}"),
            }
        }

        /// What the offset would be now without us: the clock may run at a rate of its own.
        fn expected(&self) -> i64 {
            let ppm = self.discipline.rate.parts_per_million();
            let drifted = self.started.elapsed().as_secs_f64() * ppm * 1000.0;
            self.offset.nanoseconds + drifted as i64
        }
    }

    impl Drop for Restored {
        fn drop(&mut self) {
            set_rate(self.discipline.rate).unwrap();
            shift_to(self.expected(), Duration::from_micros(1)).unwrap();
            restore_discipline(&self.discipline).unwrap();
        }
    }

    #[test]
    fn the_offset_is_known_to_a_microsecond() {
        let offset = offset();
        eprintln!("error of the offset: {} ns", offset.error_ns);
        assert!(offset.error_ns < 1_000, "{offset:?}");
    }

    #[test]
    fn a_shift_and_its_return_restore_the_offset() {
        let Some(guard) = Restored::take() else {
            return;
        };
        let three = 3 * NANOSECONDS;
        shift(three).unwrap();
        let moved = offset().nanoseconds - guard.expected();
        assert!((moved - three).abs() < 10_000, "{moved}");
        let back = shift_to(guard.expected(), Duration::from_micros(10)).unwrap();
        assert!(matches!(back, Return::Moved { by_ns } if (by_ns + three).abs() < 10_000));
        let residue = offset().nanoseconds - guard.expected();
        eprintln!("residue after the return: {residue} ns");
        assert!(residue.abs() < 10_000, "{residue}");
        let again = shift_to(guard.expected(), Duration::from_micros(10)).unwrap();
        assert_eq!(again, Return::AlreadyThere);
    }

    #[test]
    fn a_shift_backwards_by_a_fraction_is_exact() {
        let Some(guard) = Restored::take() else {
            return;
        };
        shift(-1_234_567_891).unwrap();
        let moved = offset().nanoseconds - guard.expected();
        assert!((moved + 1_234_567_891).abs() < 10_000, "{moved}");
    }

    #[test]
    fn a_shift_does_not_change_the_unit_or_what_is_restored() {
        let Some(guard) = Restored::take() else {
            return;
        };
        let before = guard.discipline;
        shift(NANOSECONDS).unwrap();
        shift(-NANOSECONDS).unwrap();
        let unit = |discipline: &Discipline| discipline.status & libc::STA_NANO;
        assert_eq!(unit(&discipline().unwrap()), unit(&before));
        restore_discipline(&before).unwrap();
        let after = discipline().unwrap();
        assert_eq!(after.status, before.status);
        assert_eq!(after.rate, before.rate);
    }

    #[test]
    fn a_rate_is_read_back_as_written_and_only_swapped_for_the_expected_one() {
        let Some(_guard) = Restored::take() else {
            return;
        };
        for ppm in [-99_999.5, -500.0, -0.25, 0.0, 12.5, 500.0, 100_000.0] {
            let rate = Rate::from_parts_per_million(ppm).unwrap();
            set_rate(rate).unwrap();
            assert_eq!(discipline().unwrap().rate, rate, "{ppm} ppm");
        }
        let held = discipline().unwrap().rate;
        assert!(!swap_rate(Rate::TRUE, Rate::TRUE).unwrap());
        assert_eq!(discipline().unwrap().rate, held);
        assert!(swap_rate(held, Rate::TRUE).unwrap());
    }

    #[test]
    fn a_fast_clock_gains_what_its_rate_says() {
        let Some(_guard) = Restored::take() else {
            return;
        };
        let before = offset();
        let raw = || nanoseconds(rustix::time::clock_gettime(ClockId::MonotonicRaw));
        set_rate(Rate::from_parts_per_million(50_000.0).unwrap()).unwrap();
        let start = raw();
        let limit = crate::pidfd::timespec(Duration::from_millis(200));
        rustix::event::poll(&mut [], Some(&limit)).unwrap();
        let gained = offset().nanoseconds - before.nanoseconds;
        let ppm = gained as f64 / (raw() - start) as f64 * 1e6;
        assert!((ppm - 50_000.0).abs() < 5_000.0, "{ppm}");
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        for rate in [
            Rate {
                frequency: FREQUENCY_MAX + 1,
                ..Rate::TRUE
            },
            Rate {
                tick_us: 8_999,
                ..Rate::TRUE
            },
            Rate {
                tick_us: i64::MAX,
                ..Rate::TRUE
            },
        ] {
            assert!(set_rate(rate).is_err());
        }
        assert_eq!(Rate::from_parts_per_million(f64::NAN), None);
        assert_eq!(Rate::from_parts_per_million(-100_001.0), None);
    }

    #[test]
    fn a_time_daemon_is_found_by_its_name() {
        // Named as a daemon would be, by the kernel's own means.
        let script = "printf chronyd > /proc/$$/comm; echo named; read end";
        let mut child = std::process::Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut named = [0; 6];
        child.stdout.take().unwrap().read_exact(&mut named).unwrap();
        let found = ntp_daemons().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let daemon = found.iter().find(|daemon| daemon.process.pid == child.id());
        assert_eq!(daemon.unwrap().name, "chronyd");
    }

    proptest! {
        #[test]
        fn every_rate_in_range_is_kept_to_a_hundred_thousandth_of_a_ppm(ppm in -100_000.0..=100_000.0_f64) {
            let rate = Rate::from_parts_per_million(ppm).unwrap();
            prop_assert!(TICK_US.contains(&rate.tick_us));
            prop_assert!(rate.frequency.abs() <= FREQUENCY_MAX);
            prop_assert!((rate.parts_per_million() - ppm).abs() < 1e-4);
        }
    }
}
