use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Journals as a page to read: HTML, Markdown, JUnit, JSON
///
/// Reads journals of Firedrill and of Chaos Toolkit, and records of `firedrill margin` (no JUnit).
/// Several journals become one report. HTML is one file that loads nothing from anywhere.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill report journal.json -o report.html
  firedrill report journals/*.json -o drills.xml      JUnit, for CI
  firedrill report margin.json -o margin.html
  firedrill report journal.json --format markdown     to standard output")]
pub(crate) struct ReportArgs {
    /// Journals, as `firedrill run` or `chaos run` wrote them; or records, as `firedrill margin` did
    #[arg(required = true, value_name = "JOURNAL")]
    pub(crate) journals: Vec<PathBuf>,
    /// Where it goes; the ending chooses the format: .html .md .xml .json [default: standard output]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The format, whatever the ending [default: by the ending, else markdown]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<ReportFormat>,
    /// The report's title [default: the experiment's]
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Html,
    Markdown,
    Junit,
    Json,
}
