//! What activities say: outputs for later activities, and the traffic that met a target.

use firedrill_experiment::call::{self, Call};
use firedrill_experiment::document::{Activity, Provider};
use firedrill_experiment::jsonpath::JsonPath;
use serde_json::Value;

use super::Drill;
use crate::activity::Mode;
use crate::effect::{Effect, Level, Outcome};
use crate::stop::Stop;

impl Drill {
    /// Binds what the activity registers, for later activities.
    pub(crate) fn register(&self, activity: &Activity, output: &Value) {
        let rollbacks_may_use_it = !activity.register.is_empty();
        for register in &activity.register {
            let value = match &register.jsonpath {
                None => Some(output.clone()),
                Some(path) => first_match(path, output),
            };
            match value {
                Some(value) => {
                    self.change_scope(|scope| {
                        scope.registered.insert(register.name.clone(), value);
                    });
                }
                None => self.log(
                    Level::Warning,
                    format!(
                        "`{}` registered nothing as `{}`: the path matched nothing",
                        activity.name, register.name
                    ),
                ),
            }
        }
        if rollbacks_may_use_it {
            self.arm_rollbacks();
        }
    }

    /// Reads the traffic counter of a fault's target.
    pub(crate) async fn exposure(
        &self,
        activity: &Activity,
        mode: Mode,
    ) -> Result<Option<u64>, Stop> {
        let Some(exposure) = &activity.exposure else {
            return Ok(None);
        };
        let provider = Provider::Http {
            raw: exposure.provider.clone(),
        };
        let Ok(call) = call::resolve(&provider, &self.scope()) else {
            return Ok(None);
        };
        let Call::Http(_) = &call else {
            return Ok(None);
        };
        let id = self.core().next_id();
        let name = format!("exposure of {}", activity.name);
        let pending = self.core().call(
            id,
            Effect::Call {
                id,
                activity: name,
                call,
                background: mode == Mode::Background,
            },
        );
        let outcome = match mode {
            Mode::Foreground => self.foreground(pending).await?,
            Mode::Background => self.background(pending).await?,
        };
        let Outcome::Succeeded(output) = outcome else {
            return Ok(None);
        };
        let body = output.get("body").cloned().unwrap_or(Value::Null);
        Ok(counted(&exposure.jsonpaths, &body))
    }
}

/// The sum of all counters that the paths lead to; nothing if one of them leads to none, or to
/// something else.
fn counted(paths: &[String], body: &Value) -> Option<u64> {
    let mut sum = 0_u64;
    for path in paths {
        let matches = JsonPath::parse_ours(path).ok()?.select(body).ok()?;
        if matches.is_empty() {
            return None;
        }
        for counter in matches {
            sum = sum.checked_add(counter.as_u64()?)?;
        }
    }
    Some(sum)
}

fn first_match(path: &str, value: &Value) -> Option<Value> {
    let matches = JsonPath::parse_ours(path).ok()?.select(value).ok()?;
    matches.into_iter().next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_counter_that_a_path_leads_to_counts() {
        let body = json!([
            {"zone": "1", "met": 2},
            {"zone": "2", "met": 30},
            {"zone": "2", "met": 400},
            {"zone": "3", "met": "many"},
        ]);
        let sum = |paths: &[&str]| {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            counted(&paths, &body)
        };
        assert_eq!(sum(&["$[*][?(@.zone = '2')].met"]), Some(430));
        assert_eq!(sum(&["$[0].met", "$[1].met"]), Some(32));
        assert_eq!(sum(&["$[0].met", "$[*][?(@.zone = '4')].met"]), None);
        assert_eq!(sum(&["$[*].met"]), None);
    }
}
