//! Documents read from files.

use std::fs;
use std::path::Path;

use firedrill_experiment::{Format, Source};

use crate::failure::{Failure, OrFail as _};
use crate::exit::Exit;

/// The text of a document and how it is to be read.
///
/// # Errors
/// A file that cannot be read, is not UTF-8, or whose name does not tell its format.
pub(crate) fn read(name: &str) -> Result<(Source, Format), Failure> {
    let format = Format::of_name(name).ok_or_else(|| {
        Failure::usage(format!("cannot tell the format of {name}"))
            .hint("name it .json, .yaml or .yml")
    })?;
    let bytes = fs::read(Path::new(name))
        .doing(format!("cannot read {name}"))
        .or_exit(Exit::Usage)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::usage(format!("{name} is not UTF-8: byte {at} begins no character"))
    })?;
    Ok((Source::new(name, text), format))
}
