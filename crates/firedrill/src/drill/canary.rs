//! A canary, from a valid document to its journal. The guardian is started first, as for a drill.

use std::time::Duration;

use firedrill_engine::effect::{FaultReport, Signal};
use firedrill_experiment::journal::{
    ActionRecord, Drill, Effect, FaultRecord, Journal, Status, SteadyStates, Verdict,
};
use firedrill_runner::canary::ask::Asked;
use firedrill_runner::canary::{Notice, Outcome, hold};
use firedrill_runner::fault::Faults;
use firedrill_runner::prepare;
use firedrill_runner::spare::Spare;
use firedrill_undo::{DrillId, Guardian};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Order, identity, providers, require_guardian, runtime, signals};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};

/// Holds a canary. `Err` is for what comes before anything was touched.
pub(crate) fn canary(
    order: &Order,
    look: impl FnMut(Duration, Notice<'_>),
) -> Result<Journal, Failure> {
    let drill = identity::drill_id()?;
    let guardian = require_guardian(order, &drill)?;
    runtime()?.block_on(run(order, &drill, guardian, look))
}

async fn run(
    order: &Order,
    drill: &DrillId,
    guardian: Guardian,
    look: impl FnMut(Duration, Notice<'_>),
) -> Result<Journal, Failure> {
    let (signal, received) = mpsc::unbounded_channel();
    signals::listen(&signal)?;
    let radius = order.experiment.blast_radius.unwrap_or_default();
    let faults = Faults::new(guardian, radius, order.seed, signal.clone());
    let asked = match ask(order, &faults, signal).await {
        Ok(asked) => asked,
        Err(failure) => {
            faults.finish().await;
            return Err(failure);
        }
    };
    let began = Timestamp::now();
    let outcome = hold(asked, faults, received, look).await;
    Ok(journal(order, drill, began, outcome))
}

/// The question, once configuration and secrets are loaded; what watches is spared from now on.
async fn ask(
    order: &Order,
    faults: &Faults,
    signal: mpsc::UnboundedSender<Signal>,
) -> Result<Asked, Failure> {
    let providers = providers(order, signal);
    let loaded = prepare::load_scope(&order.experiment, &order.overrides, &providers).await;
    providers.shutdown().await;
    let scope = loaded.or_exit(Exit::Usage)?;
    let asked = tokio::task::block_in_place(|| {
        faults.spare(Spare::of(&order.experiment, &scope, &order.settings));
        Asked::of(&order.experiment, &scope, order.seed)
    });
    let mut asked = asked.map_err(|reasons| Failure::new(Exit::Refused, reasons.join("\n  ")))?;
    asked.verify_tls = order.verify_tls;
    Ok(asked)
}

fn journal(order: &Order, drill: &DrillId, began: Timestamp, outcome: Outcome) -> Journal {
    let identity = identity::of(drill, order.seed, String::new());
    let moment = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string();
    let faults: Vec<FaultRecord> = outcome
        .fault
        .iter()
        .map(|report| fault(order, report))
        .collect();
    let actions = faults.iter().map(|fault| ActionRecord {
        activity: fault.activity.clone(),
        undo_class: fault.undo_class,
    });
    let drill = Drill {
        version: identity.version,
        id: identity.drill,
        seed: identity.seed,
        digest: identity.digest,
        verdict: outcome.verdict,
        effect: faults.first().map(|fault| fault.effect),
        reasons: outcome.reasons,
        expectation: "continue".into(),
        phases: Vec::new(),
        kpis: Vec::new(),
        actions: actions.collect(),
        faults,
        recovery: None,
        notes: Vec::new(),
        canary: Some(outcome.record),
    };
    Journal {
        chaoslib_version: firedrill_engine::CHAOSLIB_VERSION.into(),
        platform: identity.platform,
        node: identity.node,
        experiment: Value::Object(order.experiment.raw.clone()),
        start: moment(began),
        status: status(outcome.verdict),
        deviated: outcome.verdict == Verdict::Broken,
        steady_states: SteadyStates::default(),
        run: Vec::new(),
        rollbacks: Vec::new(),
        end: moment(Timestamp::now()),
        duration: outcome.took.as_secs_f64(),
        interruption: None,
        safeguards: None,
        extra: serde_json::Map::new(),
        firedrill: Some(drill),
    }
}

fn status(verdict: Verdict) -> Status {
    match verdict {
        Verdict::Held | Verdict::Broken | Verdict::NotRecovered | Verdict::Inconclusive => {
            Status::Completed
        }
        Verdict::UnhealthyBefore | Verdict::Refused | Verdict::Failed => Status::Failed,
        Verdict::Halted => Status::Interrupted,
    }
}

fn fault(order: &Order, report: &FaultReport) -> FaultRecord {
    let canary = order.experiment.canary.as_ref();
    let refused = report.refused.as_ref().map(|why| format!("refused: {why}"));
    FaultRecord {
        activity: canary.map_or_else(String::new, |canary| canary.activity.clone()),
        fault: report.fault.clone(),
        mechanism: report.mechanism.clone(),
        undo_class: report.undo_class,
        targets: report.targets.clone(),
        requested: report.requested.clone(),
        achieved: refused.or_else(|| report.achieved.clone()),
        measured: report.measured.clone(),
        effect: match report.observed {
            true => Effect::Observed,
            false => Effect::Unobserved,
        },
        exposure: None,
        applied: report.applied.unwrap_or_default().as_secs_f64(),
        reverted: report.reverted.map(|at| at.as_secs_f64()),
        inject_ms: report.inject.as_secs_f64() * 1e3,
        revert_ms: report.revert.map(|took| took.as_secs_f64() * 1e3),
        residue: report.residue.clone(),
    }
}
