//! What a document needs from its surroundings: programs, Python functions, variables, controls.
//!
//! Chaos Toolkit looks at the same before it runs anything. Templates are left alone: nobody knows
//! yet what they will say.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use firedrill_experiment::diagnostic::{Code, Diagnostic};
use firedrill_experiment::document::{Activity, ActivityKind, Experiment, Provider};
use firedrill_experiment::path::Path as DocumentPath;
use firedrill_experiment::scope::{VarFile, load_configuration, load_secrets};
use serde_json::{Map, Value, json};

use crate::prepare::environment;
use crate::provider::Providers;
use crate::provider::python::{PythonActivity, RaisedKind};
use crate::settings::Settings;

/// Everything that is missing, each with its place; empty: the document can run here.
pub async fn surroundings(
    experiment: &Experiment,
    overrides: &VarFile,
    settings: &Settings,
    providers: &Providers,
) -> Vec<Diagnostic> {
    let mut missing: Vec<_> = variables(experiment, overrides)
        .into_iter()
        .map(|why| error(&DocumentPath::root(), why))
        .collect();
    for (place, activity) in experiment.activities() {
        match &activity.provider {
            Provider::Process { path, .. } if !path.contains('$') && find(path).is_none() => {
                missing.push(error(
                    &place,
                    format!("there is no program `{path}` on the PATH"),
                ));
            }
            Provider::Python { .. } => {
                missing.extend(
                    python(activity, providers)
                        .await
                        .into_iter()
                        .map(|why| error(&place, why)),
                );
            }
            _ => {}
        }
    }
    let controls = controls(experiment, settings, providers).await;
    missing.extend(
        controls
            .into_iter()
            .map(|why| error(&DocumentPath::root().key("controls"), why)),
    );
    missing
}

fn error(place: &DocumentPath, why: String) -> Diagnostic {
    Diagnostic::error(Code::Surroundings, place, why)
}

fn variables(experiment: &Experiment, overrides: &VarFile) -> Vec<String> {
    let env = environment(overrides);
    let configuration =
        load_configuration(&experiment.configuration, &env, &overrides.configuration).err();
    let secrets = load_secrets(&experiment.secrets, &env, &overrides.secrets).err();
    configuration
        .into_iter()
        .chain(secrets)
        .map(|error| error.to_string())
        .collect()
}

async fn python(activity: &Activity, providers: &Providers) -> Vec<String> {
    let Provider::Python {
        module,
        func,
        arguments,
        ..
    } = &activity.provider
    else {
        return Vec::new();
    };
    let activity = PythonActivity {
        name: activity.name.clone(),
        kind: match activity.kind {
            ActivityKind::Probe => "probe".into(),
            ActivityKind::Action => "action".into(),
        },
        module: module.clone(),
        func: func.clone(),
        arguments: arguments.clone(),
    };
    providers
        .python()
        .validate(&activity)
        .await
        .err()
        .unwrap_or_default()
}

/// A control may check its own words; one that cannot be imported is no reason to stop.
async fn controls(
    experiment: &Experiment,
    settings: &Settings,
    providers: &Providers,
) -> Vec<String> {
    let top = experiment.controls.iter();
    let hypothesis = experiment
        .hypothesis
        .iter()
        .flat_map(|hypothesis| &hypothesis.controls);
    let activities = experiment.activities();
    let nested = activities
        .iter()
        .flat_map(|(_, activity)| &activity.controls);
    let controls: Vec<Value> = top
        .chain(hypothesis)
        .chain(nested)
        .filter(|control| control.python.is_some())
        .map(|control| Value::Object(control.raw.clone()))
        .collect();
    if controls.is_empty() {
        return Vec::new();
    }
    let mut payload = Map::new();
    payload.insert("controls".into(), Value::Array(controls));
    payload.insert("context".into(), Value::Null);
    payload.insert("experiment".into(), Value::Object(experiment.raw.clone()));
    payload.insert("settings".into(), json!(settings.raw()));
    let reply = providers
        .python()
        .control("validate_control", payload)
        .await;
    let stopped = reply.ok().and_then(|reply| reply.stopped);
    stopped
        .filter(|raised| raised.kind == RaisedKind::Invalid)
        .map(|raised| raised.message)
        .into_iter()
        .collect()
}

/// The program that a name stands for, as a shell would find it.
fn find(name: &str) -> Option<PathBuf> {
    let executable = |path: &Path| {
        path.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        let path = PathBuf::from(name);
        return executable(&path).then_some(path);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|path| executable(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_on_the_path_and_a_file_that_cannot_run_is_none() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
        assert!(find("/etc/passwd").is_none());
    }
}
