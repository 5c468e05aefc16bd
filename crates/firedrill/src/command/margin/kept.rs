//! The record's file: whole at any moment, so that a search can go on after any end.

use std::io::{self, Write as _};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;
use firedrill_experiment::journal::margin::{FORM, Record, Table};
use serde::{Deserialize, Serialize};

use crate::cli::MarginArgs;
use crate::failure::Failure;

/// One search, or those of a document with several dimensions.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Kept {
    Several(Table),
    One(Box<Record>),
}

impl Kept {
    pub(super) fn of(records: &[Record], is_table: bool) -> Self {
        match records {
            [one] if !is_table => Self::One(Box::new(one.clone())),
            records => Self::Several(Table {
                margins: FORM,
                title: records
                    .first()
                    .map_or_else(String::new, |first| first.title.clone()),
                records: records.to_vec(),
            }),
        }
    }
}

/// What there is to go on with, if that was asked for.
pub(super) fn before(args: &MarginArgs) -> Result<Vec<Record>, Failure> {
    let name = args.record.display();
    if std::fs::metadata(&args.record).is_ok_and(|there| !there.is_file()) {
        // A device or directory would be replaced by the record.
        let message = format!("{name} is there already, and is no regular file");
        return Err(Failure::usage(message).hint("--record names the file to write"));
    }
    if !args.resume {
        return Ok(Vec::new());
    }
    let text = std::fs::read(&args.record).map_err(|error| {
        Failure::usage(format!("cannot read {name}: {error}"))
            .hint("--record names the file; without --resume a new search begins")
    })?;
    let kept: Kept = serde_json::from_slice(&text)
        .map_err(|error| Failure::usage(format!("{name} is no record of a search: {error}")))?;
    let (form, mut records) = match kept {
        Kept::One(record) => (record.margin, vec![*record]),
        Kept::Several(table) => (table.margins, table.records),
    };
    if form != FORM {
        let message = format!("{name} was written in another form, {form}");
        return Err(Failure::usage(message).hint("begin anew without --resume"));
    }
    for record in &mut records {
        record.stopped = None;
    }
    Ok(records)
}

/// The old one is there until the new one is whole.
pub(super) fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(kept)?;
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
