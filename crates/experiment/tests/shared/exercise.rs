//! Shared by the property tests and the fuzz target.

use firedrill_experiment::call::resolve;
use firedrill_experiment::document::{Experiment, Strictness};
use firedrill_experiment::export::to_chaostoolkit;
use firedrill_experiment::mask::mask;
use firedrill_experiment::scope::{load_configuration, load_secrets};
use firedrill_experiment::tolerance::check;
use firedrill_experiment::{Format, Scope, Source};
use serde_json::{Map, Value, json};

/// Everything a run does with a document, short of running it.
pub(crate) fn exercise(text: &str, format: Format) {
    let source = Source::new("mutated", text);
    for strictness in [Strictness::Strict, Strictness::Lenient] {
        let reading = Experiment::read(&source, format, strictness);
        let _ = reading.diagnostics.render(&source);
        let Some(experiment) = reading.experiment else {
            continue;
        };
        let env = |_: &str| Some("7".to_owned());
        let nothing = Map::new();
        let secrets = load_secrets(&experiment.secrets, &env, &nothing).unwrap_or_default();
        let loading = load_configuration(&experiment.configuration, &env, &nothing);
        let configuration = loading
            .map(|loading| loading.into_configuration())
            .unwrap_or_default();
        let scope = Scope {
            configuration,
            secrets: secrets.values.clone(),
            registered: Map::new(),
        };
        let outputs = [
            json!(0),
            json!("x"),
            json!({"status": 0, "stdout": "1\n", "body": [1]}),
        ];
        for (_, activity) in experiment.activities() {
            let _ = resolve(&activity.provider, &scope);
            for (tolerance, output) in activity.tolerance.iter().zip(&outputs) {
                let _ = check(tolerance, output, &scope);
            }
        }
        let _ = to_chaostoolkit(&experiment);
        let _ = mask(&Value::Object(experiment.raw.clone()), &secrets.values);
    }
}
