use std::fs;
use std::path::{Path, PathBuf};

use firedrill_experiment::journal::Journal;
use firedrill_experiment::journal::margin::Record;
use firedrill_report::margin;
use firedrill_report::{HtmlOptions, html, json as as_json, junit, markdown, read};
use serde_json::json;

use crate::cli::{ReportArgs, ReportFormat};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};
use crate::output::Out;
use crate::words::count;

pub(super) fn execute(args: &ReportArgs, out: &Out) -> Result<Exit, Failure> {
    let format = format_of(args, out)?;
    let (text, kind, count_of) = match margins(args)? {
        Some(dimensions) => {
            let text = of_margins(format, &dimensions, args)?;
            (text, "margin", dimensions.len())
        }
        None => {
            let journals: Vec<Journal> =
                args.journals.iter().map(load).collect::<Result<_, _>>()?;
            (render(format, &journals, args)?, "journal", journals.len())
        }
    };
    let Some(path) = &args.file else {
        out.raw(text.as_bytes())?;
        return Ok(Exit::Held);
    };
    write(path, text.as_bytes())?;
    if out.is_json() {
        let mut said = json!({ "report": path, "format": word(format) });
        said[format!("{kind}s")] = count_of.into();
        out.json(&said)?;
    } else {
        out.note(format!("{} of {}", path.display(), count(count_of, kind)));
    }
    Ok(Exit::Held)
}

/// The dimensions of all records, where records of margins were given and no journals.
fn margins(args: &ReportArgs) -> Result<Option<Vec<Record>>, Failure> {
    let mut dimensions = Vec::new();
    let mut journals = 0;
    for path in &args.journals {
        let doing = format!("cannot read the record {}", path.display());
        let bytes = fs::read(path).doing(&doing).or_exit(Exit::Usage)?;
        match margin::is_record(&bytes) {
            true => dimensions.extend(margin::read(&bytes).doing(&doing).or_exit(Exit::Usage)?),
            false => journals += 1,
        }
    }
    if dimensions.is_empty() {
        return Ok(None);
    }
    if journals > 0 {
        return Err(
            Failure::usage("records of margins and journals of drills are two reports")
                .hint("a record has the journals of its drills in it, under `drill`"),
        );
    }
    Ok(Some(dimensions))
}

fn of_margins(
    format: ReportFormat,
    dimensions: &[Record],
    args: &ReportArgs,
) -> Result<String, Failure> {
    let options = HtmlOptions {
        title: args.title.clone(),
    };
    Ok(match format {
        ReportFormat::Html => margin::html(dimensions, &options),
        ReportFormat::Markdown => margin::markdown(dimensions),
        ReportFormat::Json => {
            let json = margin::json(dimensions);
            format!("{}\n", serde_json::to_string_pretty(&json)?)
        }
        ReportFormat::Junit => {
            return Err(
                Failure::usage("a margin is a figure, and no test that passes").hint(
                    "--format html, markdown or json; the exit code of firedrill margin is for CI",
                ),
            );
        }
    })
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
