use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::state::{DrillId, StateDir};

/// The guardian's command line, in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) state: StateDir,
    pub(crate) drill: DrillId,
    pub(crate) label: String,
    pub(crate) owner_pid: u32,
    pub(crate) owner_start: u64,
    pub(crate) lease: Duration,
    /// Take up the log of a guardian that died.
    pub(crate) resume: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("the guardian's command line lacks {0}")]
    Missing(&'static str),
    #[error("{0:?} has no place on the guardian's command line")]
    Unexpected(OsString),
}

impl Arguments {
    pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, ArgumentError> {
        let (mut state, mut drill, mut label) = (None, None, None);
        let (mut owner_pid, mut owner_start, mut lease) = (None, None, None);
        let mut resume = false;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let name = word.to_str().unwrap_or_default().to_owned();
            if name == "--resume" {
                resume = true;
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| ArgumentError::Unexpected(word.clone()))?;
            let text = value.to_string_lossy();
            match name.as_str() {
                "--state" => state = Some(StateDir::at(PathBuf::from(&value))),
                "--drill" => drill = text.parse().ok(),
                "--label" => label = Some(text.into_owned()),
                "--owner-pid" => owner_pid = text.parse().ok(),
                "--owner-start" => owner_start = text.parse().ok(),
                "--lease-us" => lease = text.parse().ok().map(Duration::from_micros),
                _ => return Err(ArgumentError::Unexpected(word)),
            }
        }
        Ok(Self {
            state: state.ok_or(ArgumentError::Missing("--state"))?,
            drill: drill.ok_or(ArgumentError::Missing("--drill"))?,
            label: label.ok_or(ArgumentError::Missing("--label"))?,
            owner_pid: owner_pid.ok_or(ArgumentError::Missing("--owner-pid"))?,
            owner_start: owner_start.ok_or(ArgumentError::Missing("--owner-start"))?,
            lease: lease.ok_or(ArgumentError::Missing("--lease-us"))?,
            resume,
        })
    }

    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![
            "--state".into(),
            self.state.path().into(),
            "--drill".into(),
            self.drill.as_str().into(),
            "--label".into(),
            self.label.clone().into(),
            "--owner-pid".into(),
            self.owner_pid.to_string().into(),
            "--owner-start".into(),
            self.owner_start.to_string().into(),
            "--lease-us".into(),
            self.lease.as_micros().to_string().into(),
        ];
        if self.resume {
            words.push("--resume".into());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_reads_back_as_it_was_written() {
        let arguments = Arguments {
            state: StateDir::at("/tmp/a b"),
            drill: "d-1".parse().unwrap(),
            label: "--resume".into(),
            owner_pid: 7,
            owner_start: 99,
            lease: Duration::from_millis(1500),
            resume: true,
        };
        assert_eq!(Arguments::parse(arguments.words()).unwrap(), arguments);
    }

    #[test]
    fn a_missing_or_unknown_word_is_an_error() {
        assert!(matches!(
            Arguments::parse([]),
            Err(ArgumentError::Missing("--state"))
        ));
        let unknown = ["--nope".into(), "1".into()];
        assert!(matches!(
            Arguments::parse(unknown),
            Err(ArgumentError::Unexpected(_))
        ));
    }
}
