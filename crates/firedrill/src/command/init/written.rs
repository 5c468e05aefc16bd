//! The document that `init` writes.

use super::services::Selector;

/// What the questions came to.
pub(super) struct Answers {
    pub(super) url: String,
    pub(super) target: Selector,
}

/// YAML with comments; every value is quoted as JSON, which YAML reads the same.
pub(super) fn document(answers: &Answers) -> String {
    let url = quoted(&answers.url);
    let value = match answers.target.key {
        "pid" => answers.target.value.clone(),
        _ => quoted(&answers.target.value),
    };
    let title = quoted(&format!(
        "{} survives the pause of {}",
        answers.url, answers.target
    ));
    TEMPLATE
        .replace("@TITLE@", &title)
        .replace("@URL@", &url)
        .replace("@KEY@", answers.target.key)
        .replace("@VALUE@", &value)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const TEMPLATE: &str = r#"# An experiment in the Open Chaos format: Chaos Toolkit's fields, and a few of Firedrill's.
#   firedrill plan FILE    what it would hit, how it is undone, how long it takes
#   firedrill run FILE     the drill, its verdict and its journal
title: @TITLE@
description: One process stops answering for 10 s, while connections to it still open.

# How far it may go. A drill that would go further is refused.
blast-radius:
  targets-max: 1
  duration-max: 15s

# Checked before and after: is the system well at all?
steady-state-hypothesis:
  title: The service answers
  probes:
    - type: probe
      name: service-answers
      tolerance: 200
      provider:
        type: http
        url: @URL@
        timeout: 3

# What is believed, as numbers: requests are sent through every phase, and counted.
kpis:
  - name: answers
    provider:
      type: load
      url: @URL@
      rate: 20          # requests per second, sent on time whether or not answers come
      timeout: 2s
    objective:
      success-ratio: 0.95
      latency: {quantile: 0.95, max: 1s}

# What the system should do meanwhile: continue, degrade, or stop.
expect:
  during: continue
  transition: 3s        # time to notice and to route around

# How soon it must be well again once the fault is gone.
recovery:
  within: 10s

phases:
  baseline: 10s

# What is broken. The guardian undoes it, even if this drill is killed.
method:
  - type: action
    name: pause-the-process
    provider:
      type: fault
      name: infrastructure.process-pause
      target:
        @KEY@: @VALUE@
      duration: 10s

rollbacks: []
"#;

#[cfg(test)]
mod tests {
    use firedrill_experiment::document::Strictness;
    use firedrill_experiment::{Experiment, Format, Source};

    use super::*;

    #[test]
    fn the_document_written_is_valid_without_a_warning_whatever_the_answers() {
        for target in ["name=web \"x\": y", "pid=4711", "command=java -jar #1"] {
            let answers = Answers {
                url: "http://127.0.0.1:8080/a?b=#c".to_owned(),
                target: target.parse().unwrap(),
            };
            let source = Source::new("experiment.yaml", document(&answers));
            let reading = Experiment::read(&source, Format::Yaml, Strictness::Strict);
            assert!(
                reading.diagnostics.is_empty(),
                "{}",
                reading.diagnostics.render(&source)
            );
            assert_eq!(reading.experiment.unwrap().kpis.len(), 1);
        }
    }
}
