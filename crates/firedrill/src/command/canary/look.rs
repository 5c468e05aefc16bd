//! What a person sees while arms are compared: a line each second, on standard error.

use std::time::Duration;

use firedrill_experiment::document::{Canary, CanaryArms};
use firedrill_experiment::journal::CanaryRecord;
use firedrill_runner::canary::Notice;

use crate::output::{BOLD, DIM, Out};

pub(crate) struct Look<'a> {
    out: &'a Out,
    confidence: f64,
    arms: String,
    /// What is counted.
    what: &'static str,
    /// When the next line is due.
    next: Duration,
}

const EVERY: Duration = Duration::from_secs(1);

impl<'a> Look<'a> {
    pub(crate) fn new(out: &'a Out, canary: &Canary) -> Self {
        Self {
            out,
            confidence: canary.confidence,
            arms: arms(canary),
            what: match canary.epoch {
                Some(_) => "users",
                None => "requests",
            },
            next: Duration::ZERO,
        }
    }

    pub(crate) fn begin(&self, title: &str) {
        self.out.note(format!("{BOLD}{title}{BOLD:#}"));
        self.out.note(format!("  {}", self.arms));
    }

    pub(crate) fn see(&mut self, now: Duration, notice: &Notice<'_>) {
        let line = match notice {
            Notice::Divided => "divided; both arms are watched without the fault".to_owned(),
            Notice::Watched => "both arms are watched without the fault".into(),
            Notice::Alike {
                counted: [control, experiment],
            } => format!("alike: {control} and {experiment} {}", self.what),
            Notice::Even {
                counted: [control, experiment],
            } => format!("even: {control} and {experiment} {}", self.what),
            Notice::InPlace => "the experiment has the fault".into(),
            Notice::Looked { counted, record } => {
                if now < self.next {
                    return;
                }
                self.next = now + EVERY;
                self.looked(*counted, record)
            }
            Notice::Stopped(why) => format!("{BOLD}stopped{BOLD:#}: {why}"),
        };
        let at = format!("{DIM}{:>6.1}s{DIM:#}", now.as_secs_f64());
        self.out.note(format!("{at} {line}"));
    }

    fn looked(&self, [control, experiment]: [u64; 2], record: &CanaryRecord) -> String {
        let effects: Vec<String> = record
            .kpis
            .iter()
            .map(|kpi| format!("{} {}", kpi.name, kpi.effect(self.confidence)))
            .collect();
        format!(
            "{control} and {experiment} {}; {}",
            self.what,
            effects.join("; ")
        )
    }
}

fn arms(canary: &Canary) -> String {
    let name = &canary.activity;
    let CanaryArms::Split { share, by } = &canary.arms else {
        return format!("`{name}` for the experiment; each arm has a source of its own");
    };
    let front = canary.front.as_ref();
    let by = front.map_or(by, |front| &front.by);
    let at = front.map(|front| format!(" at route {}", front.route));
    format!(
        "`{name}` for the experiment: {} % of the traffic{} by {by}, and as much for control",
        share * 100.0,
        at.unwrap_or_default(),
    )
}
