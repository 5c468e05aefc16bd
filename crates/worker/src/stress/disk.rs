//! Room on a file system: one file without a name that grows until the asked-for room is taken.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FallocateFlags, OFlags, fallocate, fstatvfs};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::noise::Noise;
use super::room::{Amount, Room};
use super::{StressError, unnamed};
use crate::control::Control;
use crate::measurement::{Measurement, Quantity};

/// Bytes of the file system of a directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFill {
    pub directory: PathBuf,
    /// Bytes, or the fill level as `df` shows it.
    pub amount: Amount,
    /// Bytes that stay free for processes without privileges.
    pub reserve_bytes: u64,
}

/// Between two looks at what is left: others write too.
const STEP: u64 = 64 << 20;

impl DiskFill {
    /// # Errors
    /// When a parameter is out of range.
    pub fn validate(&self) -> Result<(), StressError> {
        self.amount.validate()
    }

    pub(crate) fn run(self, control: &Control) -> Result<Infallible, StressError> {
        let file = unnamed::create(&self.directory, OFlags::empty())?;
        let wanted = self.room(&file)?.share(self.amount, self.reserve_bytes)?;
        let mut filler = Filler::new(&file, &self.directory);
        let mut length = 0;
        while length < wanted {
            control.check();
            let step = STEP.min(wanted - length);
            let free = available(&file, &self.directory)?;
            if free < step.saturating_add(self.reserve_bytes) {
                return Err(StressError::NoRoom {
                    wanted: wanted - length,
                    free: free.saturating_sub(self.reserve_bytes),
                    reserve: self.reserve_bytes,
                    unit: "bytes",
                });
            }
            filler.grow(length, step)?;
            length += step;
        }
        control.ready(move || {
            let held = file.metadata().map(|metadata| metadata.blocks() * 512);
            held.into_iter()
                .map(|held| {
                    Measurement::exact(Quantity::DiskHeld, Some(wanted as f64), held as f64)
                })
                .collect()
        });
        loop {
            control.wait(Duration::from_secs(60));
        }
    }

    /// As `df` counts: what only root may use is neither free nor part of the whole.
    fn room(&self, file: &File) -> Result<Room, StressError> {
        let stat = fstatvfs(file).map_err(|errno| unreadable(&self.directory, errno))?;
        let used = stat.f_blocks.saturating_sub(stat.f_bfree) * stat.f_frsize;
        Ok(Room {
            total: used + stat.f_bavail * stat.f_frsize,
            used,
            unit: "bytes",
        })
    }
}

/// Grows a file by blocks that are really taken.
struct Filler<'a> {
    file: &'a File,
    directory: &'a Path,
    /// Until the file system turns out not to reserve room without writing.
    allocates: bool,
}

impl<'a> Filler<'a> {
    fn new(file: &'a File, directory: &'a Path) -> Self {
        Self {
            file,
            directory,
            allocates: true,
        }
    }

    fn grow(&mut self, offset: u64, length: u64) -> Result<(), StressError> {
        let failed = |source: io::Error| StressError::File {
            doing: "take room",
            directory: self.directory.to_owned(),
            source,
        };
        if self.allocates {
            match fallocate(self.file, FallocateFlags::empty(), offset, length) {
                // Some file systems accept the call and take nothing.
                Ok(()) if self.held().map_err(failed)? >= offset + length => return Ok(()),
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.allocates = false,
                Err(errno) => return Err(failed(errno.into())),
            }
        }
        self.write(offset, length).map_err(failed)
    }

    /// With noise, which a file system that compresses cannot make smaller.
    fn write(&self, mut offset: u64, length: u64) -> io::Result<()> {
        let end = offset + length;
        let mut noise = Noise::new();
        let mut block = vec![0_u8; 1 << 20];
        noise.fill_bytes(&mut block);
        while offset < end {
            let part = usize::try_from(end - offset)
                .unwrap_or(usize::MAX)
                .min(block.len());
            // Different in every block, for those that keep equal blocks once.
            noise.fill_bytes(block.get_mut(..part.min(4096)).unwrap_or_default());
            self.file
                .write_all_at(block.get(..part).unwrap_or_default(), offset)?;
            offset += part as u64;
        }
        rustix::fs::fdatasync(self.file)?;
        Ok(())
    }

    fn held(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.blocks() * 512)
    }
}

fn available(file: &File, directory: &Path) -> Result<u64, StressError> {
    let stat = fstatvfs(file).map_err(|errno| unreadable(directory, errno))?;
    Ok(stat.f_bavail * stat.f_frsize)
}

fn unreadable(directory: &Path, errno: Errno) -> StressError {
    StressError::File {
        doing: "read how much is free",
        directory: directory.to_owned(),
        source: errno.into(),
    }
}
