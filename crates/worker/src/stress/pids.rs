//! Entries of the process table: threads that sleep.
//!
//! The kernel gives every thread a number of its own from the same table as processes, and counts
//! it like a process against a cgroup's `pids.max`, `kernel.threads-max`, `kernel.pid_max` and
//! `RLIMIT_NPROC`. So threads take what processes would, and they all end with the worker: nothing
//! is left to be found and killed.

use std::convert::Infallible;
use std::path::Path;
use std::thread::Builder;

use firedrill_kernel::cgroup::{Cgroup, Controller, Limit, LimitKind};
use serde::{Deserialize, Serialize};

use super::StressError;
use super::crew::{Capacity, Crew};
use super::descriptors::read_number;
use super::room::{Amount, Room};
use crate::control::Control;
use crate::job::Job;
use crate::measurement::{Measurement, Quantity};

/// Tasks of the worker's cgroup where that has a limit, or else of the kernel.
///
/// Held by as many processes as it takes: each thread has two memory mappings (its stack and the
/// guard below), so one process may have half as many as `vm.max_map_count`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PidFill {
    /// Tasks, or the share of the limit in use.
    pub amount: Amount,
    /// Tasks that stay possible. Without any, nobody can log in to look.
    pub reserve: u64,
}

/// The least that glibc accepts on every architecture; a parked thread uses one page of it.
const STACK: usize = 128 * 1024;

/// Threads of a further worker that are not parked: they are tasks as well.
const OWN: u64 = 2;

/// Threads between two looks at the deadline.
const STEP: u64 = 64;

impl PidFill {
    /// # Errors
    /// When a parameter is out of range.
    pub fn validate(&self) -> Result<(), StressError> {
        self.amount.validate()
    }

    pub(crate) fn run(self, control: &Control) -> Result<Infallible, StressError> {
        let wanted = room()?.share(self.amount, self.reserve)?;
        let maps = read_number(Path::new("/proc/sys/vm/max_map_count"))?;
        // A few hundred are the program's own.
        let capacity = Capacity {
            pieces: maps.saturating_sub(512) / 2,
            unit: "tasks",
            limit: "vm.max_map_count",
        };
        let (crew, own) = Crew::start(wanted, capacity, control, |count| {
            Job::Pids(Self {
                amount: Amount::Count(count.saturating_sub(OWN).max(1)),
                reserve: self.reserve,
            })
        })?;
        for started in 0..own {
            if started.is_multiple_of(STEP) {
                control.check();
                // Others start processes too.
                room()?.share(Amount::Count(own - started), self.reserve)?;
            }
            Builder::new()
                .name("parked".to_owned())
                .stack_size(STACK)
                .spawn(park)
                .map_err(|source| StressError::Call {
                    doing: "start a thread",
                    source,
                })?;
        }
        control.ready(move || {
            vec![Measurement::exact(
                Quantity::ProcessesHeld,
                Some(wanted as f64),
                wanted as f64,
            )]
        });
        crew.keep(control)
    }
}

fn park() {
    loop {
        std::thread::park();
    }
}

/// The tightest limit that applies: of the cgroup and those above it, and of the kernel.
fn room() -> Result<Room, StressError> {
    let mut tightest = kernel_room()?;
    let Some(cgroup) = Cgroup::of(std::process::id(), Controller::Pids)? else {
        return Ok(tightest);
    };
    let mut path = Some(cgroup.path.as_path());
    while let Some(directory) = path {
        let above = Cgroup {
            version: cgroup.version,
            path: directory.to_owned(),
        };
        if !above.has(Controller::Pids) {
            break;
        }
        if let Limit::Pids(Some(total)) = above.limit(LimitKind::Pids)? {
            let used = above.tasks()?;
            let free = |total: u64, used: u64| total.saturating_sub(used);
            if free(total, used) < free(tightest.total, tightest.used) {
                tightest = Room {
                    total,
                    used,
                    ..tightest
                };
            }
        }
        path = directory.parent();
    }
    Ok(tightest)
}

/// Numbers below `pid_max` and tasks below `threads-max`, whichever ends first.
fn kernel_room() -> Result<Room, StressError> {
    let numbers = read_number(Path::new("/proc/sys/kernel/pid_max"))?;
    let tasks = read_number(Path::new("/proc/sys/kernel/threads-max"))?;
    Ok(Room {
        total: numbers.min(tasks),
        used: tasks_in_use()?,
        unit: "tasks",
    })
}

/// The second part of the fourth field of `/proc/loadavg`: tasks that exist now.
fn tasks_in_use() -> Result<u64, StressError> {
    let path = Path::new("/proc/loadavg");
    let text = std::fs::read_to_string(path).map_err(|source| StressError::Read {
        path: path.to_owned(),
        source,
    })?;
    text.split_ascii_whitespace()
        .nth(3)
        .and_then(|field| field.split_once('/')?.1.parse().ok())
        .ok_or_else(|| StressError::Malformed {
            path: path.to_owned(),
            what: "number of tasks",
        })
}
