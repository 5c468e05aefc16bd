//! Processor time: threads that are busy for a share of every period.
//!
//! Each thread compares the processor time it has had (`CLOCK_THREAD_CPUTIME_ID`) with what it
//! should have had by now, so a late wake-up or a stolen slice is made up for in the next periods.

use std::convert::Infallible;
use std::fs;
use std::hint::black_box;
use std::thread::Builder;
use std::time::Duration;

use firedrill_kernel::Capability;
use rustix::thread::CpuSet;
use rustix::time::ClockId;
use serde::{Deserialize, Serialize};

use super::StressError;
use super::room::percentage;
use super::samples::Samples;
use crate::control::Control;
use crate::measurement::{Measurement, Quantity};

/// A share of one core, by each of some threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuLoad {
    /// Of one core, of each thread: above 0, at most 100.
    pub percent: f64,
    /// 1 to 4096.
    pub threads: u32,
    /// Numbers of the processors that the threads may run on; all where absent.
    #[serde(default)]
    pub cpus: Option<Vec<u32>>,
    /// Whether the threads go ahead of everything that is not realtime (nice −20, `CAP_SYS_NICE`).
    /// Then the share is met on a processor that others want too; otherwise it is at most what the
    /// scheduler finds fair, and the measurement says so.
    #[serde(default)]
    pub ahead: bool,
}

const THREADS_MAX: u32 = 4096;

/// Short beside what a scheduler's statistics or a person would notice, long beside a wake-up.
const PERIOD: Duration = Duration::from_millis(20);

/// What may be made up for. More would turn a time of starvation into a time of excess; this much
/// is one point of five seconds.
const DEBT_MAX: Duration = Duration::from_millis(50);

/// Between two looks at the clocks.
const SPINS: u32 = 2_000;

