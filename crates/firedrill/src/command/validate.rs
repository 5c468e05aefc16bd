use firedrill_experiment::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use firedrill_experiment::document::Strictness;
use firedrill_experiment::parse::parse_value;
use firedrill_experiment::scope::VarFile;
use firedrill_experiment::{Experiment, Format, Source};
use firedrill_runner::check;
use firedrill_runner::notify::{Happening, notify};
use firedrill_runner::provider::{Providers, ProvidersConfig};
use firedrill_runner::settings::Settings;
use serde_json::{Value, json};

use super::run::settings;
use crate::cli::{GlobalArgs, ValidateArgs};
use crate::document;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BAD, BOLD, CAUTION, GOOD, Out};
use crate::words::count;

/// What was found in one document.
struct Finding {
    name: String,
    title: Option<String>,
    /// Why it could not even be read.
    unreadable: Option<Failure>,
    diagnostics: Diagnostics,
    source: Source,
    valid: bool,
}

pub(super) fn execute(
    args: &ValidateArgs,
    global: &GlobalArgs,
    out: &Out,
) -> Result<Exit, Failure> {
    let settings = settings(global)?;
    let findings: Vec<Finding> = args
        .documents
        .iter()
        .map(|name| look(name, args.strict, &settings))
        .collect();
    let valid = findings.iter().all(|finding| finding.valid);
    if out.is_json() {
        let documents: Vec<Value> = findings.iter().map(to_json).collect();
        out.json(&json!({ "valid": valid, "documents": documents }))?;
    } else {
        for finding in &findings {
            say(finding, out)?;
        }
    }
    Ok(if valid { Exit::Held } else { Exit::Usage })
}

/// One document's mistakes do not keep the next one from being looked at.
fn look(name: &str, strict: bool, settings: &Settings) -> Finding {
    let (source, format) = match document::fetch(name, settings) {
        Ok(read) => read,
        Err(failure) => {
            return Finding {
                name: name.to_owned(),
                title: None,
                unreadable: Some(failure),
                diagnostics: Diagnostics::default(),
                source: Source::new(name, ""),
                valid: false,
            };
        }
    };
    let mut reading = Experiment::read(&source, format, Strictness::Strict);
    if let Some(experiment) = &reading.experiment {
        reading
            .diagnostics
            .items
            .extend(surroundings(experiment, settings));
    }
    tell(&source, format, &reading.diagnostics, settings);
    let clean = !reading.diagnostics.has_errors();
    Finding {
        name: name.to_owned(),
        title: reading.experiment.map(|experiment| experiment.title),
        unreadable: None,
        valid: clean && (!strict || reading.diagnostics.is_empty()),
        diagnostics: reading.diagnostics,
        source,
    }
}

/// Tells those whom the settings name what came of it.
fn tell(source: &Source, format: Format, found: &Diagnostics, settings: &Settings) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    // Nobody is told then; what was found is printed all the same.
    let Ok(runtime) = runtime else { return };
    let document = parse_value(source, format).unwrap_or_default();
    let (end, error) = match found.has_errors() {
        true => (
            Happening::ValidateFailed,
            Some(found.lines().join("; ").into()),
        ),
        false => (Happening::ValidateCompleted, None),
    };
    runtime.block_on(async {
        let providers = Providers::new(ProvidersConfig::default());
        let begun = Happening::ValidateStarted;
        notify(settings, &providers, begun, document.clone(), None).await;
        notify(settings, &providers, end, document, error).await;
        providers.shutdown().await;
    });
}

/// What the document needs and this host lacks. Imports the Python that it names; runs nothing.
fn surroundings(experiment: &Experiment, settings: &Settings) -> Vec<Diagnostic> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    // Without a runtime nothing can be looked at, and a run will say so.
    let Ok(runtime) = runtime else {
        return Vec::new();
    };
    runtime.block_on(async {
        let providers = Providers::new(ProvidersConfig::default());
        let missing =
            check::surroundings(experiment, &VarFile::default(), settings, &providers).await;
        providers.shutdown().await;
        missing
    })
}

fn say(finding: &Finding, out: &Out) -> Result<(), Failure> {
    if let Some(failure) = &finding.unreadable {
        out.failure(failure);
        return Ok(());
    }
    for line in finding.diagnostics.render(&finding.source).lines() {
        out.line(styled(line))?;
    }
    let name = &finding.name;
    let counts: Vec<String> = [
        (finding.diagnostics.errors().count(), "error"),
        (finding.diagnostics.warnings().count(), "warning"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| count(number, what))
    .collect();
    let found = if counts.is_empty() {
        String::new()
    } else {
        format!(", {}", counts.join(", "))
    };
    match finding.valid {
        true => out.line(format!("{BOLD}{name}{BOLD:#}: {GOOD}valid{GOOD:#}{found}")),
        false => out.line(format!(
            "{BOLD}{name}{BOLD:#}: {BAD}not valid{BAD:#}{found}"
        )),
    }
}

fn styled(line: &str) -> String {
    line.replacen(": error: ", &format!(": {BAD}error{BAD:#}: "), 1)
        .replacen(
            ": warning: ",
            &format!(": {CAUTION}warning{CAUTION:#}: "),
            1,
        )
}

fn to_json(finding: &Finding) -> Value {
    let diagnostics: Vec<Value> = finding
        .diagnostics
        .items
        .iter()
        .map(|item| diagnostic_to_json(item, &finding.source))
        .collect();
    let mut value = json!({
        "document": finding.name,
        "valid": finding.valid,
        "title": finding.title,
        "diagnostics": diagnostics,
    });
    if let Some(failure) = &finding.unreadable {
        value["error"] = failure.to_json()["error"].clone();
    }
    value
}

fn diagnostic_to_json(item: &Diagnostic, source: &Source) -> Value {
    let place = item.span.map(|span| source.line_column(span.start));
    json!({
        "severity": match item.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "code": code_word(item.code),
        "path": item.path.to_string(),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "message": item.message,
        "hint": item.hint,
    })
}

fn code_word(code: Code) -> &'static str {
    match code {
        Code::Syntax => "syntax",
        Code::Limit => "limit",
        Code::Unrepresentable => "unrepresentable",
        Code::Missing => "missing",
        Code::Type => "type",
        Code::Value => "value",
        Code::UnknownKey => "unknown-key",
        Code::Reference => "reference",
        Code::Surprise => "surprise",
        Code::Surroundings => "surroundings",
        Code::BlastRadiusMissing => "blast-radius-missing",
    }
}
