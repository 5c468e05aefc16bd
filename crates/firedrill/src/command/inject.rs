//! `firedrill inject`: one fault, now, always undone.

use firedrill_engine::Options;
use firedrill_experiment::document::{Experiment, Strictness};
use firedrill_experiment::journal::{Journal, Verdict};
use firedrill_experiment::scope::Scope;
use firedrill_experiment::units::format_duration;
use firedrill_faults::TargetKind;
use firedrill_runner::plan::preview;
use firedrill_runner::spare::Spare;
use serde_json::{Map, Value, json};

use super::run::{Look, fresh_seed};
use crate::cli::{GlobalArgs, InjectArgs, KeyValue};
use crate::drill::{self, Order};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{BAD, Out};
use crate::verdict;

pub(super) fn execute(args: &InjectArgs, global: &GlobalArgs, out: &Out) -> Result<Exit, Failure> {
    let experiment = Experiment::from_value(document(args)?, Strictness::Strict)
        .map_err(|mistakes| Failure::usage(mistakes.lines().join("; ")).hint("firedrill faults"))?;
    let seed = args.seed.unwrap_or_else(fresh_seed);
    if args.dry {
        return name_targets(&experiment, seed, out);
    }
    let order = Order::of_ours(experiment, "the command line", seed, global.state()?);
    let mut look = Look::new(out, None, &order)?;
    let journal = drill::hold(order, |now, notice| look.see(now, &notice))?;
    look.ended();
    report(&journal, out)
}

fn document(args: &InjectArgs) -> Result<Value, Failure> {
    let duration = format_duration(args.duration);
    let parameters: Map<String, Value> = args
        .parameters
        .iter()
        .map(|pair| (pair.key.clone(), typed(&pair.value)))
        .collect();
    let mut target = if args.target.is_empty() {
        only_target(&args.fault)?
    } else {
        target(&args.target)?
    };
    if let Some(count) = args.count {
        target.insert("count".into(), json!(count));
    }
    if let Some(percent) = args.percent {
        target.insert("percent".into(), json!(percent));
    }
    Ok(json!({
        "title": format!("{} for {duration}", args.fault),
        "description": "One fault from the command line.",
        "blast-radius": {
            "targets-max": args.targets_max, "duration-max": duration,
            "exclusive-host": args.exclusive_host,
        },
        "method": [{
            "type": "action",
            "name": args.fault,
            "provider": {
                "type": "fault", "name": args.fault, "target": target,
                "duration": duration, "arguments": parameters,
            },
        }],
    }))
}

/// What a fault hits that can hit nothing but this host; a mistyped fault is told later, by itself.
fn only_target(fault: &str) -> Result<Map<String, Value>, Failure> {
    let chosen = firedrill_faults::catalogue()
        .into_iter()
        .find(|entry| entry.name == fault)
        .is_some_and(|entry| entry.targets != [TargetKind::Host]);
    if chosen {
        return Err(Failure::usage(format!("{fault} needs a target")).hint(TARGETS));
    }
    Ok(Map::from_iter([("host".to_owned(), json!(true))]))
}

const TARGETS: &str = "--target with pid=N, name=NAME, command=PATTERN, label.KEY=VALUE, \
     container=NAME, namespace=NAME, cgroup=PATH or host=true";

fn target(words: &[KeyValue]) -> Result<Map<String, Value>, Failure> {
    let mut target = Map::new();
    let mut labels = Map::new();
    let mut pids = Vec::new();
    for KeyValue { key, value } in words {
        match key.as_str() {
            "pid" => pids.push(
                value
                    .parse::<u32>()
                    .map_err(|_| Failure::usage(format!("`{value}` is not a process id")))?,
            ),
            "host" => {
                target.insert(key.clone(), json!(value == "true"));
            }
            // Several are parted from each other, or met together.
            "namespace" => {
                let names = target.entry(key.clone()).or_insert_with(|| json!([]));
                if let Some(names) = names.as_array_mut() {
                    names.push(json!(value));
                }
            }
            "name" | "command" | "cgroup" | "container" => {
                target.insert(key.clone(), json!(value));
            }
            key => match key.strip_prefix("label.") {
                Some(label) => {
                    labels.insert(label.to_owned(), json!(value));
                }
                None => {
                    return Err(
                        Failure::usage(format!("a target is not chosen by `{key}`")).hint(TARGETS)
                    );
                }
            },
        }
    }
    if !labels.is_empty() {
        target.insert("label".into(), Value::Object(labels));
    }
    if !pids.is_empty() {
        target.insert("pids".into(), json!(pids));
    }
    Ok(target)
}

/// A number, a bool or a list where it is one; else the words as they are.
fn typed(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_))) => {
            value
        }
        _ => Value::String(text.to_owned()),
    }
}

fn name_targets(experiment: &Experiment, seed: u64, out: &Out) -> Result<Exit, Failure> {
    let (scope, options) = (Scope::default(), Options::default());
    let preview = preview(experiment, &scope, &options, seed, &Spare::default());
    if out.is_json() {
        out.json(&preview)?;
    } else {
        for target in preview.actions.iter().flat_map(|action| &action.targets) {
            out.line(target)?;
        }
        for refusal in &preview.refusals {
            out.line(format!("{BAD}refused{BAD:#}  {refusal}"))?;
        }
    }
    Ok(if preview.refusals.is_empty() {
        Exit::Held
    } else {
        Exit::Refused
    })
}

/// A single fault proves nothing about a system: it succeeded if it was seen and taken back.
fn report(journal: &Journal, out: &Out) -> Result<Exit, Failure> {
    let Some(drill) = &journal.firedrill else {
        return Ok(Exit::Failed);
    };
    if out.is_json() {
        out.json(&json!({"faults": drill.faults, "reasons": drill.reasons}))?;
    } else {
        out.raw(verdict::faults(drill).as_bytes())?;
    }
    let clean = drill
        .faults
        .iter()
        .all(|fault| fault.residue.is_empty() && fault.reverted.is_some());
    let observed = drill
        .faults
        .iter()
        .all(|fault| fault.effect == firedrill_experiment::journal::Effect::Observed);
    Ok(match drill.verdict {
        Verdict::Refused => Exit::Refused,
        Verdict::Halted => Exit::Halted,
        Verdict::Failed => Exit::Failed,
        _ if !clean => Exit::Failed,
        _ if !observed => Exit::Inconclusive,
        _ => Exit::Held,
    })
}
