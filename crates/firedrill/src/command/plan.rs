//! `firedrill plan`: what a drill would do, and a digest to approve.

mod margin;

use firedrill_engine::Options;
use firedrill_experiment::journal::Phase;
use firedrill_experiment::scope::Scope;
use firedrill_runner::plan::{PlannedAction, PlannedKpi, PlannedPhase, Preview, margins, preview};
use firedrill_runner::prepare::load_scope;
use firedrill_runner::provider::{Providers, ProvidersConfig};
use firedrill_runner::spare::Spare;

use super::run::{Loading, documents, overrides, settings};
use crate::cli::{GlobalArgs, PlanArgs};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};
use crate::output::{BAD, BOLD, CAUTION, DIM, GOOD, Out};

/// The same targets for the same processes, unless asked otherwise.
const SEED: u64 = 0;

pub(super) fn execute(args: &PlanArgs, global: &GlobalArgs, out: &Out) -> Result<Exit, Failure> {
    let settings = settings(global)?;
    let document = documents(
        std::slice::from_ref(&args.document),
        true,
        false,
        &settings,
        &Loading::default(),
        out,
    )?
    .swap_remove(0);
    let overrides = overrides(&args.variables)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let scope: Scope = runtime.block_on(async {
        let providers = Providers::new(ProvidersConfig::default());
        let scope = load_scope(&document.experiment, &overrides, &providers).await;
        providers.shutdown().await;
        scope.or_exit(Exit::Usage)
    })?;
    let options = Options {
        tags: args.tags.clone(),
        ..Options::default()
    };
    let seed = args.seed.unwrap_or(SEED);
    let mut preview = preview(
        &document.experiment,
        &scope,
        &options,
        seed,
        &Spare::of(&document.experiment, &scope, &settings),
    );
    preview.margins = margins(&document.experiment, &scope, seed, &mut preview.refusals);
    if out.is_json() {
        out.json(&preview)?;
    } else {
        show(&preview, out)?;
    }
    Ok(if preview.refusals.is_empty() {
        Exit::Held
    } else {
        Exit::Refused
    })
}

fn show(preview: &Preview, out: &Out) -> Result<(), Failure> {
    out.line(format!("{BOLD}{}{BOLD:#}", preview.title))?;
    for action in &preview.actions {
        show_action(action, out)?;
    }
    for kpi in &preview.kpis {
        show_kpi(kpi, out)?;
    }
    for guardrail in &preview.guardrails {
        let stops = guardrail.bad_requests_to_stop;
        let stops = stops.map_or_else(String::new, |bad| {
            format!("; {bad} bad requests in a row stop the drill")
        });
        let reaction = reaction(guardrail.reaction_seconds);
        out.line(format!(
            "  guard    {}: {}{reaction}{stops}",
            guardrail.guardrail, guardrail.source
        ))?;
    }
    for one in &preview.margins {
        margin::show(one, out)?;
    }
    out.line(format!(
        "  time     {:.1} s, and up to {:.1} s of recovery; about {} synthetic requests",
        preview.seconds, preview.recovery_seconds, preview.requests
    ))?;
    let hits = preview.actions.iter().any(|action| action.fault.is_some());
    if hits && !preview.spared.is_empty() {
        let spared = preview.spared.join(", ");
        out.line(format!("  spared   traffic with {spared}"))?;
    }
    out.line(format!("  digest   {}", preview.digest))?;
    if preview.refusals.is_empty() {
        return out.line(format!(
            "{GOOD}It may run.{GOOD:#}  {DIM}firedrill run … --seed {SEED} --digest {}{DIM:#}",
            &preview.digest[..16]
        ));
    }
    for refusal in &preview.refusals {
        out.line(format!("{BAD}refused{BAD:#}  {refusal}"))?;
    }
    Ok(())
}

fn show_kpi(kpi: &PlannedKpi, out: &Out) -> Result<(), Failure> {
    let reaction = reaction(kpi.reaction_seconds);
    out.line(format!("  kpi      {}: {}{reaction}", kpi.kpi, kpi.source))?;
    for phase in &kpi.phases {
        let Some(seconds) = phase.seconds else {
            continue;
        };
        let sees = phase.requests.map_or_else(
            || "an unknown number of requests".into(),
            |requests| format!("about {requests} requests"),
        );
        let (name, needs) = match phase.phase {
            Phase::Baseline => ("baseline", needs(phase)),
            Phase::Transition => ("transition", "counted".into()),
            Phase::Fault => ("fault", needs(phase)),
            Phase::Recovery => ("recovery", "ends when it is well".into()),
        };
        out.line(format!(
            "           {name:<10} {seconds:>6.1} s, {sees}; {needs}"
        ))?;
    }
    Ok(())
}

fn needs(phase: &PlannedPhase) -> String {
    let Some(needed) = phase.requests_needed else {
        return "no number of requests would do".into();
    };
    let time = phase
        .seconds_needed
        .map_or_else(String::new, |seconds| format!(", {seconds:.1} s"));
    format!("an answer needs {needed}{time} at the least")
}

fn reaction(seconds: Option<f64>) -> String {
    seconds.map_or_else(String::new, |seconds| {
        format!("; an event is seen within {seconds:.1} s, or the drill stops")
    })
}

fn show_action(action: &PlannedAction, out: &Out) -> Result<(), Failure> {
    let class = serde_json::to_value(action.undo_class)?;
    let class = class.as_str().unwrap_or_default();
    out.line(format!(
        "  action   {}   {CAUTION}{class}{CAUTION:#}",
        action.activity
    ))?;
    if let Some(fault) = &action.fault {
        let time = action
            .duration
            .map_or_else(String::new, |time| format!(" for {time} s"));
        out.line(format!("           {fault}{time}"))?;
    }
    for target in &action.targets {
        out.line(format!("           → {target}"))?;
    }
    Ok(())
}
