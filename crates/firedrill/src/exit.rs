//! What the process's exit code says.

use std::process::ExitCode;

use clap::ValueEnum;
use firedrill_experiment::journal::{Journal, Status, Verdict};

/// The exit codes, as documented in the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The expectation was met; or the command did what it was asked.
    Held = 0,
    /// The hypothesis was rejected, or the system did not recover.
    Broken = 1,
    /// A mistake on the command line, or an invalid document.
    Usage = 2,
    /// Too little was seen to say.
    Inconclusive = 3,
    /// Not allowed, or safety unknown, or unhealthy before; nothing was touched.
    Refused = 4,
    /// Stopped from outside.
    Halted = 5,
    /// Our own error.
    Failed = 6,
}

/// How a verdict becomes an exit code: `--fail-on` and `--compat-exit`.
#[derive(Debug, Clone, Default)]
pub(crate) enum ExitRule {
    #[default]
    Documented,
    /// 0, unless the verdict is one of these.
    FailOn(Vec<VerdictName>),
    /// Chaos Toolkit's: 0 if completed and not deviated, else 1.
    Compat,
}

/// A verdict as typed after `--fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerdictName {
    Held,
    Broken,
    NotRecovered,
    Inconclusive,
    UnhealthyBefore,
    Refused,
    Halted,
    Failed,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The one to end with when several drills ended differently: a break found in any of them is
    /// the news; then what kept a drill from an answer, our own error first.
    pub(crate) fn worst(exits: impl IntoIterator<Item = Self>) -> Self {
        exits
            .into_iter()
            .max_by_key(|exit| exit.weight())
            .unwrap_or(Self::Held)
    }

    fn weight(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Inconclusive => 1,
            Self::Refused => 2,
            Self::Usage => 3,
            Self::Halted => 4,
            Self::Failed => 5,
            Self::Broken => 6,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Held => Self::Held,
            Verdict::Broken | Verdict::NotRecovered => Self::Broken,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::UnhealthyBefore | Verdict::Refused => Self::Refused,
            Verdict::Halted => Self::Halted,
            Verdict::Failed => Self::Failed,
        }
    }
}

impl From<VerdictName> for Verdict {
    fn from(name: VerdictName) -> Self {
        match name {
            VerdictName::Held => Self::Held,
            VerdictName::Broken => Self::Broken,
            VerdictName::NotRecovered => Self::NotRecovered,
            VerdictName::Inconclusive => Self::Inconclusive,
            VerdictName::UnhealthyBefore => Self::UnhealthyBefore,
            VerdictName::Refused => Self::Refused,
            VerdictName::Halted => Self::Halted,
            VerdictName::Failed => Self::Failed,
        }
    }
}

impl ExitRule {
    /// From the options of `run`; both are never given.
    pub(crate) fn new(fail_on: &[VerdictName], compat: bool) -> Self {
        match (compat, fail_on) {
            (true, _) => Self::Compat,
            (false, []) => Self::Documented,
            (false, listed) => Self::FailOn(listed.to_vec()),
        }
    }

    /// The exit code of one drill.
    pub(crate) fn of(&self, journal: &Journal, verdict: Verdict) -> Exit {
        match self {
            Self::Documented => verdict.into(),
            Self::FailOn(listed) if listed.iter().any(|&name| Verdict::from(name) == verdict) => {
                // Listing `held` asks for a failure where there is none to name.
                match Exit::from(verdict) {
                    Exit::Held => Exit::Broken,
                    exit => exit,
                }
            }
            Self::FailOn(_) => Exit::Held,
            Self::Compat if journal.status == Status::Completed && !journal.deviated => Exit::Held,
            Self::Compat => Exit::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(status: &str, deviated: bool) -> Journal {
        let text = include_str!("../tests/fixtures/chaostoolkit-journal.json");
        let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
        value["status"] = status.into();
        value["deviated"] = deviated.into();
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn each_verdict_has_the_documented_code() {
        let codes: Vec<u8> = VerdictName::value_variants()
            .iter()
            .map(|&name| Exit::from(Verdict::from(name)).code())
            .collect();
        assert_eq!(codes, [0, 1, 1, 3, 4, 4, 5, 6]);
    }

    #[test]
    fn fail_on_forgives_every_verdict_that_is_not_listed() {
        let rule = ExitRule::new(&[VerdictName::Broken, VerdictName::Inconclusive], false);
        let of = |verdict| rule.of(&journal("completed", false), verdict);
        assert_eq!(of(Verdict::Broken), Exit::Broken);
        assert_eq!(of(Verdict::Inconclusive), Exit::Inconclusive);
        assert_eq!(of(Verdict::Failed), Exit::Held);
        assert_eq!(of(Verdict::Held), Exit::Held);
        let rule = ExitRule::new(&[VerdictName::Held], false);
        assert_eq!(
            rule.of(&journal("completed", false), Verdict::Held),
            Exit::Broken
        );
    }

    #[test]
    fn compat_exit_knows_only_completed_without_deviation() {
        let rule = ExitRule::new(&[], true);
        let of = |status, deviated| rule.of(&journal(status, deviated), Verdict::Inconclusive);
        assert_eq!(of("completed", false), Exit::Held);
        assert_eq!(of("completed", true), Exit::Broken);
        assert_eq!(of("interrupted", false), Exit::Broken);
    }

    #[test]
    fn of_several_a_break_is_the_news() {
        let worst = |exits: &[Exit]| Exit::worst(exits.iter().copied());
        assert_eq!(worst(&[]), Exit::Held);
        assert_eq!(worst(&[Exit::Held, Exit::Inconclusive]), Exit::Inconclusive);
        assert_eq!(
            worst(&[Exit::Failed, Exit::Broken, Exit::Halted]),
            Exit::Broken
        );
    }
}
