//! How a worker ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

/// The last words that are repeated.
const LINES_TOLD: usize = 5;

/// Why there is no worker any more, with the last lines it wrote to stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    how: String,
    last_lines: Vec<String>,
}

impl Death {
    pub(super) fn of(
        status: Option<ExitStatus>,
        why: Option<String>,
        mut last_lines: Vec<String>,
    ) -> Self {
        let how = match (why, status.map(|status| (status.code(), status.signal()))) {
            (Some(why), _) => format!("the Python worker was ended: {why}"),
            (None, Some((Some(code), _))) => format!("the Python worker exited with status {code}"),
            (None, Some((None, Some(signal)))) => {
                format!("the Python worker was killed by signal {signal}")
            }
            _ => "the Python worker ended".to_owned(),
        };
        last_lines.drain(..last_lines.len().saturating_sub(LINES_TOLD));
        Self { how, last_lines }
    }

    pub(super) fn not_started(python: &Path, error: &std::io::Error) -> Self {
        Self {
            how: format!(
                "the Python worker {} cannot be started: {error}",
                python.display()
            ),
            last_lines: Vec::new(),
        }
    }

    pub(super) fn unknown() -> Self {
        Self {
            how: "the Python worker ended".to_owned(),
            last_lines: Vec::new(),
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.how)?;
        if !self.last_lines.is_empty() {
            write!(f, "; its last words: {}", self.last_lines.join(" | "))?;
        }
        Ok(())
    }
}
