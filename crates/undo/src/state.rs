//! Where undo logs live.

use std::env;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

/// The directory of one user's drills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir(PathBuf);

/// The name of a drill: 1 to 64 of `a-z`, `0-9`, `-`, starting with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DrillId(String);

/// One drill's directory: its undo log, its lock, its lease.
#[derive(Clone, Debug)]
pub(crate) struct DrillDir(PathBuf);

/// A lock that ends with the process that holds it.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// What is wrong with the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("no state directory: neither FIREDRILL_STATE_DIR, XDG_STATE_HOME nor HOME is set")]
    Homeless,
    #[error("{0:?} is not a drill id: 1 to 64 of a-z, 0-9 and -, not starting with -")]
    BadDrillId(String),
    #[error("cannot {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("drill {0} exists already")]
    DrillExists(DrillId),
}

impl StateDir {
    /// `$FIREDRILL_STATE_DIR`; else `/var/lib/firedrill` for root; else
    /// `$XDG_STATE_HOME/firedrill`; else `~/.local/state/firedrill`.
    ///
    /// # Errors
    /// When none of them can be named.
    pub fn for_user() -> Result<Self, StateError> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        if let Some(path) = set("FIREDRILL_STATE_DIR") {
            return Ok(Self::at(path));
        }
        if rustix::process::geteuid().is_root() {
            return Ok(Self::at("/var/lib/firedrill"));
        }
        if let Some(path) = set("XDG_STATE_HOME") {
            return Ok(Self::at(PathBuf::from(path).join("firedrill")));
        }
        let home = set("HOME").ok_or(StateError::Homeless)?;
        Ok(Self::at(PathBuf::from(home).join(".local/state/firedrill")))
    }

    /// Those of all users that exist here, this user's first: by default places, from
    /// `/etc/passwd`. Only root can read others'.
    ///
    /// # Errors
    /// When this user's cannot be named.
    pub fn of_everybody() -> Result<Vec<Self>, StateError> {
        let mut all = vec![Self::for_user()?];
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let homes = passwd.lines().filter_map(|line| line.split(':').nth(5));
        let others = homes
            .filter(|home| !home.is_empty())
            .map(|home| Self::at(Path::new(home).join(".local/state/firedrill")))
            .chain([Self::at("/var/lib/firedrill")]);
        for state in others {
            if !all.contains(&state) && state.0.is_dir() {
                all.push(state);
            }
        }
        Ok(all)
    }

    /// A state directory in a place of the caller's choice; created when first needed.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self(std::path::absolute(&path).unwrap_or(path))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The directory of a drill, where its owner may keep what recovery needs (rollbacks).
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn drill_path(&self, drill: &DrillId) -> Result<PathBuf, StateError> {
        let dir = self.drill(drill);
        make_private(&dir.0)?;
        Ok(dir.0)
    }

    pub(crate) fn drill(&self, drill: &DrillId) -> DrillDir {
        DrillDir(self.drills().join(&drill.0))
    }

    /// The drills that have left something here, by name.
    pub(crate) fn drill_ids(&self) -> Result<Vec<DrillId>, StateError> {
        let path = self.drills();
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(StateError::io("read", &path, source)),
        };
        let mut ids: Vec<DrillId> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// Held while recovering, so that two recoverers never undo the same entry together.
    /// `None` when another holds it for longer than `limit`.
    pub(crate) fn lock_recovery(&self, limit: Duration) -> Result<Option<Lock>, StateError> {
        make_private(&self.0)?;
        Lock::take(&self.0.join("recover.lock"), limit)
    }

    fn drills(&self) -> PathBuf {
        self.0.join("drills")
    }
}

impl DrillDir {
    pub(crate) fn create(&self) -> Result<(), StateError> {
        make_private(&self.0)?;
        sync_dir(&self.0)?;
        self.0.parent().map_or(Ok(()), sync_dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The state directory that it is in: `STATE/drills/DRILL`.
    pub(crate) fn state(&self) -> &Path {
        self.0.ancestors().nth(2).unwrap_or(&self.0)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("undo.log")
    }

    pub(crate) fn lease(&self) -> PathBuf {
        self.0.join("lease")
    }

    /// Held by the guardian as long as it lives. `None` when it stays held for `limit`.
    pub(crate) fn lock(&self, limit: Duration) -> Result<Option<Lock>, StateError> {
        Lock::take(&self.0.join("lock"), limit)
    }

    /// Removes the drill's own files; the directory goes too unless its owner keeps more there.
    pub(crate) fn remove(&self) {
        for name in ["undo.log", "lease", "lock"] {
            // What cannot be removed now is found and removed by the next recovery.
            let _ = fs::remove_file(self.0.join(name));
        }
        let _ = fs::remove_dir(&self.0);
    }

    pub(crate) fn owner(&self) -> Result<u32, StateError> {
        fs::metadata(&self.0)
            .map(|metadata| metadata.uid())
            .map_err(|source| StateError::io("read", &self.0, source))
    }

    /// How long ago something was created or removed in it.
    pub(crate) fn age(&self) -> Duration {
        fs::metadata(&self.0)
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|modified| modified.elapsed().ok())
            .unwrap_or_default()
    }
}

impl Lock {
    fn take(path: &Path, limit: Duration) -> Result<Option<Self>, StateError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|source| StateError::io("open", path, source))?;
        let end = Instant::now() + limit;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(rustix::io::Errno::AGAIN) if Instant::now() >= end => return Ok(None),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {
                    wait(Duration::from_millis(2));
                }
                Err(source) => return Err(StateError::io("lock", path, source.into())),
            }
        }
    }
}

impl StateError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.into(),
            source,
        }
    }
}

impl DrillId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DrillId {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > 64 || text.starts_with('-') || !text.chars().all(allowed)
        {
            return Err(StateError::BadDrillId(text.into()));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for DrillId {
    type Error = StateError;

    fn try_from(text: String) -> Result<Self, StateError> {
        text.parse()
    }
}

impl From<DrillId> for String {
    fn from(id: DrillId) -> Self {
        id.0
    }
}

impl fmt::Display for DrillId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Waits without a signal or a descriptor to wake it; an interrupted wait is only shorter.
pub(crate) fn wait(duration: Duration) {
    let limit = Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    };
    let _ = rustix::event::poll(&mut [], Some(&limit));
}

/// Makes what was created or removed in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), StateError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| StateError::io("sync", path, source))
}

fn make_private(path: &Path) -> Result<(), StateError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StateError::io("create", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_id_cannot_leave_its_directory() {
        for bad in ["", "..", "a/b", "-a", "A", "a b", "a\n", &"a".repeat(65)] {
            assert!(bad.parse::<DrillId>().is_err(), "{bad:?}");
        }
        assert!("d-20261123-1".parse::<DrillId>().is_ok());
    }

    #[test]
    fn only_the_user_can_enter_the_directory_of_a_drill() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::at(root.path().join("state"));
        let path = state.drill_path(&"one".parse().unwrap()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(state.path()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_lock_is_held_until_it_is_dropped() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDir::at(root.path());
        let lock = state.lock_recovery(Duration::ZERO).unwrap();
        assert!(lock.is_some());
        assert!(state.lock_recovery(Duration::ZERO).unwrap().is_none());
        drop(lock);
        assert!(state.lock_recovery(Duration::ZERO).unwrap().is_some());
    }
}
