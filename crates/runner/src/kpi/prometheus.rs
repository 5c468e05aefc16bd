//! Raw counters in Prometheus.
//!
//! All queries of one reading are evaluated at the same moment: that of the first, by the clock of
//! Prometheus.

use std::time::Duration;

use firedrill_experiment::call::PrometheusCall;
use serde_json::Value;

use super::Asks;
use super::counters::{Stands, Unread};
use crate::provider::prometheus::instant;

pub(super) struct Queries<'a> {
    pub(super) good: &'a str,
    pub(super) bad: &'a str,
    pub(super) degraded: Option<&'a str>,
    pub(super) latency: Option<&'a str>,
}

/// Beyond the last bound of a histogram, in microseconds: an hour.
const BEYOND_US: u64 = 3_600_000_000;

pub(super) async fn read(asks: &Asks, url: &str, queries: &Queries<'_>) -> Result<Stands, Unread> {
    let ask = |query: String, at: Option<f64>| async move {
        let call = PrometheusCall {
            url: url.to_owned(),
            query,
            range: None,
            timeout: None,
        };
        let data = instant(&asks.client, &call, at, asks.verify_tls).await;
        samples(&data.map_err(Unread::Missing)?)
    };
    let good = ask(queries.good.to_owned(), None).await?;
    // Nobody knows a system by series that are not there.
    let Some((at, _, _)) = good.first() else {
        return Err(Unread::Missing("the query `good` finds no series".into()));
    };
    let at = *at;
    let sum = |samples: &[Sample]| samples.iter().map(|(_, value, _)| value).sum();
    let mut stands = Stands {
        stamp: Some(at),
        good: sum(&good),
        // A series of errors begins with the first one.
        bad: sum(&ask(queries.bad.to_owned(), Some(at)).await?),
        ..Stands::default()
    };
    if let Some(query) = queries.degraded {
        stands.degraded = sum(&ask(query.to_owned(), Some(at)).await?);
    }
    if let Some(query) = queries.latency {
        stands.latency = buckets(&ask(query.to_owned(), Some(at)).await?)?;
    }
    Ok(stands)
}

/// A histogram knows how many took longer than the end of one of its buckets, and of nothing else.
pub(super) fn check_limits(stands: &Stands, limits: &[Duration]) -> Result<(), Unread> {
    for limit in limits {
        let us = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let near = |end: u64| end.abs_diff(us) <= us / 1000;
        if !stands.latency.iter().any(|(end, _)| near(*end)) {
            return Err(Unread::Corrupt(format!(
                "no bucket of the histogram ends at {limit:?}, so nobody knows how many took longer; make the objective's `latency.max` the end of one"
            )));
        }
    }
    Ok(())
}

/// Time in seconds, value, and the label `le`.
type Sample = (f64, f64, Option<String>);

fn samples(data: &Value) -> Result<Vec<Sample>, Unread> {
    let corrupt = |what: &str| Unread::Corrupt(what.to_owned());
    let result = data.get("result");
    match data.get("resultType").and_then(Value::as_str) {
        Some("scalar") => {
            let sample = result.and_then(|pair| sample(pair, None));
            Ok(vec![
                sample.ok_or_else(|| corrupt("a sample is no number"))?,
            ])
        }
        Some("vector") => {
            let series = result.and_then(Value::as_array);
            let series = series.ok_or_else(|| corrupt("a vector has no samples"))?;
            let of = |one: &Value| {
                let le = one.pointer("/metric/le").and_then(Value::as_str);
                sample(one.get("value")?, le)
            };
            let samples: Option<_> = series.iter().map(of).collect();
            samples.ok_or_else(|| corrupt("a sample is no number"))
        }
        other => Err(Unread::Corrupt(format!(
            "the query gives a {}: an instant vector of counters is needed",
            other.unwrap_or("nothing")
        ))),
    }
}

fn sample(pair: &Value, le: Option<&str>) -> Option<Sample> {
    let value = pair.get(1)?.as_str()?.parse().ok()?;
    Some((pair.get(0)?.as_f64()?, value, le.map(str::to_owned)))
}

/// From cumulative counters by upper bound to one counter for each bucket.
fn buckets(samples: &[Sample]) -> Result<Vec<(u64, f64)>, Unread> {
    let mut bounds: Vec<(f64, f64)> = Vec::new();
    for (_, value, le) in samples {
        let bound = le.as_deref().and_then(|le| le.parse::<f64>().ok());
        let bound = bound.filter(|bound| !bound.is_nan()).ok_or_else(|| {
            Unread::Corrupt("a series of `latency` has no bound `le`: is it a histogram?".into())
        })?;
        match bounds.iter_mut().find(|(other, _)| *other == bound) {
            Some((_, count)) => *count += value,
            None => bounds.push((bound, *value)),
        }
    }
    bounds.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let mut below = 0.0;
    let mut buckets = Vec::new();
    for (bound, count) in bounds {
        let end = match bound.is_finite() {
            true => (bound.max(0.0) * 1e6).round() as u64,
            false => BEYOND_US,
        };
        buckets.push((end.min(BEYOND_US), count - below));
        below = count;
    }
    Ok(buckets)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn series(le: &str, value: &str) -> Value {
        json!({"metric": {"le": le}, "value": [1.5, value]})
    }

    #[test]
    fn cumulative_bounds_become_buckets() {
        let data = json!({"resultType": "vector",
            "result": [series("+Inf", "12"), series("0.25", "5"), series("0.5", "9")]});
        let buckets = buckets(&samples(&data).unwrap()).unwrap();
        assert_eq!(buckets, [(250_000, 5.0), (500_000, 4.0), (BEYOND_US, 3.0)]);
    }

    #[test]
    fn a_limit_that_is_no_bucket_s_end_cannot_be_judged() {
        let stands = Stands {
            latency: vec![(250_000, 1.0), (500_000, 1.0)],
            ..Stands::default()
        };
        assert_eq!(check_limits(&stands, &[Duration::from_millis(500)]), Ok(()));
        let Err(Unread::Corrupt(why)) = check_limits(&stands, &[Duration::from_millis(300)]) else {
            panic!()
        };
        assert!(why.contains("ends at 300ms"), "{why}");
    }

    #[test]
    fn what_is_no_vector_of_numbers_is_corrupt() {
        for data in [
            json!({"resultType": "matrix", "result": []}),
            json!({"resultType": "vector", "result": [{"value": [1, "many"]}]}),
            json!({"resultType": "string", "result": [1, "x"]}),
            json!({}),
        ] {
            assert!(matches!(samples(&data), Err(Unread::Corrupt(_))), "{data}");
        }
        let no_bound = samples(
            &json!({"resultType": "vector", "result": [{"metric": {}, "value": [1, "2"]}]}),
        );
        assert!(matches!(
            buckets(&no_bound.unwrap()),
            Err(Unread::Corrupt(_))
        ));
        let nan = samples(&json!({"resultType": "scalar", "result": [1, "NaN"]})).unwrap();
        assert!(nan[0].1.is_nan(), "the sensor says what it is");
    }
}
