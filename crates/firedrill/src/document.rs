//! Documents read from files and URLs.

use std::fs;
use std::path::Path;

use firedrill_experiment::{Experiment, Format, Source};
use firedrill_runner::provider::fetch;
use firedrill_runner::settings::Settings;

use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};
use crate::words::count;

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
        Failure::usage(format!(
            "{name} is not UTF-8: byte {at} begins no character"
        ))
    })?;
    Ok((Source::new(name, text), format))
}

/// As [`read`], for a file or an http(s) URL.
///
/// # Errors
/// As [`read`]; or whatever kept the document from being fetched.
pub(crate) fn fetch(place: &str, settings: &Settings) -> Result<(Source, Format), Failure> {
    if !place.contains("://") {
        return read(place);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let fetched = runtime
        .block_on(fetch::fetch(place, settings, true))
        .or_exit(Exit::Usage)?;
    Ok((fetched.source, fetched.format))
}

/// A valid document.
///
/// # Errors
/// As [`read`]; or how many mistakes there are, which `firedrill validate` shows.
pub(crate) fn experiment(name: &str) -> Result<Experiment, Failure> {
    let (source, format) = read(name)?;
    Experiment::parse(&source, format).map_err(|found| {
        let mistakes = count(found.errors().count(), "mistake");
        Failure::usage(format!("{name} is not valid: {mistakes}"))
            .hint(format!("firedrill validate {name}"))
    })
}
