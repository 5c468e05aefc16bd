//! What a worker can be told to hold.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::control::Control;
use crate::interception::{Interception, InterceptionError, Interceptor};
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
    Intercept(Box<Interception>),
}

/// Why a job is not in place.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error(transparent)]
    Stress(#[from] StressError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Interception(#[from] InterceptionError),
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
            Self::Intercept(job) => job.validate()?,
        }
        Ok(())
    }

    /// Whether it holds what belongs to others, which is to be let go at its end.
    #[must_use]
    pub fn holds_for_others(&self) -> bool {
        matches!(self, Self::Queue(_) | Self::Intercept(_))
    }

    /// The out-of-memory killer's preference for its worker: what only makes load goes first, and
    /// what carries the traffic of others last.
    pub(crate) fn oom_score_adj(&self) -> &'static str {
        match self {
            Self::Queue(_) | Self::Intercept(_) => "-1000",
            _ => "1000",
        }
    }

    /// Puts the fault in place and holds it for as long as the process lives.
    pub(crate) fn run(
        self,
        control: &Control,
        interceptor: Option<Interceptor>,
    ) -> Result<Infallible, JobError> {
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
            Self::Intercept(job) => {
                let intercept = interceptor.ok_or(InterceptionError::NoProxy)?;
                intercept(&job, control)?
            }
        })
    }
}
