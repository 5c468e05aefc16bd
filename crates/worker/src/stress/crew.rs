//! Further workers, for what one process may not hold alone.
//!
//! They are children of the worker and end with it, and they keep its deadline: each has a timer of
//! its own, so they end even while the worker is stopped.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use super::StressError;
use crate::control::Control;
use crate::handle::{WorkerConfig, WorkerHandle};
use crate::job::Job;

/// The most of one crew: beyond, a count is a mistake or a machine that we do not know.
const MEMBERS_MAX: u64 = 256;

/// How late a renewed deadline may reach the members; short beside any lease.
const BEAT: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Crew {
    members: Vec<WorkerHandle>,
    deadline: Duration,
}

/// How many pieces one process may hold, and what says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) pieces: u64,
    pub(super) unit: &'static str,
    pub(super) limit: &'static str,
}

impl Crew {
    /// Starts members for all but the first share of `wanted`; gives them, and that share. To be
    /// kept on the thread that started it: the members end with that thread.
    pub(super) fn start(
        wanted: u64,
        capacity: Capacity,
        control: &Control,
        job: impl Fn(u64) -> Job,
    ) -> Result<(Self, u64), StressError> {
        let own = wanted.min(capacity.pieces);
        let mut left = wanted - own;
        if capacity.pieces == 0 || left.div_ceil(capacity.pieces) > MEMBERS_MAX {
            return Err(StressError::BeyondProcess {
                wanted,
                most: capacity.pieces,
                unit: capacity.unit,
                limit: capacity.limit,
            });
        }
        let deadline = control.deadline();
        let config = own_program();
        let mut members = Vec::new();
        while left > 0 {
            control.check();
            let share = left.min(capacity.pieces);
            members.push(WorkerHandle::spawn(&config, &job(share), deadline).map_err(Box::new)?);
            left -= share;
        }
        Ok((Self { members, deadline }, own))
    }

    /// Holds until the process ends; returns when a member has failed.
    pub(super) fn keep(mut self, control: &Control) -> Result<Infallible, StressError> {
        loop {
            control.wait(BEAT);
            let deadline = control.deadline();
            let renewed = deadline != self.deadline;
            self.deadline = deadline;
            for member in &mut self.members {
                // Either way an ended member is noticed.
                if renewed {
                    member.extend(deadline).map_err(Box::new)?;
                } else {
                    member.last_beat().map_err(Box::new)?;
                }
            }
        }
    }
}

/// This program with the words it was started with; the last of them is the parent's pid, which
/// each parent adds itself.
fn own_program() -> WorkerConfig {
    let mut command: Vec<_> = std::env::args_os().skip(1).collect();
    command.pop();
    WorkerConfig {
        exe: PathBuf::from("/proc/self/exe"),
        command,
        ..WorkerConfig::new()
    }
}
