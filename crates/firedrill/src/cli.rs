//! The words of the command line. Help, shell completions and the man page are all made from
//! these definitions, so they cannot disagree.

mod canary;
mod demo;
mod document;
mod fault;
mod global;
mod init;
mod margin;
mod proxy;
mod report;
mod run;
mod shell;
mod skew;
mod state;
mod value;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::Styles;
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::nearest::nearest;
use crate::output::Out;

pub(crate) use canary::{CanaryArgs, CanaryCommand, ProposeArgs};
pub(crate) use demo::DemoArgs;
pub(crate) use document::{ExportArgs, PlanArgs, SchemaArgs, ValidateArgs};
pub(crate) use fault::{FaultsArgs, InjectArgs};
pub(crate) use global::{ColorWhen, GlobalArgs, OutputFormat};
pub(crate) use init::InitArgs;
pub(crate) use margin::MarginArgs;
pub(crate) use proxy::ProxyArgs;
pub(crate) use report::{ReportArgs, ReportFormat};
pub(crate) use run::{DryMode, HypothesisWhen, RollbacksWhen, RunArgs, VariableArgs};
pub(crate) use shell::CompletionsArgs;
pub(crate) use skew::SkewArgs;
pub(crate) use state::{DoctorArgs, HaltArgs, RecoverArgs, StatusArgs};
pub(crate) use value::KeyValue;

const STYLES: Styles = Styles::styled()
    .header(anstyle::Style::new().bold())
    .usage(anstyle::Style::new().bold())
    .literal(anstyle::AnsiColor::Cyan.on_default())
    .placeholder(anstyle::Style::new().dimmed());

const EXIT_CODES: &str = "\
Exit codes:
  0  held            3  inconclusive           5  halted or interrupted
  1  broken          4  refused, or unhealthy  6  failed: our own error
  2  usage, or an invalid document

Start here:
  firedrill demo                 a shop in three zones, drills on it, a report
  firedrill init                 a first experiment for what runs on this machine
  firedrill run experiment.json  any Chaos Toolkit experiment, or one of ours";

/// The fire drill for IT: break things on purpose, safely, and get an honest verdict
///
/// Firedrill proves that a system survives failure, and by how much. It runs any Chaos Toolkit
/// experiment, undoes what it breaks even when it is killed, and says in numbers what held and
/// what broke.
#[derive(Debug, Parser)]
#[command(name = "firedrill", version, styles = STYLES, after_help = EXIT_CODES)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Run(RunArgs),
    Margin(MarginArgs),
    Canary(CanaryArgs),
    Init(InitArgs),
    Validate(ValidateArgs),
    Plan(PlanArgs),
    Status(StatusArgs),
    Faults(FaultsArgs),
    Inject(InjectArgs),
    Skew(SkewArgs),
    Proxy(ProxyArgs),
    Doctor(DoctorArgs),
    Halt(HaltArgs),
    Recover(RecoverArgs),
    Report(ReportArgs),
    Export(ExportArgs),
    Schema(SchemaArgs),
    Completions(CompletionsArgs),
    /// Print the man page
    ///
    /// In roff, made from the same definitions as --help.
    #[command(after_help = "Example:\n  firedrill man > /usr/local/share/man/man1/firedrill.1")]
    Man,
}

/// The words of this process's command line.
///
/// # Errors
/// The exit code, after help, the version or the mistake was printed.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let color = match asked_color(&words) {
        Some("always") => clap::ColorChoice::Always,
        Some("never") => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    };
    let result = Cli::command()
        .color(color)
        .try_get_matches_from(&words)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    result.map_err(|error| explain(&suggest(error), wants_json(&words)))
}

/// A transposition (`rnu`) is too far off for clap's own measure.
fn suggest(mut error: clap::Error) -> clap::Error {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed))
            if error.get(ContextKind::SuggestedSubcommand).is_none() =>
        {
            typed.clone()
        }
        _ => return error,
    };
    let command = Cli::command();
    let known = command
        .get_subcommands()
        .filter(|known| !known.is_hide_set());
    if let Some(near) = nearest(&typed, known.map(clap::Command::get_name)) {
        let near = ContextValue::Strings(vec![near.to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, near);
    }
    error
}

/// Help and the version are results; everything else is a mistake on the command line.
fn explain(error: &clap::Error, json: bool) -> ExitCode {
    if json && error.use_stderr() {
        let failure = Failure::usage(first_paragraph(error)).hint("firedrill --help");
        let global = GlobalArgs {
            output: OutputFormat::Json,
            ..GlobalArgs::default()
        };
        Out::new(&global).failure(&failure);
        return Exit::Usage.into();
    }
    // A reader that went away does not change what the exit code says.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage.into()
    } else {
        Exit::Held.into()
    }
}

fn first_paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"))
        .collect();
    lines
        .join(" ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// What `--color` says, before the words are known to be right.
fn asked_color(words: &[OsString]) -> Option<&str> {
    asked(words, "--color")
}

fn wants_json(words: &[OsString]) -> bool {
    asked(words, "--output") == Some("json")
}

fn asked<'a>(words: &'a [OsString], option: &str) -> Option<&'a str> {
    words.iter().enumerate().rev().find_map(|(at, word)| {
        let word = word.to_str()?;
        if word == option {
            return words.get(at + 1)?.to_str();
        }
        word.strip_prefix(option)?.strip_prefix('=')
    })
}
