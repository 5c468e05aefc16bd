use std::fs;
use std::path::{Path, PathBuf};

use firedrill_experiment::journal::Journal;
use firedrill_report::{HtmlOptions, html, json as as_json, junit, markdown, read};
use serde_json::json;

use crate::cli::{ReportArgs, ReportFormat};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};
use crate::output::Out;
use crate::words::count;

pub(super) fn execute(args: &ReportArgs, out: &Out) -> Result<Exit, Failure> {
    let format = format_of(args, out)?;
    let journals: Vec<Journal> = args.journals.iter().map(load).collect::<Result<_, _>>()?;
    let text = render(format, &journals, args)?;
    let Some(path) = &args.file else {
        out.raw(text.as_bytes())?;
        return Ok(Exit::Held);
    };
    write(path, text.as_bytes())?;
    if out.is_json() {
        out.json(&json!({ "report": path, "format": word(format), "journals": journals.len() }))?;
    } else {
        out.note(format!(
            "{} of {}",
            path.display(),
            count(journals.len(), "journal")
        ));
    }
    Ok(Exit::Held)
}

/// Writes a file, and the directories it is to be in.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let doing = || format!("cannot write {}", path.display());
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        fs::create_dir_all(parent).doing(doing())?;
    }
    fs::write(path, bytes).doing(doing())
}

fn format_of(args: &ReportArgs, out: &Out) -> Result<ReportFormat, Failure> {
    match (args.format, &args.file) {
        (Some(format), _) => Ok(format),
        (None, Some(path)) => by_ending(path),
        (None, None) if out.is_json() => Ok(ReportFormat::Json),
        (None, None) => Ok(ReportFormat::Markdown),
    }
}

fn by_ending(path: &Path) -> Result<ReportFormat, Failure> {
    let ending = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    match ending.as_str() {
        "html" | "htm" => Ok(ReportFormat::Html),
        "md" | "markdown" => Ok(ReportFormat::Markdown),
        "xml" | "junit" => Ok(ReportFormat::Junit),
        "json" => Ok(ReportFormat::Json),
        _ => Err(
            Failure::usage(format!("cannot tell the format of {}", path.display()))
                .hint("name it .html, .md, .xml or .json, or say --format"),
        ),
    }
}

fn load(path: &PathBuf) -> Result<Journal, Failure> {
    let doing = format!("cannot read the journal {}", path.display());
    let bytes = fs::read(path).doing(&doing).or_exit(Exit::Usage)?;
    read(&bytes).doing(&doing).or_exit(Exit::Usage)
}

fn render(
    format: ReportFormat,
    journals: &[Journal],
    args: &ReportArgs,
) -> Result<String, Failure> {
    Ok(match format {
        ReportFormat::Html => html(
            journals,
            &HtmlOptions {
                title: args.title.clone(),
            },
        ),
        ReportFormat::Markdown => markdown(journals),
        ReportFormat::Junit => junit(journals)?,
        ReportFormat::Json => format!("{}\n", serde_json::to_string_pretty(&as_json(journals))?),
    })
}

fn word(format: ReportFormat) -> &'static str {
    match format {
        ReportFormat::Html => "html",
        ReportFormat::Markdown => "markdown",
        ReportFormat::Junit => "junit",
        ReportFormat::Json => "json",
    }
}
