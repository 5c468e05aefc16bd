//! What is said, and where: data on standard output, everything else on standard error.
//!
//! A reader that goes away (`firedrill faults | head -1`) is not an error: nothing more is written,
//! and the command goes on to its own exit code.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::cli::{ColorWhen, GlobalArgs, OutputFormat};
use crate::failure::Failure;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const CAUTION: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();

/// Where a command writes. Shared between tasks by reference.
#[derive(Debug)]
pub(crate) struct Out {
    format: OutputFormat,
    color: ColorWhen,
    quiet: bool,
    verbose: u8,
    /// The reader of standard output went away.
    gone: AtomicBool,
}

impl Out {
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        Self {
            format: global.output,
            color: global.color,
            quiet: global.quiet,
            verbose: global.verbose,
            gone: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// How many times `--verbose` was given.
    pub(crate) fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// Whether a line on standard error may be redrawn.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && !self.is_json() && io::stderr().is_terminal()
    }

    /// A line of data. Styles are removed where they would not show.
    ///
    /// # Errors
    /// Standard output cannot be written, for another reason than that nobody reads it.
    pub(crate) fn line(&self, text: impl Display) -> Result<(), Failure> {
        self.stdout(|stream| writeln!(stream, "{text}"))
    }

    /// Data as it is, without a line's end.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.stdout(|stream| stream.write_all(bytes))
    }

    /// The one JSON document of a command.
    ///
    /// # Errors
    /// As [`Self::line`]; or a value that JSON cannot hold.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)?;
        self.raw(format!("{text}\n").as_bytes())
    }

    /// Something worth knowing that is not the result; silent with `--quiet`.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            self.stderr(|stream| writeln!(stream, "{text}"));
        }
    }

    /// Something worth knowing for those who asked: with `--verbose`.
    pub(crate) fn detail(&self, text: impl Display) {
        if self.verbose > 0 {
            self.stderr(|stream| writeln!(stream, "{DIM}{text}{DIM:#}"));
        }
    }

    /// Something that did not stop the command; silent with `--quiet`.
    pub(crate) fn warning(&self, text: impl Display) {
        if !self.quiet {
            self.stderr(|stream| writeln!(stream, "{CAUTION}warning:{CAUTION:#} {text}"));
        }
    }

    /// A question's words, without a line's end.
    pub(crate) fn ask(&self, text: impl Display) {
        self.stderr(|stream| {
            write!(stream, "{text}")?;
            stream.flush()
        });
    }

    /// Why the command did not do what it was asked: always on standard error, as text or JSON.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.is_json() {
            let text = failure.to_json().to_string();
            self.stderr(|stream| writeln!(stream, "{text}"));
            return;
        }
        self.stderr(|stream| write_failure(stream, failure));
    }

    fn stdout(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        if self.gone.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut stream = AutoStream::new(io::stdout().lock(), self.choice(&io::stdout()));
        match write(&mut stream).and_then(|()| stream.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone.store(true, Ordering::Relaxed);
                Ok(())
            }
            result => result.map_err(|error| {
                Failure::from(anyhow::Error::new(error).context("cannot write the result"))
            }),
        }
    }

    fn stderr(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        let mut stream = AutoStream::new(io::stderr().lock(), self.choice(&io::stderr()));
        // Where standard error cannot be written, there is nobody to tell; the exit code remains.
        let _ = write(&mut stream);
    }

    fn choice(&self, stream: &impl anstream::stream::RawStream) -> ColorChoice {
        match (self.color, self.format) {
            (ColorWhen::Never, _) | (_, OutputFormat::Json) => ColorChoice::Never,
            (ColorWhen::Always, _) => ColorChoice::Always,
            // Knows NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM=dumb.
            (ColorWhen::Auto, _) => AutoStream::choice(stream),
        }
    }
}

/// A failure of a process that has no [`Out`], since it read no options.
pub(crate) fn plain_failure(failure: &Failure) {
    // Where standard error cannot be written, there is nobody to tell; the exit code remains.
    let _ = write_failure(&mut anstream::stderr().lock(), failure);
}

fn write_failure(stream: &mut dyn Write, failure: &Failure) -> io::Result<()> {
    writeln!(stream, "{BAD}error:{BAD:#} {}", failure.message())?;
    for cause in failure.causes() {
        writeln!(stream, "  caused by: {cause}")?;
    }
    match failure.hint_text() {
        Some(hint) => writeln!(stream, "  {CAUTION}hint:{CAUTION:#} {hint}"),
        None => Ok(()),
    }
}
