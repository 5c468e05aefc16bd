//! The record's file: whole at any moment, so that a search can go on after any end.

use std::io::{self, Write as _};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;
use firedrill_runner::margin::record::{FORM, Record};

use crate::cli::MarginArgs;
use crate::failure::Failure;

/// What there is to go on with, if that was asked for.
pub(super) fn before(args: &MarginArgs) -> Result<Option<Record>, Failure> {
    let name = args.record.display();
    if std::fs::metadata(&args.record).is_ok_and(|there| !there.is_file()) {
        // A device or directory would be replaced by the record.
        let message = format!("{name} is there already, and is no regular file");
        return Err(Failure::usage(message).hint("--record names the file to write"));
    }
    if !args.resume {
        return Ok(None);
    }
    let text = std::fs::read(&args.record).map_err(|error| {
        Failure::usage(format!("cannot read {name}: {error}"))
            .hint("--record names the file; without --resume a new search begins")
    })?;
    let mut record: Record = serde_json::from_slice(&text)
        .map_err(|error| Failure::usage(format!("{name} is no record of a search: {error}")))?;
    if record.margin != FORM {
        let message = format!(
            "{name} was written by version {} in another form",
            record.version
        );
        return Err(Failure::usage(message).hint("begin anew without --resume"));
    }
    record.stopped = None;
    Ok(Some(record))
}

/// The old one is there until the new one is whole.
pub(super) fn write(path: &Path, record: &Record) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(record)?;
    text.push(b'\n');
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        std::fs::create_dir_all(parent)?;
    }
    let mut file = AtomicWriteFile::open(path)?;
    file.write_all(&text)?;
    file.commit()
}
