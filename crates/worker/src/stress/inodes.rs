//! Inodes of a file system: files without names, kept open.

use std::convert::Infallible;
use std::fs::File;
use std::path::PathBuf;

use rustix::fs::{OFlags, fstatvfs};
use serde::{Deserialize, Serialize};

use super::crew::Crew;
use super::descriptors::{descriptors_for, make_table};
use super::room::{Amount, Room};
use super::{StressError, unnamed};
use crate::control::Control;
use crate::job::Job;
use crate::measurement::{Measurement, Quantity};

/// Inodes of the file system of a directory, held by as many processes as it takes: each may have as
/// many as its limit of descriptors can be raised to (`RLIMIT_NOFILE`, at most `fs.nr_open`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InodeFill {
    pub directory: PathBuf,
    /// Inodes, or the fill level as `df -i` shows it.
    pub amount: Amount,
    /// Inodes that stay free.
    pub reserve: u64,
}

/// Files between two looks at the deadline.
const STEP: usize = 256;

impl InodeFill {
    /// # Errors
    /// When a parameter is out of range.
    pub fn validate(&self) -> Result<(), StressError> {
        self.amount.validate()
    }

    pub(crate) fn run(self, control: &Control) -> Result<Infallible, StressError> {
        let first = unnamed::create(&self.directory, OFlags::empty())?;
        // The first file is one of them: it is counted as used from here on.
        let room = self.room(&first)?;
        let before = Room {
            used: room.used.saturating_sub(1),
            ..room
        };
        let wanted = before.share(self.amount, self.reserve)?;
        let capacity = descriptors_for("inodes", wanted)?;
        let (crew, own) = Crew::start(wanted, capacity, control, |count| {
            Job::Inodes(Self {
                directory: self.directory.clone(),
                amount: Amount::Count(count),
                reserve: self.reserve,
            })
        })?;
        make_table(&first, own);
        let mut held: Vec<File> = Vec::new();
        if own > 0 {
            held.push(first);
        }
        while (held.len() as u64) < own {
            if held.len().is_multiple_of(STEP) {
                control.check();
                self.keep_reserve(&held, own)?;
            }
            held.push(unnamed::create(&self.directory, OFlags::empty())?);
        }
        control.ready(move || {
            vec![Measurement::exact(
                Quantity::InodesHeld,
                Some(wanted as f64),
                wanted as f64,
            )]
        });
        // `held` lives as long as this.
        crew.keep(control)
    }

    fn room(&self, file: &File) -> Result<Room, StressError> {
        let stat = fstatvfs(file).map_err(|errno| StressError::File {
            doing: "read how many inodes are free",
            directory: self.directory.clone(),
            source: errno.into(),
        })?;
        if stat.f_files == 0 {
            return Err(StressError::NoInodeLimit {
                directory: self.directory.clone(),
            });
        }
        Ok(Room {
            total: stat.f_files,
            used: stat.f_files.saturating_sub(stat.f_favail),
            unit: "inodes",
        })
    }

    /// Others make files too.
    fn keep_reserve(&self, held: &[File], wanted: u64) -> Result<(), StressError> {
        let Some(file) = held.first() else {
            return Ok(());
        };
        let room = self.room(file)?;
        let free = room
            .total
            .saturating_sub(room.used)
            .saturating_sub(self.reserve);
        let left = wanted.saturating_sub(held.len() as u64);
        if left > free {
            return Err(StressError::NoRoom {
                wanted: left,
                free,
                reserve: self.reserve,
                unit: room.unit,
            });
        }
        Ok(())
    }
}
