//! Documents from files and URLs, each valid before any drill begins.

use std::path::Path;

use firedrill_experiment::diagnostic::Diagnostics;
use firedrill_experiment::document::{Experiment, Strictness};
use firedrill_experiment::parse::parse_value;
use firedrill_experiment::source::Source;
use firedrill_runner::control;
use firedrill_runner::provider::fetch::{Fetched, fetch};
use firedrill_runner::provider::{Providers, ProvidersConfig};
use firedrill_runner::settings::Settings;
use serde_json::Value;

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

/// Controls that see documents as they are loaded, and the Python that they run in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Loading<'a> {
    pub(crate) controls: &'a [Value],
    pub(crate) python: Option<&'a Path>,
}

/// Reads them all, and reports every mistake of every one before any of them runs.
pub(crate) fn documents(
    places: &[String],
    strict: bool,
    skip_tls: bool,
    settings: &Settings,
    loading: &Loading<'_>,
    out: &Out,
) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    let mut wrong = 0;
    for place in places {
        let (Fetched { source, format }, changed) = read(place, skip_tls, settings, loading)?;
        let strictness = if strict {
            Strictness::Strict
        } else {
            Strictness::Lenient
        };
        let reading = match changed {
            Some(document) => Experiment::read_value(document, strictness),
            None => Experiment::read(&source, format, strictness),
        };
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

/// The text, and the document that controls made of it, if they made another.
fn read(
    place: &str,
    skip_tls: bool,
    settings: &Settings,
    loading: &Loading<'_>,
) -> Result<(Fetched, Option<Value>), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let Loading { controls, python } = *loading;
    runtime.block_on(async {
        if controls.is_empty() {
            return Ok((
                fetch(place, settings, !skip_tls)
                    .await
                    .or_exit(Exit::Usage)?,
                None,
            ));
        }
        let providers = Providers::new(ProvidersConfig {
            python: python.map(Path::to_path_buf),
            ..ProvidersConfig::default()
        });
        control::before_loading(controls, place, &providers).await;
        let fetched = fetch(place, settings, !skip_tls)
            .await
            .or_exit(Exit::Usage)?;
        let changed = match parse_value(&fetched.source, fetched.format) {
            Ok(document) => control::after_loading(controls, place, &document, &providers).await,
            Err(_) => None,
        };
        providers.shutdown().await;
        Ok((fetched, changed))
    })
}

/// What is wrong with a document, where, and what to do about it.
pub(crate) fn show(diagnostics: &Diagnostics, source: &Source, out: &Out) {
    if !diagnostics.is_empty() && (diagnostics.has_errors() || !out.is_quiet()) {
        out.note(diagnostics.render(source).trim_end());
    }
}
