//! The differences between what two runs left, field by field.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::side::Outcome;

/// One field that is not the same. A field that is missing is None.
#[derive(Debug, Serialize)]
pub(crate) struct Difference {
    pub(crate) path: String,
    pub(crate) real: Option<Value>,
    pub(crate) ours: Option<Value>,
    /// The rule that explains it.
    pub(crate) rule: Option<String>,
}

/// Top-level fields that name the machine or the tool, not the run.
const OF_THE_TOOL: [&str; 4] = ["chaoslib-version", "platform", "node", "firedrill"];
/// Fields whose presence is compared, but not their value.
const TIMES: [&str; 3] = ["start", "end", "duration"];

pub(crate) fn outcomes(real: &Outcome, ours: &Outcome) -> Vec<Difference> {
    let mut found = Vec::new();
    let code = |exit: Option<i32>| Some(exit.map_or("killed".into(), Value::from));
    compare(
        "exit",
        code(real.exit).as_ref(),
        code(ours.exit).as_ref(),
        &mut found,
    );
    match (&real.journal, &ours.journal) {
        (Some(real), Some(ours)) if real.is_object() && ours.is_object() => {
            compare(
                "",
                Some(&without_tool(real)),
                Some(&without_tool(ours)),
                &mut found,
            );
        }
        (real, ours) => {
            let status = |journal: &Option<Value>| {
                let journal = journal.as_ref()?;
                Some(journal.get("status").unwrap_or(journal).clone())
            };
            compare(
                "journal",
                status(real).as_ref(),
                status(ours).as_ref(),
                &mut found,
            );
        }
    }
    compare(
        "received",
        real.received.as_ref(),
        ours.received.as_ref(),
        &mut found,
    );
    for (name, content) in &real.files {
        let text = |c: Option<&Option<String>>| c.cloned().flatten().map(Value::from);
        let (real, ours) = (text(Some(content)), text(ours.files.get(name)));
        compare(
            &format!("files.{name}"),
            real.as_ref(),
            ours.as_ref(),
            &mut found,
        );
    }
    found
}

fn without_tool(journal: &Value) -> Value {
    let mut journal = journal.clone();
    if let Some(fields) = journal.as_object_mut() {
        fields.retain(|name, _| !OF_THE_TOOL.contains(&name.as_str()));
    }
    journal
}

fn compare(path: &str, real: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Difference>) {
    match (real, ours) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let is_timed = path.is_empty() || left.contains_key("activity");
            let added = right.keys().filter(|k| !left.contains_key(*k));
            for name in left.keys().chain(added) {
                let (l, r) = (left.get(name), right.get(name));
                if is_timed && TIMES.contains(&name.as_str()) && l.is_some() == r.is_some() {
                    continue;
                }
                compare(&below(path, name), l, r, found);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) if !is_traceback(path) => {
            for at in 0..left.len().max(right.len()) {
                compare(
                    &below(path, &at.to_string()),
                    left.get(at),
                    right.get(at),
                    found,
                );
            }
        }
        _ if real == ours => {}
        _ => push(path, real, ours, found),
    }
}

/// A traceback is one field: its lines only make sense together.
fn is_traceback(path: &str) -> bool {
    path.ends_with(".exception")
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn push(path: &str, real: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Difference>) {
    found.push(Difference {
        path: path.to_owned(),
        real: real.cloned(),
        ours: ours.cloned(),
        rule: None,
    });
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<Value>| {
            let text = value.as_ref().map_or("(none)".to_owned(), Value::to_string);
            let short: String = text.chars().take(300).collect();
            if short.len() < text.len() {
                short + " …"
            } else {
                short
            }
        };
        let rule = self
            .rule
            .as_deref()
            .map(|r| format!("{r}: "))
            .unwrap_or_default();
        write!(
            f,
            "{rule}{}: real {} ours {}",
            self.path,
            show(&self.real),
            show(&self.ours)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn outcome(exit: i32, journal: Option<Value>) -> Outcome {
        Outcome {
            exit: Some(exit),
            journal,
            received: None,
            files: BTreeMap::new(),
        }
    }

    fn paths(real: Value, ours: Value) -> Vec<String> {
        let found = outcomes(&outcome(0, Some(real)), &outcome(0, Some(ours)));
        found.into_iter().map(|d| d.path).collect()
    }

    #[test]
    fn times_may_differ_but_must_be_there() {
        let real = json!({"start": "a", "run": [{"activity": {}, "end": "b"}]});
        let ours = json!({"start": "x", "run": [{"activity": {}, "end": "y"}]});
        assert!(paths(real.clone(), ours).is_empty());
        let without = json!({"start": "x", "run": [{"activity": {}}]});
        assert_eq!(paths(real, without), ["run.0.end"]);
    }

    #[test]
    fn a_time_inside_the_document_is_compared() {
        let one = json!({"experiment": {"start": "a"}});
        let two = json!({"experiment": {"start": "b"}});
        assert_eq!(paths(one, two), ["experiment.start"]);
    }

    #[test]
    fn only_the_tools_own_fields_are_left_out() {
        let real = json!({"node": "a", "status": "completed"});
        let ours = json!({"node": "b", "status": "failed", "firedrill": {}, "extra": 1});
        assert_eq!(paths(real, ours), ["status", "extra"]);
    }

    #[test]
    fn numbers_of_another_type_differ() {
        assert_eq!(paths(json!({"a": [1, 2]}), json!({"a": [1.0, 2]})), ["a.0"]);
    }

    #[test]
    fn a_journal_on_one_side_only_is_a_difference_of_its_status() {
        let found = outcomes(
            &outcome(1, None),
            &outcome(1, Some(json!({"status": "failed"}))),
        );
        assert_eq!(found[0].to_string(), "journal: real (none) ours \"failed\"");
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn exit_codes_are_compared() {
        let found = outcomes(&outcome(0, None), &outcome(1, None));
        assert_eq!(found[0].path, "exit");
    }
}
