//! Files: the undo log's, and those that faults fill disks with.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use rustix::fs::{CWD, FallocateFlags, Mode, OFlags};

use super::{Check, Subject};

pub(super) fn state_directory(path: &Path) -> Check {
    let name = "undo log";
    let fix = "set FIREDRILL_STATE_DIR to a directory on a local disk that this user can write";
    match try_durable_write(path) {
        Ok(()) => {
            let why = format!("{} takes synced writes", path.display());
            Check::usable(Subject::Safety, name, why)
        }
        Err(error) => {
            let why = format!("{}: {error}", path.display());
            Check::unusable(Subject::Safety, name, why, Some(fix))
        }
    }
}

/// Files that no death of a process leaves behind, and room that is taken at once.
pub(super) fn unnamed_files(directory: &Path) -> Check {
    let name = "unnamed files";
    let shown = directory.display();
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::TMPFILE;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = match rustix::fs::openat(CWD, directory, flags, mode) {
        Ok(file) => file,
        Err(errno) => {
            let why = format!("{shown} has no O_TMPFILE: {errno}");
            let fix = "files are unlinked as soon as they are there instead";
            return Check::unusable(Subject::Resources, name, why, Some(fix));
        }
    };
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 4096) {
        Ok(()) => {
            let why = format!("{shown} has O_TMPFILE and fallocate");
            Check::usable(Subject::Resources, name, why)
        }
        Err(errno) => {
            let why =
                format!("{shown} has O_TMPFILE, but no fallocate ({errno}): it is written full");
            Check::usable(Subject::Resources, name, why)
        }
    }
}

fn try_durable_write(path: &Path) -> std::io::Result<()> {
    // What did not exist is not created for a look: its nearest existing parent is tried.
    let parent = path
        .ancestors()
        .find(|ancestor| ancestor.is_dir())
        .unwrap_or(path);
    let probe = parent.join(format!(".firedrill-doctor-{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)?;
    let written = file.write_all(&[0; 4096]).and_then(|()| file.sync_all());
    fs::remove_file(&probe)?;
    written?;
    fs::File::open(parent)?.sync_all()
}
