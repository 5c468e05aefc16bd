//! Documents from files and URLs, each valid before any drill begins.

use std::path::Path;

use firedrill_experiment::diagnostic::Diagnostics;
use firedrill_experiment::document::{Experiment, Strictness};
use firedrill_experiment::source::Source;
use firedrill_runner::provider::fetch::{Fetched, fetch};
use firedrill_runner::settings::Settings;

use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};
use crate::output::Out;

/// A valid document and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) place: String,
    pub(crate) experiment: Experiment,
}

impl Document {
    /// The file's name without its ending.
    pub(crate) fn short_name(&self) -> String {
        let last = self.place.rsplit('/').next().unwrap_or(&self.place);
        let last = last.split(['?', '#']).next().unwrap_or(last);
        let stem = Path::new(last)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        if stem.is_empty() {
            "experiment".into()
        } else {
            stem.into_owned()
        }
    }
}

/// Reads them all, and reports every mistake of every one before any of them runs.
pub(crate) fn documents(
    places: &[String],
    strict: bool,
    skip_tls: bool,
    settings: &Settings,
    out: &Out,
) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    let mut wrong = 0;
    for place in places {
        let Fetched { source, format } = read(place, skip_tls, settings)?;
        let strictness = if strict {
            Strictness::Strict
        } else {
            Strictness::Lenient
        };
        let reading = Experiment::read(&source, format, strictness);
        show(&reading.diagnostics, &source, out);
        match reading
            .experiment
            .filter(|_| !reading.diagnostics.has_errors())
        {
            Some(experiment) => documents.push(Document {
                place: place.clone(),
                experiment,
            }),
            None => wrong += 1,
        }
    }
    match wrong {
        0 => Ok(documents),
        1 => Err(Failure::usage(
            "the document is not valid, so nothing was run",
        )),
        n => Err(Failure::usage(format!(
            "{n} documents are not valid, so nothing was run"
        ))),
    }
}

fn read(place: &str, skip_tls: bool, settings: &Settings) -> Result<Fetched, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(fetch(place, settings, !skip_tls))
        .or_exit(Exit::Usage)
}

/// What is wrong with a document, where, and what to do about it.
pub(crate) fn show(diagnostics: &Diagnostics, source: &Source, out: &Out) {
    if !diagnostics.is_empty() && (diagnostics.has_errors() || !out.is_quiet()) {
        out.note(diagnostics.render(source).trim_end());
    }
}
