//! Queries for raw counters.

use serde_json::{Map, Value};

use super::{Counters, FieldError, missing, text, url, wrong};

pub(super) const KEYS: [&str; 5] = ["url", "good", "bad", "degraded", "latency"];

/// What makes a rate of a counter.
const RATES: [&str; 8] = [
    "rate",
    "irate",
    "increase",
    "delta",
    "idelta",
    "deriv",
    "avg_over_time",
    "sum_over_time",
];

pub(super) fn read(raw: &Map<String, Value>) -> Result<Counters, FieldError> {
    let query = |key: &'static str| {
        let query = text(raw, key)?.filter(|query| !query.is_empty());
        if let Some(rate) = query.as_deref().and_then(makes_a_rate) {
            return Err(wrong(
                key,
                format!(
                    "`{rate}(…)` makes overlapping rates of a counter, and a KPI is judged on raw counters: write what is inside of it, without the range"
                ),
            ));
        }
        Ok(query)
    };
    let required = |key: &'static str| {
        query(key)?.ok_or_else(|| {
            missing(
                key,
                "counters in Prometheus need two queries, `good` and `bad`, each for raw counters",
            )
        })
    };
    Ok(Counters::Prometheus {
        url: url(
            raw,
            "prometheus needs a `url`, such as http://127.0.0.1:9090",
        )?,
        good: required("good")?,
        bad: required("bad")?,
        degraded: query("degraded")?,
        latency: query("latency")?,
    })
}

/// The function of the query that does.
fn makes_a_rate(query: &str) -> Option<&'static str> {
    RATES.into_iter().find(|name| {
        query.match_indices(name).any(|(at, _)| {
            let before = query[..at].chars().next_back();
            let is_word = before.is_some_and(|c| c.is_alphanumeric() || "_:".contains(c));
            let after = query[at + name.len()..].trim_start();
            !is_word && after.starts_with('(')
        })
    })
}
