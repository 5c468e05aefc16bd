//! What the faults of file systems check before they are applied.

use std::path::{Path, PathBuf};

use firedrill_kernel::mounts::{self, Space};
use firedrill_worker::stress::Amount;
use serde_json::Value;

use super::Unfit;
use crate::arguments::Arguments;
use crate::fault::CompileError;

/// Room that the faults leave unless told otherwise, of the whole.
pub(super) const RESERVE_PERCENT: u64 = 5;

/// What is in use and what is there, in one unit.
pub(super) struct Room {
    pub(super) total: u64,
    pub(super) available: u64,
    pub(super) unit: &'static str,
}

pub(super) fn path(read: &mut Arguments<'_>) -> PathBuf {
    let path = read.read(
        "path",
        "the absolute path of a directory",
        |value: &Value| {
            let path = PathBuf::from(value.as_str()?);
            path.is_absolute().then_some(path)
        },
    );
    read.require("path", path, "a directory of the file system")
}

/// The room of a directory that can be written to.
pub(super) fn space(path: &Path) -> Result<Space, CompileError> {
    if !path.is_dir() {
        return Err(Unfit::NoDirectory { path: path.into() }.into());
    }
    let space = mounts::space(path)?;
    if space.read_only {
        return Err(Unfit::ReadOnly { path: path.into() }.into());
    }
    if space.total_bytes == 0 {
        return Err(Unfit::Unsized { path: path.into() }.into());
    }
    Ok(space)
}

impl Room {
    /// Whether the amount fits beside the reserve now; the worker looks again when it takes it.
    pub(super) fn check(
        &self,
        path: &Path,
        amount: Amount,
        reserve: u64,
    ) -> Result<(), CompileError> {
        let used = self.total.saturating_sub(self.available);
        let free = self.available.saturating_sub(reserve);
        let wanted = match amount {
            Amount::Count(count) => count,
            Amount::Percent(percent) => {
                let level = (self.total as f64 * percent / 100.0) as u64;
                level.checked_sub(used).ok_or(Unfit::FullerAlready {
                    path: path.into(),
                    percent,
                })?
            }
        };
        if wanted > free {
            return Err(Unfit::NoRoom {
                path: path.into(),
                wanted,
                free,
                reserve,
                unit: self.unit,
            }
            .into());
        }
        Ok(())
    }
}
