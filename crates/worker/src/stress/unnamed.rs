//! A file without a name: it ends with the descriptor, so a killed process leaves nothing.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::StressError;

/// `O_TMPFILE`; where the file system has none, a file that is unlinked as soon as it is there.
pub(super) fn create(directory: &Path, extra: OFlags) -> Result<File, StressError> {
    let failed = |errno: Errno| StressError::File {
        doing: "create a file",
        directory: directory.to_owned(),
        source: errno.into(),
    };
    let flags = OFlags::RDWR | OFlags::CLOEXEC | extra;
    let mode = Mode::RUSR | Mode::WUSR;
    match rustix::fs::openat(CWD, directory, flags | OFlags::TMPFILE, mode) {
        Ok(fd) => return Ok(fd.into()),
        // A kernel without the flag opens the directory itself, which fails with EISDIR.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let path = directory.join(format!(".firedrill-{}", std::process::id()));
    let flags = flags | OFlags::CREATE | OFlags::EXCL;
    let fd = rustix::fs::openat(CWD, &path, flags, mode).map_err(failed)?;
    fs::remove_file(&path).map_err(|source| StressError::File {
        doing: "unlink a file",
        directory: directory.to_owned(),
        source,
    })?;
    Ok(fd.into())
}
