//! The act that measures: how late payments may answer. It does not know the shop's time-out.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use firedrill_demo::{Addresses, tour};
use firedrill_experiment::document::{Experiment, Strictness};
use firedrill_experiment::journal::margin::{Record, Stopped};
use firedrill_judge::margin::{Interval, Verdict};
use firedrill_runner::margin::Notice;
use firedrill_undo::ControlApi;
use serde_json::{Value, json};

use crate::cli::GlobalArgs;
use crate::command::margin::describe;
use crate::drill::{self, Dimension, Order};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BOLD, DIM, Out};

/// The range of the tour's search, in milliseconds.
pub(super) const TOUR: (u64, u64) = (10, 640);

/// For the proxy's own counts.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of it.
pub(super) struct Late {
    record: Record,
    /// Milliseconds that a call of payments takes anyway, at the share that the search looks at.
    call_ms: Option<f64>,
    took: Duration,
}

/// Searches, with this seed.
pub(super) fn search(
    addresses: &Addresses,
    range: (u64, u64),
    seed: u64,
    global: &GlobalArgs,
    out: &Out,
) -> Result<Late, Failure> {
    let document = tour::late_payments(addresses, range);
    let experiment = Experiment::from_value(document, Strictness::Strict)
        .map_err(|mistakes| Failure::new(Exit::Failed, mistakes.lines().join("; ")))?;
    let order = Order::of_ours(experiment, "the demo", seed, global.state()?);
    let Some(margin) = order.experiment.margins.first() else {
        return Err(Failure::new(Exit::Failed, "the tour asks for no margin"));
    };
    let dimension = Dimension {
        margin,
        bad_events_max: None,
        before: None,
    };
    let api = ControlApi::at(addresses.proxy, PATIENCE);
    let began = Instant::now();
    let mut call_ms = None;
    let unit = margin.unit.clone();
    let mut line = String::new();
    let record = drill::margin(
        &order,
        dimension,
        |_| Ok(()),
        |_, notice| match notice {
            // The KPI was watched for a while, and nothing was late yet.
            Notice::Well { .. } => call_ms = usual(&api),
            Notice::Tried(report) => {
                let trial = &report.trial;
                let mark = match trial.verdict {
                    Verdict::Hold => "borne",
                    Verdict::Break => "too late",
                    Verdict::NotYet => "not clear",
                };
                line.clear();
                let _ = write!(line, "  {DIM}+{} {mark}{DIM:#}", unit.show(trial.magnitude));
                out.note(&line);
            }
            _ => {}
        },
    )?;
    Ok(Late {
        record,
        call_ms,
        took: began.elapsed(),
    })
}

/// Of the calls that the proxy has seen: what all but [`tour::LATE_MAX`] of them took at the most.
fn usual(api: &ControlApi) -> Option<f64> {
    let calls = api.arms("payments").ok()??.none;
    let all: u64 = calls.times.iter().map(|(_, count)| count).sum();
    let most = (all as f64 * (1.0 - tour::LATE_MAX)).ceil() as u64;
    let mut seen = 0;
    let at = calls.times.iter().find(|(_, count)| {
        seen += count;
        seen >= most.max(1)
    });
    at.map(|(end, _)| end * 1e3)
}

impl Late {
    pub(super) fn is_halted(&self) -> bool {
        matches!(self.record.stopped, Some(Stopped::Halted))
    }

    pub(super) fn exit(&self) -> Exit {
        crate::command::margin::exit(&self.record)
    }

    fn found(&self) -> Option<Interval> {
        let answer = self.record.search()?.answer();
        self.record.stopped.is_none().then_some(answer.break_point)
    }

    /// The break point, and what a call takes anyway: where the time-out is, from the outside.
    fn timeout_ms(&self) -> Option<(f64, f64, f64)> {
        let (found, call) = (self.found()?, self.call_ms?);
        Some((found.low? + call, found.value? + call, found.high? + call))
    }

    /// Whether the interval has the time-out that was configured in it.
    fn covers(&self, configured: Duration) -> Option<bool> {
        let configured = configured.as_secs_f64() * 1e3;
        self.timeout_ms()
            .map(|(low, _, high)| low <= configured && configured <= high)
    }

    /// `whose`: the time-out, of the shop or of whoever set it.
    pub(super) fn describe(&self, whose: &str, configured: Duration) -> String {
        let mut text = describe(std::slice::from_ref(&self.record));
        let (Some((low, at, high)), Some(call)) = (self.timeout_ms(), self.call_ms) else {
            return text;
        };
        let _ = writeln!(
            text,
            "  {BOLD}time-out    {at:.0} ms as measured ({low:.0} to {high:.0}), {} ms is {whose}{BOLD:#}",
            configured.as_millis()
        );
        let _ = writeln!(
            text,
            "              {DIM}the delay that is borne, and the {call:.1} ms that a call takes anyway{DIM:#}"
        );
        text
    }

    /// For programs; times in milliseconds.
    pub(super) fn summary(&self, configured: Duration) -> Value {
        let answer = self.record.search().map(|search| search.answer());
        let found = self.timeout_ms();
        json!({
            "configured-ms": configured.as_secs_f64() * 1e3,
            "measured-ms": found.map(|(low, at, high)| json!({"low": low, "value": at, "high": high})),
            "covers": self.covers(configured),
            "call-ms": self.call_ms,
            "delay-ms": self.found(),
            "end": answer.as_ref().and_then(|answer| answer.end),
            "stopped": self.record.stopped,
            "trials": answer.as_ref().map(|answer| answer.trials),
            "bad-requests": answer.as_ref().map(|answer| answer.bad_events),
            "seconds": self.took.as_secs_f64(),
            "seed": self.record.seed,
        })
    }
}
