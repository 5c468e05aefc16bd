//! One drill, from a valid document to its journal: what `run`, `demo` and `inject` share.
//!
//! The guardian is started first, while this process has one thread; the runtime comes after.

mod canary;
mod identity;
mod margin;
pub(crate) mod signals;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use firedrill_engine::effect::Signal;
use firedrill_engine::plan::Obstacle;
use firedrill_engine::{Options, Plan};
use firedrill_experiment::diagnostic::Diagnostic;
use firedrill_experiment::document::{Experiment, Provider, RollbackStrategy};
use firedrill_experiment::journal::{Journal, Status};
use firedrill_experiment::scope::{Scope, VarFile};
use firedrill_runner::control::Controls;
use firedrill_runner::fault::Faults;
use firedrill_runner::notify::{Happening, notify};
use firedrill_runner::plan::{Preview, preview};
use firedrill_runner::provider::{Providers, ProvidersConfig};
use firedrill_runner::rollback::{self, Kept, Rollbacks};
use firedrill_runner::settings::Settings;
use firedrill_runner::spare::Spare;
use firedrill_runner::{Notice, Ports, check, drive, prepare};
use firedrill_undo::{DrillId, Guardian, SpawnConfig, StateDir};
use serde_json::Map;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};

pub(crate) use canary::canary;
pub(crate) use margin::{Dimension, margin};

/// A dead or stopped owner's faults end after this at the latest.
const LEASE: Duration = Duration::from_secs(5);

/// Everything that is settled before a drill.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) experiment: Experiment,
    /// Where the document came from: a path, a URL, or a name of ours.
    pub(crate) source: String,
    pub(crate) overrides: VarFile,
    pub(crate) options: Options,
    pub(crate) seed: u64,
    pub(crate) state: StateDir,
    pub(crate) settings: Settings,
    pub(crate) python: Option<PathBuf>,
    pub(crate) verify_tls: bool,
    /// Import what Python extensions and controls the document names, before anything runs.
    pub(crate) validate_python: bool,
    /// Run only if the plan has this digest.
    pub(crate) digest: Option<String>,
    pub(crate) journal: PathBuf,
}

impl Order {
    /// An order for a document of our own: no variables, no settings, nothing of the user's.
    pub(crate) fn of_ours(
        experiment: Experiment,
        source: &str,
        seed: u64,
        state: StateDir,
    ) -> Self {
        Self {
            experiment,
            source: source.into(),
            overrides: VarFile::default(),
            options: Options {
                hypothesis_frequency: Duration::from_secs(1),
                ..Options::default()
            },
            seed,
            state,
            settings: Settings::default(),
            python: None,
            verify_tls: true,
            validate_python: false,
            digest: None,
            journal: PathBuf::new(),
        }
    }
}

