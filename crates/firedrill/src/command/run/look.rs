//! What a person sees while a drill runs: the steps on standard error, a bar where time is known.

use std::path::Path;
use std::time::Duration;

use firedrill_engine::effect::{Check, Level, Progress};
use firedrill_experiment::journal::RunStatus;
use firedrill_runner::Notice;
use firedrill_runner::events::EventsFile;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::drill::Order;
use crate::failure::Failure;
use crate::output::{BAD, BOLD, CAUTION, DIM, Out};
use crate::verdict::phase_name;

/// Looks on for one drill.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    out: &'a Out,
    events: Option<EventsFile>,
    bar: Option<ProgressBar>,
}

impl<'a> Look<'a> {
    pub(crate) fn new(out: &'a Out, events: Option<&Path>, order: &Order) -> Result<Self, Failure> {
        let events = events
            .map(EventsFile::create)
            .transpose()
            .map_err(|error| Failure::usage(error.to_string()))?;
        out.detail(format!(
            "seed {}, state in {}",
            order.seed,
            order.state.path().display()
        ));
        Ok(Self {
            out,
            events,
            bar: None,
        })
    }

    pub(crate) fn see(&mut self, now: Duration, notice: &Notice<'_>) {
        match notice {
            Notice::Progress(progress) => {
                if let Some(events) = &self.events {
                    events.progress(now, progress);
                }
                self.progress(now, progress);
            }
            Notice::Log(level, text) => self.log(*level, text),
        }
    }

    pub(crate) fn ended(&mut self) {
        self.clear();
        if let Some(events) = &self.events {
            events.flush();
            if let Some(problem) = events.problem() {
                self.out.warning(problem);
            }
        }
    }

    fn progress(&mut self, now: Duration, progress: &Progress) {
        let at = format!("{DIM}{:>6.1}s{DIM:#}", now.as_secs_f64());
        let line = match progress {
            Progress::Started { title } => format!("{at} {BOLD}{title}{BOLD:#}"),
            Progress::Phase { phase, time } => {
                self.bar(phase_name(*phase), *time);
                return;
            }
            Progress::ActivityStarted { activity } => started(&at, activity),
            Progress::ActivityEnded { run } if run.status != Some(RunStatus::Succeeded) => {
                let status = if run.status.is_some() {
                    "failed"
                } else {
                    "was interrupted"
                };
                format!(
                    "{at} `{}` {BAD}{status}{BAD:#}",
                    word(&run.activity, "name")
                )
            }
            Progress::HypothesisChecked { check, state } => {
                let when = match check {
                    Check::Before => "before",
                    Check::During { .. } => "during",
                    Check::After => "after",
                };
                match state.steady_state_met {
                    Some(true) => format!("{at} hypothesis met {when} the method"),
                    _ => format!("{at} hypothesis {BAD}not met{BAD:#} {when} the method"),
                }
            }
            Progress::FaultApplied { name } => {
                format!("{at} {CAUTION}{name} is in place{CAUTION:#}")
            }
            Progress::FaultReverted { name } => format!("{at} {name} is undone"),
            Progress::Recovered { took } => {
                format!("{at} recovered after {:.1} s", took.as_secs_f64())
            }
            Progress::ActivityEnded { .. }
            | Progress::HypothesisStarted { .. }
            | Progress::MethodStarted
            | Progress::MethodEnded
            | Progress::RollbacksStarted
            | Progress::RollbacksEnded
            | Progress::Stopped { .. }
            | Progress::Ended { .. } => return,
        };
        self.say(line);
    }

    fn log(&mut self, level: Level, text: &str) {
        match level {
            Level::Debug | Level::Info => {
                if self.out.verbosity() > 0 {
                    self.say(format!("{DIM}        {text}{DIM:#}"));
                }
            }
            Level::Warning => self.say(format!("        {CAUTION}{text}{CAUTION:#}")),
            Level::Error => self.say(format!("        {BAD}{text}{BAD:#}")),
        }
    }

    fn say(&self, line: String) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.out.note(line)),
            None => self.out.note(line),
        }
    }

    fn bar(&mut self, phase: &'static str, time: Option<Duration>) {
        self.clear();
        let Some(time) = time.filter(|_| self.out.shows_progress()) else {
            return;
        };
        let bar = ProgressBar::new(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        if let Ok(style) = ProgressStyle::with_template("        {msg:<11} {wide_bar} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(phase);
        bar.enable_steady_tick(Duration::from_millis(100));
        self.bar = Some(bar);
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn started(at: &str, activity: &Value) -> String {
    let aside = if activity.get("background") == Some(&Value::Bool(true)) {
        " in the background"
    } else {
        ""
    };
    format!(
        "{at} {} `{}`{aside}",
        word(activity, "type"),
        word(activity, "name")
    )
}

fn word<'a>(activity: &'a Value, key: &str) -> &'a str {
    activity
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
