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
        Ok(exposure
            .jsonpaths
            .iter()
            .map(|path| first_match(path, &body)?.as_u64())
            .sum())
    }
}

fn first_match(path: &str, value: &Value) -> Option<Value> {
    let matches = JsonPath::parse_ours(path).ok()?.select(value).ok()?;
    matches.into_iter().next()
}
