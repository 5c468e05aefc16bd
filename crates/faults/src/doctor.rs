//! What this host can do, through which mechanism, and what was left on it. Changes nothing that it
//! does not take back at once: it operates children, empty cgroups, unnamed files and network
//! namespaces of its own.
//!
//! Map: a file for each subject of the checks; [`usable`]: which faults follow from them;
//! [`foreign`]: what other tools leave.
//!
//! Deliberately absent: repairing anything. What is found is said.

mod container;
mod disk;
pub mod foreign;
mod interception;
mod network;
mod ours;
mod privilege;
mod process;
mod time;
pub mod usable;

use firedrill_kernel::freezer::Version;
use firedrill_undo::StateDir;
use serde::Serialize;

pub use foreign::{Left, left_by_others};
pub use usable::{Usability, usability};

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub subject: Subject,
    pub mechanism: &'static str,
    pub usable: bool,
    /// What was seen.
    pub why: String,
    /// What to do about it, where something can be done.
    pub fix: Option<&'static str>,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    Safety,
    Privileges,
    Processes,
    Resources,
    Network,
    Time,
    Containers,
    Left,
}

/// Tries everything that faults, guardian and recovery use here.
#[must_use]
pub fn doctor(state: &StateDir) -> Vec<Check> {
    let mut checks = vec![
        process::pidfd(),
        process::deadline_timer(),
        disk::state_directory(state.path()),
        process::freezer(Version::V1, "cgroup v1 freezer"),
        process::freezer(Version::V2, "cgroup v2 freezer"),
        process::signal_others(),
    ];
    checks.extend(privilege::capabilities());
    checks.extend(process::controllers());
    checks.push(disk::unnamed_files(&std::env::temp_dir()));
    checks.extend(network::checks());
    checks.extend(time::clocks());
    checks.extend(container::engines());
    checks.push(container::systemd());
    checks.push(ours::stopped_processes());
    checks.push(ours::cgroups_left());
    checks.push(ours::workers_left());
    checks.push(ours::roots_left());
    checks
}

/// Which faults can work here, from only those checks that this takes.
#[must_use]
pub fn faults_here() -> Vec<Usability> {
    let mut checks = vec![process::pidfd(), container::systemd()];
    checks.extend(privilege::capabilities());
    checks.extend(network::checks());
    checks.extend(time::clocks());
    checks.extend(container::engines());
    usability(&checks)
}

impl Check {
    fn usable(subject: Subject, mechanism: &'static str, why: impl Into<String>) -> Self {
        Self {
            subject,
            mechanism,
            usable: true,
            why: why.into(),
            fix: None,
        }
    }

    fn unusable(
        subject: Subject,
        mechanism: &'static str,
        why: impl Into<String>,
        fix: Option<&'static str>,
    ) -> Self {
        Self {
            subject,
            mechanism,
            usable: false,
            why: why.into(),
            fix,
        }
    }

    /// Usable if it was operated; else with what was said instead.
    fn of(
        subject: Subject,
        mechanism: &'static str,
        outcome: Result<&str, String>,
        fix: &'static str,
    ) -> Self {
        match outcome {
            Ok(why) => Self::usable(subject, mechanism, why),
            Err(why) => Self::unusable(subject, mechanism, why, Some(fix)),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
