//! Memory that is really taken: every page written with noise, and kept resident.
//!
//! The worker is the first that the out-of-memory killer takes (`oom_score_adj` 1000), so when the
//! reserve was too small it is the load that goes, and the drill sees its worker end.

mod held;
mod surroundings;

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::mm::MlockAllFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::StressError;
use super::room::percentage;
use super::samples::Samples;
use crate::control::Control;
use crate::measurement::{Measurement, Quantity};

use held::Held;
use surroundings::Surroundings;

/// Memory of the host, or of the worker's cgroup where that has a limit below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryLoad {
    pub amount: MemoryAmount,
    /// Whether the amount is what everybody together uses: then the load follows up and down every
    /// second while the use of others moves. Otherwise it is added to what is used.
    pub total: bool,
    /// Bytes that stay available; 5 % of the whole, and 64 MiB at least, where absent.
    #[serde(default)]
    pub reserve: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryAmount {
    Bytes(u64),
    Percent { percent: f64, of: PercentOf },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PercentOf {
    Total,
    /// Of what is available when the load begins.
    Available,
}

const RESERVE_MIN: u64 = 64 << 20;

/// Between two looks at what is left: others take too.
const STEP: u64 = 16 << 20;

impl MemoryLoad {
    /// # Errors
    /// When a parameter is out of range.
    pub fn validate(&self) -> Result<(), StressError> {
        match self.amount {
            MemoryAmount::Bytes(0) => Err(StressError::OutOfRange {
                name: "bytes",
                value: "0".to_owned(),
                rule: "at least 1",
            }),
            MemoryAmount::Bytes(_) => Ok(()),
            MemoryAmount::Percent {
                percent,
                of: PercentOf::Available,
            } if self.total => Err(StressError::OutOfRange {
                name: "percent",
                value: format!("{percent} of what is available, in total"),
                rule: "of the total when it is what everybody uses",
            }),
            MemoryAmount::Percent { percent, .. } => percentage("percent", percent),
        }
    }

    pub(crate) fn run(self, control: &Control) -> Result<Infallible, StressError> {
        let locked = lock_memory();
        let goal = self.goal(&Surroundings::read()?, anonymous()?)?;
        let used = Samples::default();
        let shown_used = used.clone();
        control.ready(move || {
            // As asked, even when it is filling still, or made room for others.
            let (asked, mut measured) = match goal.level {
                Level::Added(bytes) => (Some(bytes as f64), Vec::new()),
                Level::Total(bytes) => {
                    let all = shown_used.mean(Quantity::MemoryUsed, Some(bytes as f64));
                    (None, all)
                }
            };
            if let Ok(held) = anonymous() {
                let held = held as f64;
                measured.push(Measurement::exact(Quantity::MemoryHeld, asked, held));
            }
            measured
        });
        let mut held = Held::new();
        loop {
            let now = goal.approach(&mut held, control)?;
            used.push(now.used() as f64);
            if !locked {
                held.touch(control);
            }
            control.wait(Duration::from_secs(1));
        }
    }

    /// What to hold, as far as it can be said before anything is held. `own` is what this process
    /// takes to run, which is a part of what is asked for.
    fn goal(&self, before: &Surroundings, own: u64) -> Result<Goal, StressError> {
        let reserve = self
            .reserve
            .unwrap_or_else(|| RESERVE_MIN.max(before.total / 20));
        let bytes = match self.amount {
            MemoryAmount::Bytes(bytes) => bytes,
            MemoryAmount::Percent { percent, of } => {
                let whole = match of {
                    PercentOf::Total => before.total,
                    PercentOf::Available => before.available,
                };
                (whole as f64 * percent / 100.0) as u64
            }
        };
        let level = if self.total {
            Level::Total(bytes)
        } else {
            Level::Added(bytes)
        };
        let goal = Goal {
            level,
            own,
            reserve,
        };
        let wanted = goal.unbounded(before, 0);
        if wanted == 0 {
            return Err(StressError::AlreadyFuller {
                used: before.used(),
                total: before.total,
                percent: bytes as f64 * 100.0 / before.total.max(1) as f64,
                unit: "bytes",
            });
        }
        let free = before.available.saturating_sub(reserve);
        if wanted > free {
            return Err(StressError::NoRoom {
                wanted,
                free,
                reserve,
                unit: "bytes",
            });
        }
        Ok(goal)
    }
}

/// What the load works towards, from second to second.
#[derive(Clone, Copy, Debug)]
struct Goal {
    level: Level,
    own: u64,
    reserve: u64,
}

#[derive(Clone, Copy, Debug)]
enum Level {
    /// Bytes of this process.
    Added(u64),
    /// Bytes used by everybody.
    Total(u64),
}

impl Goal {
    fn unbounded(&self, now: &Surroundings, held: u64) -> u64 {
        match self.level {
            Level::Added(bytes) => bytes.saturating_sub(self.own).max(1),
            Level::Total(bytes) => bytes.saturating_sub(now.used().saturating_sub(held)),
        }
    }

    /// What to hold so that the reserve stays.
    fn bounded(&self, now: &Surroundings, held: u64) -> u64 {
        let most = held
            .saturating_add(now.available)
            .saturating_sub(self.reserve);
        self.unbounded(now, held).min(most)
    }

    /// Below this a difference is the noise of other processes, not worth moving pages for.
    fn tolerance(&self) -> u64 {
        match self.level {
            Level::Added(_) => 0,
            Level::Total(bytes) => bytes / 400,
        }
    }

    /// Gives back at once, and grows step by step; what was seen last.
    fn approach(&self, held: &mut Held, control: &Control) -> Result<Surroundings, StressError> {
        loop {
            control.check();
            let now = Surroundings::read()?;
            let to_hold = self.bounded(&now, held.bytes());
            let difference = to_hold.abs_diff(held.bytes());
            if difference <= self.tolerance() || held.is_as_near_as_pages_go(to_hold) {
                return Ok(now);
            }
            if to_hold < held.bytes() {
                // Once a second: what is available moves a little all the time.
                held.shrink_to(to_hold)?;
                return Ok(now);
            }
            held.grow(difference.min(STEP))?;
        }
    }
}

/// Keeps pages in memory once they are touched. Only where there is no limit: with one, a later
/// allocation of this process would fail.
fn lock_memory() -> bool {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    // Refused without CAP_SYS_RESOURCE; then the limit is what it was.
    let _ = setrlimit(Resource::Memlock, unlimited);
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    getrlimit(Resource::Memlock).current.is_none() && rustix::mm::mlockall(flags).is_ok()
}

/// Up to here every page is counted, which takes some 50 ms for a GiB; the guardian waits ten times
/// that for a figure.
const COUNTED_MOST: u64 = 2 << 30;

/// Resident bytes of this process that no file stands behind.
fn anonymous() -> Result<u64, StressError> {
    // Kept up by the kernel all the time, by each processor for itself: some pages are missing or
    // too many, which is much of little and little of much.
    let about = of_this_process("status", "RssAnon:")?;
    if about > COUNTED_MOST {
        return Ok(about);
    }
    of_this_process("smaps_rollup", "Anonymous:")
}

fn of_this_process(file: &str, field: &str) -> Result<u64, StressError> {
    let path = Path::new("/proc/self").join(file);
    let text = fs::read_to_string(&path).map_err(|source| StressError::Read {
        path: path.clone(),
        source,
    })?;
    surroundings::kilobytes(&text, field).ok_or(StressError::Malformed {
        path,
        what: "anonymous memory",
    })
}

#[cfg(test)]
mod tests;
