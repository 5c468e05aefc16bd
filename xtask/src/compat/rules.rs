//! The rules that explain a difference: one field and one condition each.

use std::path::Path;

use anyhow::{Context, bail};
use fancy_regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::compare::Difference;

/// More would mean that Firedrill is another tool, not a compatible one.
const RULES_MAX: usize = 25;

#[derive(Debug)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    field: Regex,
    condition: Condition,
    /// The cases it is about; every case if there are none.
    cases: Vec<String>,
}

#[derive(Debug)]
enum Condition {
    /// Tracebacks that are equal once the tools' own frames and addresses are left out.
    SameTracebackButForOwnFrames,
    /// The value of each side, the real one first, as JSON text ("(none)" if missing),
    /// matches its pattern.
    Values(Box<[Regex; 2]>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    field: String,
    condition: WrittenCondition,
    #[serde(default)]
    cases: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenCondition {
    SameTracebackButForOwnFrames,
    Values { real: String, ours: String },
}

impl Rules {
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let written: Vec<Written> =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        if written.len() > RULES_MAX {
            bail!(
                "{}: {} rules, at most {RULES_MAX}",
                path.display(),
                written.len()
            );
        }
        let rules = written
            .into_iter()
            .map(Rule::read)
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { rules })
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|r| r.id.as_str())
    }

    /// Into those that a rule explains, each with its rule, and the others.
    pub(crate) fn sort(
        &self,
        case: &str,
        all: Vec<Difference>,
    ) -> (Vec<Difference>, Vec<Difference>) {
        let named = all.into_iter().map(|mut difference| {
            let rule = self
                .rules
                .iter()
                .find(|r| r.is_about(case) && r.explains(&difference));
            difference.rule = rule.map(|r| r.id.clone());
            difference
        });
        named.partition(|d| d.rule.is_some())
    }
}

impl Rule {
    fn read(written: Written) -> anyhow::Result<Self> {
        let condition = match written.condition {
            WrittenCondition::SameTracebackButForOwnFrames => {
                Condition::SameTracebackButForOwnFrames
            }
            WrittenCondition::Values { real, ours } => {
                Condition::Values(Box::new([whole(&real)?, whole(&ours)?]))
            }
        };
        Ok(Self {
            id: written.id,
            field: field(&written.field)?,
            condition,
            cases: written.cases,
        })
    }

    fn is_about(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|c| c == case)
    }

    fn explains(&self, difference: &Difference) -> bool {
        self.field.is_match(&difference.path).unwrap_or(false)
            && match &self.condition {
                Condition::SameTracebackButForOwnFrames => {
                    match (users_part(&difference.real), users_part(&difference.ours)) {
                        (Some(real), Some(ours)) => real == ours,
                        _ => false,
                    }
                }
                Condition::Values(sides) => {
                    let [real, ours] = sides.as_ref();
                    matches(real, difference.real.as_ref())
                        && matches(ours, difference.ours.as_ref())
                }
            }
    }
}

/// `*` is one step of a path, `**` any number of them.
fn field(pattern: &str) -> anyhow::Result<Regex> {
    let steps = pattern.split('.').map(|step| match step {
        "**" => ".*".to_owned(),
        "*" => "[^.]+".to_owned(),
        literal => fancy_regex::escape(literal).into_owned(),
    });
    whole(&steps.collect::<Vec<_>>().join("\\."))
}

fn whole(pattern: &str) -> anyhow::Result<Regex> {
    Regex::new(&format!("(?s)^(?:{pattern})$")).with_context(|| pattern.to_owned())
}

fn matches(pattern: &Regex, value: Option<&Value>) -> bool {
    let text = value.map_or("(none)".to_owned(), Value::to_string);
    pattern.is_match(&text).unwrap_or(false)
}

/// The lines of a traceback that are not of a tool, without memory addresses.
fn users_part(value: &Option<Value>) -> Option<Vec<String>> {
    let address = Regex::new("0x[0-9a-f]+").ok()?;
    let lines = value.as_ref()?.as_array()?.iter().filter_map(Value::as_str);
    // The heading stands alone where no line of the user's is below it.
    let users = lines.filter(|line| {
        !line.contains("/chaoslib/provider/") && *line != "Traceback (most recent call last):\n"
    });
    Some(
        users
            .map(|line| address.replace_all(line, "0x").into_owned())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_star_is_one_step_and_two_are_any_number() {
        let run = field("run.*.output").unwrap();
        assert!(run.is_match("run.0.output").unwrap());
        assert!(!run.is_match("run.0.output.status").unwrap());
        assert!(
            field("**.exception")
                .unwrap()
                .is_match("run.0.exception")
                .unwrap()
        );
    }

    #[test]
    fn a_rule_must_have_a_field_and_a_condition() {
        assert!(serde_json::from_str::<Written>(r#"{"id": "x", "field": "status"}"#).is_err());
    }

    fn rules(text: &str) -> Rules {
        let written: Vec<Written> = serde_json::from_str(text).unwrap();
        Rules {
            rules: written
                .into_iter()
                .map(|w| Rule::read(w).unwrap())
                .collect(),
        }
    }

    fn difference(path: &str, real: Value, ours: Value) -> Difference {
        Difference {
            path: path.into(),
            real: Some(real),
            ours: Some(ours),
            rule: None,
        }
    }

    #[test]
    fn a_rule_explains_only_its_field_and_only_under_its_condition() {
        let rules = rules(
            r#"[{"id": "r", "field": "run.*.x",
                 "condition": {"values": {"real": "1|2", "ours": "\"one\""}}}]"#,
        );
        let fits = difference("run.3.x", json!(2), json!("one"));
        let another_field = difference("run.3.y", json!(2), json!("one"));
        let another_value = difference("run.3.x", json!(12), json!("one"));
        let (explained, left) = rules.sort("any", vec![fits, another_field, another_value]);
        assert_eq!(explained[0].rule.as_deref(), Some("r"));
        assert_eq!((explained.len(), left.len()), (1, 2));
    }

    #[test]
    fn a_rule_about_certain_cases_explains_no_other() {
        let rules = rules(
            r#"[{"id": "r", "field": "exit", "cases": ["one"],
                 "condition": {"values": {"real": "0", "ours": "1"}}}]"#,
        );
        let exit = || vec![difference("exit", json!(0), json!(1))];
        assert_eq!(rules.sort("one", exit()).0.len(), 1);
        assert_eq!(rules.sort("two", exit()).0.len(), 0);
    }

    #[test]
    fn tracebacks_that_differ_in_the_users_part_are_not_explained() {
        let rules = rules(
            r#"[{"id": "t", "field": "**.exception",
                 "condition": "same-traceback-but-for-own-frames"}]"#,
        );
        let tool = "  File \"/v/chaoslib/provider/python.py\", line 60, in run\n";
        let real = json!([tool, "ValueError: no at 0x7f01\n"]);
        let same = difference(
            "run.0.exception",
            real.clone(),
            json!(["ValueError: no at 0x99\n"]),
        );
        let other = difference("run.0.exception", real, json!(["ValueError: yes\n"]));
        let (explained, left) = rules.sort("any", vec![same, other]);
        assert_eq!((explained.len(), left.len()), (1, 1));
    }
}