impl CpuLoad {
    /// # Errors
    /// When a parameter is out of range.
    pub fn validate(&self) -> Result<(), StressError> {
        percentage("percent", self.percent)?;
        if !(1..=THREADS_MAX).contains(&self.threads) {
            return Err(StressError::OutOfRange {
                name: "threads",
                value: self.threads.to_string(),
                rule: "1 to 4096",
            });
        }
        let known = |cpu: &u32| usize::try_from(*cpu).is_ok_and(|cpu| cpu < CpuSet::MAX_CPU);
        match &self.cpus {
            Some(cpus) if cpus.is_empty() || !cpus.iter().all(known) => {
                Err(StressError::OutOfRange {
                    name: "cpus",
                    value: format!("{cpus:?}"),
                    rule: "a list of at least one processor number below 1024",
                })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn run(self, control: &Control) -> Result<Infallible, StressError> {
        if let Some(cpus) = &self.cpus {
            // Of this thread; those that it starts inherit it.
            restrict(cpus)?;
        }
        if self.ahead {
            go_ahead()?;
        }
        for _ in 0..self.threads {
            let control = control.clone();
            let share = self.percent / 100.0;
            Builder::new()
                .name("busy".to_owned())
                .spawn(move || keep_busy(share, &control))
                .map_err(|source| StressError::Call {
                    doing: "start a thread",
                    source,
                })?;
        }
        let samples = Samples::default();
        let shown = samples.clone();
        let requested = self.percent / 100.0 * f64::from(self.threads);
        let begun = Instant::now();
        control.ready(move || {
            let mean = shown.mean(Quantity::CpuShare, Some(requested));
            if !mean.is_empty() {
                return mean;
            }
            // Too early for samples: all of the time so far is one.
            let so_far = Instant::now().share_since(&begun);
            let one =
                so_far.map(|share| Measurement::exact(Quantity::CpuShare, Some(requested), share));
            one.into_iter().collect()
        });
        let mut before = begun;
        loop {
            control.wait(Duration::from_secs(1));
            let now = Instant::now();
            if let Some(share) = now.share_since(&before) {
                samples.push(share);
            }
            before = now;
        }
    }
}

/// Two clocks, read together.
#[derive(Clone, Copy, Debug)]
struct Instant {
    wall: Duration,
    cpu: Duration,
}

impl Instant {
    fn now() -> Self {
        Self {
            wall: clock(ClockId::Monotonic),
            cpu: clock(ClockId::ProcessCPUTime),
        }
    }

    /// Processor time per time, once enough has passed to say it.
    fn share_since(&self, before: &Self) -> Option<f64> {
        let wall = self.wall.saturating_sub(before.wall);
        let cpu = self.cpu.saturating_sub(before.cpu);
        (wall >= PERIOD * 5).then(|| cpu.as_secs_f64() / wall.as_secs_f64())
    }
}

fn restrict(cpus: &[u32]) -> Result<(), StressError> {
    let mut set = CpuSet::new();
    for cpu in cpus.iter().filter_map(|cpu| usize::try_from(*cpu).ok()) {
        set.set(cpu);
    }
    rustix::thread::sched_setaffinity(None, &set).map_err(|errno| StressError::Call {
        doing: "run on these processors only",
        source: errno.into(),
    })
}

/// For this thread and those that it starts.
fn go_ahead() -> Result<(), StressError> {
    const NICE: i32 = -20;
    let doing = "go ahead of other processes";
    rustix::process::setpriority_process(None, NICE).map_err(|errno| {
        StressError::refused(errno, Capability::SysNice, doing, || StressError::Call {
            doing,
            source: errno.into(),
        })
    })?;
    // The worker has a session of its own, and kernels that group processes by session (sched(7),
    // autogroup) weigh threads within their group only. Absent from other kernels.
    let _ = fs::write("/proc/self/autogroup", NICE.to_string());
    Ok(())
}

fn keep_busy(share: f64, control: &Control) {
    let mut pace = Pace::new(share);
    let mut wall = clock(ClockId::Monotonic);
    let mut used = clock(ClockId::ThreadCPUTime);
    loop {
        control.check();
        let end = wall + PERIOD;
        let budget = pace.budget(PERIOD);
        let mut now = wall;
        while clock(ClockId::ThreadCPUTime).saturating_sub(used) < budget && now < end {
            spin();
            now = clock(ClockId::Monotonic);
        }
        if let Some(rest) = end.checked_sub(clock(ClockId::Monotonic)) {
            control.wait(rest);
        }
        let (after, cpu) = (clock(ClockId::Monotonic), clock(ClockId::ThreadCPUTime));
        pace.account(after.saturating_sub(wall), cpu.saturating_sub(used));
        (wall, used) = (after, cpu);
    }
}

/// How far a thread is behind what it should have had, in seconds of processor time.
#[derive(Debug)]
struct Pace {
    share: f64,
    debt: f64,
}

impl Pace {
    fn new(share: f64) -> Self {
        Self { share, debt: 0.0 }
    }

    /// Processor time for a period that begins now.
    fn budget(&self, period: Duration) -> Duration {
        let seconds = (self.share * period.as_secs_f64() + self.debt).max(0.0);
        Duration::from_secs_f64(seconds)
    }

    fn account(&mut self, wall: Duration, cpu: Duration) {
        let most = DEBT_MAX.as_secs_f64();
        self.debt += self.share * wall.as_secs_f64() - cpu.as_secs_f64();
        self.debt = self.debt.clamp(-most, most);
    }
}

/// A little work that the optimiser cannot remove.
fn spin() {
    let mut value = 1_u64;
    for step in 0..SPINS {
        value = black_box(value.wrapping_mul(6_364_136_223_846_793_005) ^ u64::from(step));
    }
}

fn clock(id: ClockId) -> Duration {
    let now = rustix::time::clock_gettime(id);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A model of a scheduler: the thread gets at most `granted` of its budget, and oversleeps.
        #[test]
        fn the_share_is_met_whatever_the_wake_ups_are(
            share in 0.01_f64..=0.8,
            late_ms in prop::collection::vec(0_u64..6, 250),
        ) {
            let mut pace = Pace::new(share);
            let (mut wall, mut cpu) = (Duration::ZERO, Duration::ZERO);
            for late in late_ms {
                let used = pace.budget(PERIOD).min(PERIOD);
                let length = PERIOD + Duration::from_millis(late);
                pace.account(length, used);
                wall += length;
                cpu += used;
            }
            let got = cpu.as_secs_f64() / wall.as_secs_f64();
            // Up to the most that is possible when every period ends late.
            prop_assert!((got - share).abs() < 0.02 || got > 0.75, "{got} for {share}");
        }

        #[test]
        fn starvation_is_not_followed_by_excess(share in 0.01_f64..=1.0, periods in 1_u32..1000) {
            let mut pace = Pace::new(share);
            for _ in 0..periods {
                pace.account(PERIOD, Duration::ZERO);
            }
            let most = Duration::from_secs_f64(share * PERIOD.as_secs_f64()) + DEBT_MAX;
            prop_assert!(pace.budget(PERIOD) <= most + Duration::from_nanos(1));
        }

        #[test]
        fn a_load_outside_its_bounds_is_refused(
            percent in prop_oneof![Just(f64::NAN), -100.0_f64..=0.0, 100.1_f64..1e6],
            threads in 1_u32..=THREADS_MAX,
        ) {
            let load = CpuLoad { percent, threads, cpus: None, ahead: false };
            prop_assert!(load.validate().is_err());
            let load = CpuLoad { percent: 50.0, threads: threads + THREADS_MAX, cpus: None, ahead: false };
            prop_assert!(load.validate().is_err());
        }
    }
}
