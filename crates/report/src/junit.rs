//! For continuous integration: one test case per drill.
//!
//! | verdict | test case |
//! |---|---|
//! | held | passes |
//! | broken, not-recovered | failure |
//! | inconclusive, halted, failed | error: there is no answer |
//! | unhealthy-before, refused | skipped: nothing was broken |
//!
//! Another tool's journal passes when it completed without deviation, fails when it deviated
//! or its status is failed, and is an error when it was aborted or interrupted.

use std::time::Duration;

use firedrill_experiment::journal::Journal;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::summary::{Summary, Tone, summary};
use crate::times;

/// A day has fewer seconds; a longer one in a journal is a mistake.
const LONGEST: f64 = 1e9;

#[derive(Debug, thiserror::Error)]
pub enum JunitError {
    #[error("cannot write JUnit XML: {0}")]
    Write(#[from] quick_junit::SerializeError),
}

/// JUnit's XML, as Jenkins, GitLab and GitHub Actions read it.
///
/// # Errors
/// When the XML cannot be written.
pub fn junit(journals: &[Journal]) -> Result<String, JunitError> {
    let mut suite = TestSuite::new("firedrill");
    suite.add_test_cases(journals.iter().map(case));
    let mut report = Report::new("firedrill");
    report.add_test_suite(suite);
    Ok(report.to_string()?)
}

fn case(journal: &Journal) -> TestCase {
    let summary = summary(journal);
    let mut case = TestCase::new(summary.title.as_str(), status(&summary));
    case.set_classname("drill");
    if journal.duration.is_finite() {
        case.set_time(Duration::from_secs_f64(
            journal.duration.clamp(0.0, LONGEST),
        ));
    }
    if let Some(start) = times::parse(&journal.start)
        && let Ok(start) = start.to_string().parse()
    {
        case.timestamp = Some(start);
    }
    if matches!(summary.tone, Tone::Good | Tone::Plain) {
        case.set_system_out(text(&summary));
    }
    case
}

fn status(summary: &Summary) -> TestCaseStatus {
    let mut status = match summary.tone {
        Tone::Good | Tone::Plain => return TestCaseStatus::success(),
        Tone::Bad => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Tone::Doubt => TestCaseStatus::non_success(NonSuccessKind::Error),
        Tone::Idle => TestCaseStatus::skipped(),
    };
    status.set_type(summary.verdict.as_str());
    status.set_message(summary.headline.as_str());
    status.set_description(text(summary));
    status
}

fn text(summary: &Summary) -> String {
    let mut lines = vec![format!("{}: {}", summary.verdict, summary.headline)];
    lines.extend(summary.reasons.iter().cloned());
    lines.join("\n")
}
