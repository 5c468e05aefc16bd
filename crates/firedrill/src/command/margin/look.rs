//! What a person sees while trials run: a line each, on standard error.

use std::time::Duration;

use firedrill_experiment::document::Margin;
use firedrill_experiment::journal::margin::{Record, TrialReport};
use firedrill_experiment::units::Unit;
use firedrill_judge::margin::{Approach, Verdict};
use firedrill_runner::margin::Notice;

use crate::output::{BAD, BOLD, CAUTION, DIM, GOOD, Out};

pub(super) struct Look<'a> {
    out: &'a Out,
    unit: Unit,
    dimension: String,
}

impl<'a> Look<'a> {
    pub(super) fn new(out: &'a Out, margin: &Margin) -> Self {
        let (from, to) = (
            margin.unit.show(margin.lowest),
            margin.unit.show(margin.largest),
        );
        Self {
            out,
            unit: margin.unit.clone(),
            dimension: format!(
                "{}`{}` of `{}`, {from} to {to}",
                margin
                    .name
                    .as_ref()
                    .map_or_else(String::new, |name| format!("{name}: ")),
                margin.argument,
                margin.activity
            ),
        }
    }

    pub(super) fn begin(&self, title: &str, before: Option<&Record>) {
        self.out.note(format!("{BOLD}{title}{BOLD:#}"));
        self.out.note(format!("  {}", self.dimension));
        if let Some(before) = before {
            let trials = before.trials.len();
            self.out.note(format!(
                "  going on after {trials} trials, begun {}",
                before.began
            ));
        }
    }

    pub(super) fn see(&mut self, now: Duration, notice: &Notice<'_>) {
        let at = format!("{DIM}{:>6.1}s{DIM:#}", now.as_secs_f64());
        let line = match notice {
            Notice::Gate => format!("{at} watched before anything is broken"),
            Notice::Well { normal: None } => format!("{at} well"),
            Notice::Well {
                normal: Some(normal),
            } => format!("{at} well; {} is normal today", self.unit.show(*normal)),
            Notice::Trying { number, magnitude } => {
                format!(
                    "{at} {number:>3}  {BOLD}{}{BOLD:#}",
                    self.unit.show(*magnitude)
                )
            }
            Notice::Tried(report) => format!("{at}      {}", tried(report)),
            Notice::Void(why) => format!("{at}      {CAUTION}says nothing:{CAUTION:#} {why}"),
            Notice::Trouble(why) => format!("{at}      {CAUTION}{why}{CAUTION:#}"),
            Notice::Recovered(took) if took.as_millis() < 200 => return,
            Notice::Recovered(took) => {
                format!(
                    "{at}      {DIM}well again after {:.1} s{DIM:#}",
                    took.as_secs_f64()
                )
            }
        };
        self.out.note(line);
    }
}

fn tried(report: &TrialReport) -> String {
    let trial = &report.trial;
    let verdict = match trial.verdict {
        Verdict::Hold => format!("{GOOD}borne{GOOD:#}"),
        Verdict::Break => format!("{BAD}not borne{BAD:#}"),
        Verdict::NotYet => format!("{CAUTION}not clear{CAUTION:#}"),
    };
    let from = match trial.approach {
        Approach::Below => "",
        Approach::Above { .. } => ", from above",
    };
    let all = trial.good.unwrap_or(0) + trial.bad;
    let time = report.reverted - report.applied;
    format!(
        "{verdict}{from}  {} of {all} requests bad, {time:.1} s",
        trial.bad
    )
}