/// Holds the drill. Every way out leaves a journal; `Err` is for what comes before a drill exists.
pub(crate) fn hold(
    order: Order,
    look: impl FnMut(Duration, Notice<'_>),
) -> Result<Box<Journal>, Failure> {
    let drill = identity::drill_id()?;
    let unrecoverable =
        needs_rollbacks(&order).then(|| rollback::check(&order.experiment, &order.overrides).err());
    let guardian = if needs_guardian(&order) {
        Some(start_guardian(&order, &drill))
    } else {
        None
    };
    let runtime = runtime()?;
    let mut refusals: Vec<String> = unrecoverable
        .flatten()
        .iter()
        .map(ToString::to_string)
        .collect();
    let guardian = match guardian.transpose() {
        Ok(guardian) => guardian,
        Err(error) => {
            refusals.push(format!("No fault without its undo: {error}."));
            None
        }
    };
    runtime.block_on(hold_on(order, drill, guardian, refusals, look))
}

async fn hold_on(
    order: Order,
    drill: DrillId,
    guardian: Option<Guardian>,
    refusals: Vec<String>,
    look: impl FnMut(Duration, Notice<'_>),
) -> Result<Box<Journal>, Failure> {
    let (signal, signals) = mpsc::unbounded_channel();
    signals::listen(&signal)?;
    let providers = providers(&order, signal.clone());
    // From here on the lease is renewed, however long the preparations take.
    let radius = order.experiment.blast_radius.unwrap_or_default();
    let faults = guardian.map_or_else(Faults::none, |guardian| {
        Faults::new(guardian, radius, order.seed, signal)
    });
    if let Err(failure) = require_surroundings(&order, &providers).await {
        providers.shutdown().await;
        faults.finish().await;
        return Err(failure);
    }
    let begun = serde_json::Value::Object(order.experiment.raw.clone());
    notify(
        &order.settings,
        &providers,
        Happening::RunStarted,
        begun,
        None,
    )
    .await;
    let settled = settle(&order, &providers, refusals).await;
    faults.spare(settled.spare);
    let settings = order.settings.clone();
    let ports = Ports {
        controls: Controls::new(providers.clone(), settings.clone()),
        providers: providers.clone(),
        faults,
        rollbacks: rollbacks(&order, &drill),
        trials: None,
    };
    let plan = Plan {
        experiment: order.experiment,
        scope: settled.scope,
        options: order.options,
        identity: identity::of(&drill, order.seed, settled.digest),
        obstacle: settled.obstacle,
    };
    let journal = drive(plan, ports, signals, look).await;
    for happening in happenings(&journal) {
        let payload = serde_json::to_value(&journal).unwrap_or_default();
        notify(&settings, &providers, happening, payload, None).await;
    }
    providers.shutdown().await;
    Ok(journal)
}

async fn require_surroundings(order: &Order, providers: &Providers) -> Result<(), Failure> {
    if !order.validate_python {
        return Ok(());
    }
    let Order {
        experiment,
        overrides,
        settings,
        ..
    } = order;
    let missing = check::surroundings(experiment, overrides, settings, providers).await;
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("{} cannot run here: {}", order.source, in_words(&missing));
    Err(Failure::usage(message)
        .hint("firedrill validate shows each; --no-validation runs it all the same"))
}

/// What is known once configuration and secrets are loaded and the targets are named.
struct Settled {
    scope: Scope,
    spare: Spare,
    digest: String,
    obstacle: Option<Obstacle>,
}

async fn settle(order: &Order, providers: &Providers, mut refusals: Vec<String>) -> Settled {
    let loaded = prepare::load_scope(&order.experiment, &order.overrides, providers).await;
    let (scope, trouble) = match loaded {
        Ok(scope) => (scope, None),
        // Nothing is filled in, but what the document itself says in secret is still masked.
        Err(error) => {
            let secrets = order.experiment.secrets.clone();
            (
                Scope {
                    secrets,
                    ..Scope::default()
                },
                Some(error.to_string()),
            )
        }
    };
    let spare =
        tokio::task::block_in_place(|| Spare::of(&order.experiment, &scope, &order.settings));
    let preview = preview(
        &order.experiment,
        &scope,
        &order.options,
        order.seed,
        &spare,
    );
    if order.options.dry.is_none() {
        refusals.extend(preview.refusals.iter().cloned());
    }
    refusals.extend(wrong_digest(order, &preview));
    let obstacle = match (refusals.is_empty(), trouble) {
        (false, _) => Some(Obstacle::Refused(refusals)),
        (true, Some(reason)) => Some(Obstacle::Failed(reason)),
        (true, None) => None,
    };
    Settled {
        scope,
        spare,
        digest: preview.digest,
        obstacle,
    }
}

fn in_words(missing: &[Diagnostic]) -> String {
    let lines: Vec<String> = missing
        .iter()
        .map(|what| format!("{}: {}", what.path, what.message))
        .collect();
    lines.join("; ")
}

fn happenings(journal: &Journal) -> Vec<Happening> {
    let mut happenings = match journal.status {
        Status::Completed => vec![Happening::RunCompleted],
        Status::Failed | Status::Aborted | Status::Interrupted => vec![Happening::RunFailed],
    };
    if journal.deviated {
        happenings.push(Happening::RunDeviated);
    }
    happenings
}

fn wrong_digest(order: &Order, preview: &Preview) -> Option<String> {
    let wanted = order.digest.as_ref()?;
    let same = preview.digest.starts_with(wanted.as_str()) && wanted.len() >= 12;
    (!same).then(|| {
        format!(
            "The plan is not the approved one: its digest is {}, and --digest says {wanted}.",
            preview.digest
        )
    })
}

fn has_faults(experiment: &Experiment) -> bool {
    let activities = experiment.method.iter().chain(&experiment.rollbacks);
    activities
        .into_iter()
        .any(|activity| matches!(activity.provider, Provider::Fault { .. }))
}

fn needs_rollbacks(order: &Order) -> bool {
    let experiment = &order.experiment;
    let some = !experiment.rollbacks.is_empty()
        || experiment
            .method
            .iter()
            .any(|activity| activity.rollback.is_some());
    some && order.options.dry.is_none()
        && order.options.rollback_strategy != RollbackStrategy::Never
}

fn needs_guardian(order: &Order) -> bool {
    order.options.dry.is_none() && (has_faults(&order.experiment) || needs_rollbacks(order))
}

/// The guardian of what cannot do without a fault.
fn require_guardian(order: &Order, drill: &DrillId) -> Result<Guardian, Failure> {
    start_guardian(order, drill)
        .map_err(|why| Failure::new(Exit::Refused, format!("no fault without its undo: {why}")))
        .or_hint("firedrill doctor says what is missing")
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

fn providers(order: &Order, signal: mpsc::UnboundedSender<Signal>) -> Providers {
    Providers::new(ProvidersConfig {
        verify_tls: order.verify_tls,
        python: order.python.clone(),
        directory: None,
        seed: order.seed,
        listener: signals::of_worker(signal),
    })
}

fn start_guardian(order: &Order, drill: &DrillId) -> Result<Guardian, String> {
    let mut config = SpawnConfig::new(
        order.state.clone(),
        drill.clone(),
        order.experiment.title.clone(),
    );
    config.lease = LEASE;
    Guardian::spawn(config).map_err(|error| {
        let causes: Vec<String> = anyhow::Error::new(error)
            .chain()
            .map(ToString::to_string)
            .collect();
        causes.join(": ")
    })
}

fn rollbacks(order: &Order, drill: &DrillId) -> Rollbacks {
    let directory = if needs_rollbacks(order) {
        order.state.drill_path(drill).ok()
    } else {
        None
    };
    let kept = Kept {
        armed: firedrill_engine::effect::Armed {
            activities: Vec::new(),
            configuration: Map::new(),
            registered: Map::new(),
        },
        secrets: rollback::references(&order.experiment.secrets),
        directory: std::env::current_dir().unwrap_or_default(),
        python: order.python.clone(),
        journal: order.journal.clone(),
    };
    let exe = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    Rollbacks::new(directory, exe, kept)
}
