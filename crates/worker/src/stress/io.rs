//! Traffic to a block device, past the page cache.

mod stream;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fstatvfs};
use serde::{Deserialize, Serialize};

use super::samples::Samples;
use super::{StressError, unnamed};
use crate::control::Control;
use crate::measurement::Quantity;

use stream::Stream;

/// Reads and writes of files without names in a directory, one file per worker thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IoLoad {
    pub directory: PathBuf,
    pub mode: IoMode,
    /// Bytes of one request: a multiple of 4096, at most 16 MiB.
    pub block_size: u64,
    /// Bytes per second, of all threads together; as fast as the device goes where absent.
    #[serde(default)]
    pub rate: Option<u64>,
    /// Threads, 1 to 64.
    pub workers: u32,
    /// Bytes of each file, written before the load begins: a multiple of the block size.
    pub file_size: u64,
    /// Bytes that stay free on the file system.
    pub reserve_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IoMode {
    Read,
    Write,
    /// By turns.
    Mixed,
}

/// What every device that is in use can address, and O_DIRECT asks for.
const ALIGNMENT: u64 = 4096;
const BLOCK_MAX: u64 = 16 << 20;
const WORKERS_MAX: u32 = 64;

impl IoLoad {
    /// # Errors
    /// When a parameter is out of range.
    pub fn validate(&self) -> Result<(), StressError> {
        let out = |name, value: u64, rule| {
            Err(StressError::OutOfRange {
                name,
                value: value.to_string(),
                rule,
            })
        };
        let block = self.block_size;
        if !(ALIGNMENT..=BLOCK_MAX).contains(&block) || !block.is_multiple_of(ALIGNMENT) {
            return out("block_size", block, "a multiple of 4096, at most 16 MiB");
        }
        if self.file_size == 0 || !self.file_size.is_multiple_of(block) {
            return out("file_size", self.file_size, "a multiple of the block size");
        }
        if !(1..=WORKERS_MAX).contains(&self.workers) {
            return out("workers", u64::from(self.workers), "1 to 64");
        }
        match self.rate {
            Some(0) => out("rate", 0, "at least 1 byte per second"),
            _ => Ok(()),
        }
    }

    pub(crate) fn run(self, control: &Control) -> Result<Infallible, StressError> {
        let mut streams = self.open()?;
        for stream in &mut streams {
            stream
                .prepare(control)
                .map_err(|source| self.failed(source))?;
        }
        let done = Arc::new(AtomicU64::new(0));
        let (failures, failed) = std::sync::mpsc::channel();
        for stream in streams {
            let (control, done, failures) = (control.clone(), Arc::clone(&done), failures.clone());
            let load = self.clone();
            Builder::new()
                .name("io".to_owned())
                .spawn(move || {
                    let Err(error) = load.keep_going(stream, &done, &control);
                    // The job's thread ends the process when it has told why.
                    let _ = failures.send(error);
                })
                .map_err(|source| StressError::Call {
                    doing: "start a thread",
                    source,
                })?;
        }
        let samples = Samples::default();
        let shown = samples.clone();
        let requested = self.rate.map(|rate| rate as f64);
        control.ready(move || shown.mean(Quantity::BytesPerSecond, requested));
        let mut before = (Instant::now(), 0);
        loop {
            control.wait(Duration::from_secs(1));
            if let Ok(error) = failed.try_recv() {
                return Err(self.failed(error));
            }
            let now = (Instant::now(), done.load(Ordering::Relaxed));
            samples.push((now.1 - before.1) as f64 / (now.0 - before.0).as_secs_f64());
            before = now;
        }
    }

    /// The files, if they fit beside the reserve.
    fn open(&self) -> Result<Vec<Stream>, StressError> {
        let probe = unnamed::create(&self.directory, OFlags::empty())?;
        let stat = fstatvfs(&probe).map_err(|errno| self.failed(errno.into()))?;
        let free = (stat.f_bavail * stat.f_frsize).saturating_sub(self.reserve_bytes);
        let wanted = self.file_size.saturating_mul(u64::from(self.workers));
        if wanted > free {
            return Err(StressError::NoRoom {
                wanted,
                free,
                reserve: self.reserve_bytes,
                unit: "bytes",
            });
        }
        (0..self.workers)
            .map(|_| Stream::open(&self.directory, self.block_size, self.file_size))
            .collect()
    }

    fn keep_going(
        &self,
        mut stream: Stream,
        done: &AtomicU64,
        control: &Control,
    ) -> Result<Infallible, std::io::Error> {
        let mut pace = Pace::new(self.rate.map(|rate| rate as f64 / f64::from(self.workers)));
        let mut write = self.mode == IoMode::Write;
        loop {
            control.check();
            if write {
                stream.write()?;
            } else {
                stream.read()?;
            }
            done.fetch_add(self.block_size, Ordering::Relaxed);
            if let Some(rest) = pace.after(self.block_size, Instant::now()) {
                control.wait(rest);
            }
            write ^= self.mode == IoMode::Mixed;
        }
    }

    fn failed(&self, source: std::io::Error) -> StressError {
        StressError::File {
            doing: "read and write",
            directory: self.directory.clone(),
            source,
        }
    }
}

/// When the next request is due.
#[derive(Debug)]
struct Pace {
    /// Bytes per second.
    rate: Option<f64>,
    due: Option<Instant>,
}

/// How far a device that was slow for a while may catch up, or the time of one
/// request where that is longer: what a request itself takes is never lost.
const CATCH_UP: Duration = Duration::from_millis(200);

impl Pace {
    fn new(rate: Option<f64>) -> Self {
        Self { rate, due: None }
    }

    /// How long to wait after a request of so many bytes.
    fn after(&mut self, bytes: u64, now: Instant) -> Option<Duration> {
        let rate = self.rate?;
        // A year at most, so that the sum is a time.
        let step = Duration::from_secs_f64((bytes as f64 / rate).min(3.2e7));
        let earliest = now.checked_sub(CATCH_UP.max(step)).unwrap_or(now);
        let from = self.due.unwrap_or(now).max(earliest);
        let due = from + step;
        self.due = Some(due);
        due.checked_duration_since(now)
            .filter(|rest| !rest.is_zero())
    }
}

#[cfg(test)]
mod tests;
