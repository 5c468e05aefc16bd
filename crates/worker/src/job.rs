//! What a worker can be told to hold.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::control::Control;
use crate::queue::{self, QueueError, QueueJob};
use crate::stress::{
    ClockStrobe, CpuLoad, DescriptorFill, DiskFill, InodeFill, IoLoad, MemoryLoad, PidFill,
    PortHold, StressError,
};

/// One fault that a process has to hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "kebab-case")]
pub enum Job {
    Cpu(CpuLoad),
    Memory(MemoryLoad),
    Io(IoLoad),
    Disk(DiskFill),
    Inodes(InodeFill),
    Pids(PidFill),
    Descriptors(DescriptorFill),
    Ports(PortHold),
    ClockStrobe(ClockStrobe),
    Queue(QueueJob),
}

/// Why a job is not in place.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error(transparent)]
    Stress(#[from] StressError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Job {
    /// Checks the bounds that can be checked before a worker is started.
    ///
    /// # Errors
    /// When a parameter is out of range.
    pub fn validate(&self) -> Result<(), JobError> {
        match self {
            Self::Cpu(job) => job.validate()?,
            Self::Memory(job) => job.validate()?,
            Self::Io(job) => job.validate()?,
            Self::Disk(job) => job.validate()?,
            Self::Inodes(job) => job.validate()?,
            Self::Pids(job) => job.validate()?,
            Self::Descriptors(job) => job.validate()?,
            Self::Ports(job) => job.validate()?,
            Self::ClockStrobe(job) => job.validate()?,
            Self::Queue(job) => job.validate()?,
        }
        Ok(())
    }

    /// The out-of-memory killer's preference for its worker: what only makes load goes first, and
    /// what carries the traffic of others last.
    pub(crate) fn oom_score_adj(&self) -> &'static str {
        match self {
            Self::Queue(_) => "-1000",
            _ => "1000",
        }
    }

    /// Puts the fault in place and holds it for as long as the process lives.
    pub(crate) fn run(self, control: &Control) -> Result<Infallible, JobError> {
        self.validate()?;
        Ok(match self {
            Self::Cpu(job) => job.run(control)?,
            Self::Memory(job) => job.run(control)?,
            Self::Io(job) => job.run(control)?,
            Self::Disk(job) => job.run(control)?,
            Self::Inodes(job) => job.run(control)?,
            Self::Pids(job) => job.run(control)?,
            Self::Descriptors(job) => job.run(control)?,
            Self::Ports(job) => job.run(control)?,
            Self::ClockStrobe(job) => job.run(control)?,
            Self::Queue(job) => queue::run(job, control)?,
        })
    }
}
