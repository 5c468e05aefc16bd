//! A margin, from a valid document to its record. The guardian is started first, as for a drill.

use std::io;
use std::time::Duration;

use firedrill_runner::fault::Faults;
use firedrill_runner::margin::ask::Asked;
use firedrill_runner::margin::record::{Context, FORM, Record};
use firedrill_runner::margin::{Notice, search};
use firedrill_runner::prepare;
use firedrill_runner::provider::{Providers, ProvidersConfig};
use firedrill_runner::spare::Spare;
use firedrill_undo::Guardian;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Order, identity, signals, start_guardian};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};

/// Searches, or goes on with a record. `Err` is for what comes before anything was touched.
pub(crate) fn margin(
    order: &Order,
    before: Option<Record>,
    keep: impl FnMut(&Record) -> io::Result<()>,
    look: impl FnMut(Duration, Notice<'_>),
) -> Result<Record, Failure> {
    let drill = identity::drill_id()?;
    let guardian = start_guardian(order, &drill)
        .map_err(|why| Failure::new(Exit::Refused, format!("no fault without its undo: {why}")))
        .or_hint("firedrill doctor says what is missing")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(hold(order, before, guardian, keep, look))
}

async fn hold(
    order: &Order,
    before: Option<Record>,
    guardian: Guardian,
    keep: impl FnMut(&Record) -> io::Result<()>,
    look: impl FnMut(Duration, Notice<'_>),
) -> Result<Record, Failure> {
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
    let record = before.unwrap_or_else(|| begin(order, &asked));
    Ok(search(asked, record, faults, received, keep, look).await)
}

/// The question, once configuration and secrets are loaded; what watches is spared from now on.
async fn ask(
    order: &Order,
    faults: &Faults,
    signal: mpsc::UnboundedSender<firedrill_engine::effect::Signal>,
) -> Result<Asked, Failure> {
    let providers = Providers::new(ProvidersConfig {
        verify_tls: order.verify_tls,
        python: order.python.clone(),
        directory: None,
        seed: order.seed,
        listener: signals::of_worker(signal),
    });
    let loaded = prepare::load_scope(&order.experiment, &order.overrides, &providers).await;
    providers.shutdown().await;
    let scope = loaded.or_exit(Exit::Usage)?;
    let spare =
        tokio::task::block_in_place(|| Spare::of(&order.experiment, &scope, &order.settings));
    faults.spare(spare);
    Asked::of(&order.experiment, &scope, order.seed)
        .map_err(|reasons| Failure::new(Exit::Refused, reasons.join("\n  ")))
}

fn begin(order: &Order, asked: &Asked) -> Record {
    let activity = order.experiment.margin.as_ref();
    Record {
        margin: FORM,
        version: env!("CARGO_PKG_VERSION").into(),
        title: order.experiment.title.clone(),
        began: Timestamp::now().to_string(),
        seed: order.seed,
        context: Context {
            activity: activity.map_or_else(String::new, |margin| margin.activity.clone()),
            fault: asked.fault.name.clone(),
            target: asked.fault.target.clone(),
            argument: asked.argument.clone(),
            unit: asked.unit.clone(),
            kpi: asked.kpi.name.clone(),
            rate: asked.kpi.call.rate,
            traffic: "synthetic".into(),
            url: asked.kpi.call.url.clone(),
            node: identity::node(),
        },
        question: None,
        journal: Vec::new(),
        trials: Vec::new(),
        answer: Value::Null,
        plotted: Value::Null,
        stopped: None,
    }
}
