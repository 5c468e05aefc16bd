//! From the words of the command line to an order: settings, then the document, then the flags.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum as _;
use firedrill_engine::{Dry, Options};
use firedrill_experiment::document::{HypothesisStrategy, RollbackStrategy};
use firedrill_experiment::parse::parse_value;
use firedrill_experiment::scope::{VarFile, VarFileFormat, parse_var, parse_var_file};
use firedrill_experiment::source::Source;
use firedrill_runner::prepare::merge_overrides;
use firedrill_runner::settings::Settings;
use serde_json::Value;

use super::Document;
use crate::cli::{DryMode, GlobalArgs, HypothesisWhen, RollbacksWhen, RunArgs, VariableArgs};
use crate::document;
use crate::drill::Order;
use crate::exit::Exit;
use crate::failure::{Failure, OrFail as _};

/// The settings asked for, or those of Chaos Toolkit's usual place, or none.
pub(crate) fn settings(global: &GlobalArgs) -> Result<Settings, Failure> {
    let path = global.settings.clone().or_else(Settings::default_path);
    match path {
        Some(path) => Settings::load(&path).or_exit(Exit::Usage),
        None => Ok(Settings::default()),
    }
}

/// A number nobody chose: the moment's nanoseconds are as good as any.
pub(crate) fn fresh_seed() -> u64 {
    jiff::Timestamp::now().as_nanosecond() as u64 % 1_000_000_000
}

pub(crate) fn overrides(args: &VariableArgs) -> Result<VarFile, Failure> {
    let mut files = Vec::new();
    for path in &args.var_file {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("cannot read the variable file {name}: {error}"))
        })?;
        let format = VarFileFormat::of_name(&name);
        files.push(parse_var_file(&Source::new(name, text), format).map_err(Failure::usage)?);
    }
    let vars = args
        .var
        .iter()
        .map(|text| parse_var(text))
        .collect::<Result<_, _>>()
        .map_err(Failure::usage)?;
    Ok(merge_overrides(files, vars))
}

pub(crate) fn order(
    args: &RunArgs,
    global: &GlobalArgs,
    settings: &Settings,
    document: &Document,
    repetition: u32,
    journal: &Path,
) -> Result<Order, Failure> {
    let mut experiment = document.experiment.clone();
    let dry = args.dry.map(dry);
    experiment.raw.insert(
        "dry".into(),
        args.dry.map_or(Value::Null, |mode| dry_word(mode).into()),
    );
    let runtime = experiment.runtime;
    let options = Options {
        dry,
        hypothesis_strategy: args
            .hypothesis_strategy
            .map(hypothesis)
            .or(runtime.hypothesis)
            .or(settings.hypothesis_strategy().and_then(hypothesis_named))
            .unwrap_or_default(),
        hypothesis_frequency: Duration::try_from_secs_f64(args.hypothesis_frequency)
            .unwrap_or(Duration::from_secs(1)),
        fail_fast: args.fail_fast,
        fail_fast_ratio: args.fail_fast_ratio,
        rollback_strategy: args
            .rollback_strategy
            .map(rollbacks)
            .or(runtime.rollbacks)
            .or(settings.rollback_strategy().and_then(rollbacks_named))
            .unwrap_or_default(),
        tags: args.tags.clone(),
        strict: args.strict,
        global_controls: global_controls(settings, &args.control_file)?,
    };
    Ok(Order {
        experiment,
        source: document.place.clone(),
        overrides: overrides(&args.variables)?,
        options,
        seed: args
            .seed
            .unwrap_or_else(fresh_seed)
            .wrapping_add(repetition.into()),
        state: global.state()?,
        settings: settings.clone(),
        python: args.python.clone(),
        verify_tls: !args.no_verify_tls,
        validate_python: !args.no_validation,
        digest: args.digest.clone(),
        journal: absolute(journal),
    })
}

/// Controls of the settings, then of each file, each under its name.
pub(crate) fn global_controls(
    settings: &Settings,
    files: &[PathBuf],
) -> Result<Vec<Value>, Failure> {
    let named = |(name, control): (&String, &Value)| {
        let mut control = control.clone();
        if let Value::Object(fields) = &mut control {
            fields.insert("name".into(), name.clone().into());
        }
        control
    };
    let mut controls: Vec<Value> = settings
        .controls()
        .into_iter()
        .flatten()
        .map(named)
        .collect();
    for file in files {
        let (source, format) = document::read(&file.display().to_string())?;
        let value = parse_value(&source, format)
            .map_err(|mistakes| Failure::usage(mistakes.render(&source)))?;
        controls.extend(value.as_object().into_iter().flatten().map(named));
    }
    Ok(controls)
}

fn hypothesis_named(name: &str) -> Option<HypothesisStrategy> {
    HypothesisWhen::from_str(name, false).ok().map(hypothesis)
}

fn rollbacks_named(name: &str) -> Option<RollbackStrategy> {
    RollbacksWhen::from_str(name, false).ok().map(rollbacks)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn dry(mode: DryMode) -> Dry {
    match mode {
        DryMode::Probes => Dry::Probes,
        DryMode::Actions => Dry::Actions,
        DryMode::Activities => Dry::Activities,
        DryMode::Pause => Dry::Pause,
    }
}

fn dry_word(mode: DryMode) -> &'static str {
    match mode {
        DryMode::Probes => "probes",
        DryMode::Actions => "actions",
        DryMode::Activities => "activities",
        DryMode::Pause => "pause",
    }
}

fn rollbacks(when: RollbacksWhen) -> RollbackStrategy {
    match when {
        RollbacksWhen::Default => RollbackStrategy::Default,
        RollbacksWhen::Always => RollbackStrategy::Always,
        RollbacksWhen::Never => RollbackStrategy::Never,
        RollbacksWhen::Deviated => RollbackStrategy::Deviated,
    }
}

fn hypothesis(when: HypothesisWhen) -> HypothesisStrategy {
    match when {
        HypothesisWhen::Default => HypothesisStrategy::Default,
        HypothesisWhen::BeforeMethodOnly => HypothesisStrategy::BeforeMethodOnly,
        HypothesisWhen::AfterMethodOnly => HypothesisStrategy::AfterMethodOnly,
        HypothesisWhen::DuringMethodOnly => HypothesisStrategy::DuringMethodOnly,
        HypothesisWhen::Continuously => HypothesisStrategy::Continuously,
    }
}
