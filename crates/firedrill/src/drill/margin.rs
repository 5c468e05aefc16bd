//! A margin, from a valid document to its record. The guardian is started first, as for a drill.

use std::io;
use std::time::Duration;

use firedrill_engine::Plan;
use firedrill_experiment::document::{Experiment, Margin};
use firedrill_experiment::journal::margin::{Context, FORM, Record};
use firedrill_experiment::scope::Scope;
use firedrill_runner::Ports;
use firedrill_runner::control::Controls;
use firedrill_runner::fault::Faults;
use firedrill_runner::margin::ask::Asked;
use firedrill_runner::margin::{Notice, hold as search};
use firedrill_runner::plan::preview;
use firedrill_runner::prepare;
use firedrill_runner::provider::Providers;
use firedrill_runner::rollback;
use firedrill_runner::spare::Spare;
use firedrill_undo::{DrillId, Guardian};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    Order, identity, needs_rollbacks, providers, require_guardian, rollbacks, runtime, signals,
};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};

/// One dimension of the document.
pub(crate) struct Dimension<'a> {
    pub(crate) margin: &'a Margin,
    /// What the dimensions before it have left of the blast radius' bad events.
    pub(crate) bad_events_max: Option<u64>,
    /// The search to go on with.
    pub(crate) before: Option<Record>,
}

/// Searches, or goes on with a record. `Err` is for what comes before anything was touched.
pub(crate) fn margin(
    order: &Order,
    dimension: Dimension<'_>,
    keep: impl FnMut(&Record) -> io::Result<()>,
    look: impl FnMut(Duration, Notice<'_>),
) -> Result<Record, Failure> {
    if needs_rollbacks(order) {
        rollback::check(&order.experiment, &order.overrides).or_exit(Exit::Refused)?;
    }
    let drill = identity::drill_id()?;
    let guardian = require_guardian(order, &drill)?;
    runtime()?.block_on(hold(order, dimension, (drill, guardian), keep, look))
}

async fn hold(
    order: &Order,
    dimension: Dimension<'_>,
    (drill, guardian): (DrillId, Guardian),
    keep: impl FnMut(&Record) -> io::Result<()>,
    look: impl FnMut(Duration, Notice<'_>),
) -> Result<Record, Failure> {
    let (signal, received) = mpsc::unbounded_channel();
    signals::listen(&signal)?;
    let radius = order.experiment.blast_radius.unwrap_or_default();
    let faults = Faults::new(guardian, radius, order.seed, signal.clone());
    let providers = providers(order, signal);
    let settled = settle(order, &dimension, &faults, &providers).await;
    let (asked, scope, digest) = match settled {
        Ok(settled) => settled,
        Err(failure) => {
            providers.shutdown().await;
            faults.finish().await;
            return Err(failure);
        }
    };
    let Dimension { margin, before, .. } = dimension;
    let record = before.unwrap_or_else(|| begin(order, margin, &asked));
    let ports = Ports {
        controls: Controls::new(providers.clone(), order.settings.clone()),
        providers: providers.clone(),
        faults,
        rollbacks: rollbacks(order, &drill),
        trials: None,
    };
    let plan = Plan {
        experiment: order.experiment.clone(),
        scope,
        options: order.options.clone(),
        identity: identity::of(&drill, order.seed, digest),
        obstacle: None,
    };
    let record = search(asked, record, plan, ports, received, keep, look).await;
    providers.shutdown().await;
    Ok(record)
}

/// The question, once configuration and secrets are loaded; what watches is spared from now on.
async fn settle(
    order: &Order,
    dimension: &Dimension<'_>,
    faults: &Faults,
    providers: &Providers,
) -> Result<(Asked, Scope, String), Failure> {
    let loaded = prepare::load_scope(&order.experiment, &order.overrides, providers).await;
    let scope = loaded.or_exit(Exit::Usage)?;
    let spare =
        tokio::task::block_in_place(|| Spare::of(&order.experiment, &scope, &order.settings));
    let margin = dimension.margin;
    let others = without(&order.experiment, margin);
    let others = preview(&others, &scope, &order.options, order.seed, &spare);
    faults.spare(spare);
    let left = dimension.bad_events_max;
    let asked = Asked::of(&order.experiment, margin, left, &scope, order.seed);
    let mut reasons = others.refusals;
    match asked {
        Ok(asked) if reasons.is_empty() => Ok((asked, scope, others.digest)),
        Ok(_) => Err(Failure::new(Exit::Refused, reasons.join("\n  "))),
        Err(more) => {
            reasons.extend(more);
            Err(Failure::new(Exit::Refused, reasons.join("\n  ")))
        }
    }
}

/// What is played beside the trials.
fn without(experiment: &Experiment, margin: &Margin) -> Experiment {
    let mut rest = experiment.clone();
    rest.part_guardrails_from_kpis();
    rest.kpis.clear();
    rest.method.retain(|one| one.name != margin.activity);
    rest
}

fn begin(order: &Order, margin: &Margin, asked: &Asked) -> Record {
    Record {
        margin: FORM,
        version: env!("CARGO_PKG_VERSION").into(),
        title: order.experiment.title.clone(),
        began: Timestamp::now().to_string(),
        seed: order.seed,
        context: Context {
            name: margin.name.clone(),
            activity: asked.activity.clone(),
            fault: asked.fault.name.clone(),
            target: asked.fault.target.clone(),
            argument: asked.argument.clone(),
            unit: asked.unit.clone(),
            kpi: asked.kpi.name.clone(),
            rate: match asked.kpi.is_counted_elsewhere() {
                true => None,
                false => asked.kpi.source.rate(),
            },
            traffic: asked.kpi.source.traffic().into(),
            url: asked.kpi.url().to_owned(),
            source: asked
                .kpi
                .is_counted_elsewhere()
                .then(|| asked.kpi.source.describe()),
            node: identity::node(),
            facts: None,
        },
        question: None,
        journal: Vec::new(),
        trials: Vec::new(),
        answer: None,
        plotted: None,
        stopped: None,
        drill: Value::Null,
    }
}
