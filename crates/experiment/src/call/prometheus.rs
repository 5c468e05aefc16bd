//! The `prometheus` provider's fields.

use serde_json::{Map, Value};

use super::load::{duration, missing, text, wrong};
use super::{FieldError, PrometheusCall, PrometheusRange};

pub const KEYS: [&str; 6] = ["type", "url", "query", "range", "timeout", "secrets"];

/// # Errors
/// The first field that is missing or cannot be.
pub fn read(raw: &Map<String, Value>) -> Result<PrometheusCall, FieldError> {
    let required = |key: &'static str, message: &str| {
        text(raw, key)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| missing(key, message))
    };
    let range = match raw.get("range") {
        None | Some(Value::Null) => None,
        Some(Value::Object(range)) => {
            let within = |error: FieldError| wrong("range", error.message);
            let needed = || missing("range", "`range` needs `last` and `step`");
            Some(PrometheusRange {
                last: duration(range, "last")
                    .map_err(within)?
                    .ok_or_else(needed)?,
                step: duration(range, "step")
                    .map_err(within)?
                    .ok_or_else(needed)?,
            })
        }
        Some(_) => {
            return Err(wrong(
                "range",
                "`range` is `{last: 5m, step: 15s}`".to_owned(),
            ));
        }
    };
    Ok(PrometheusCall {
        url: required(
            "url",
            "prometheus needs a `url`, such as http://127.0.0.1:9090",
        )?,
        query: required("query", "prometheus needs a `query`")?,
        range,
        timeout: duration(raw, "timeout")?,
    })
}
