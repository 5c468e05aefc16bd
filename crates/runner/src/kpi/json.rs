//! Counters in the JSON that an endpoint answers with.

use firedrill_experiment::call::Counters;
use firedrill_experiment::jsonpath::JsonPath;
use serde_json::Value;
use url::Url;

use super::Asks;
use super::counters::{Stands, Unread};
use crate::provider::http::{Limits, Request, headers_of};

/// An answer is no longer than this: it is read again and again.
const BODY_BYTES_MAX: usize = 4 << 20;

pub(super) async fn read(asks: &Asks, from: &Counters) -> Result<Stands, Unread> {
    let Counters::Json {
        url,
        headers,
        verify_tls,
        good,
        bad,
        degraded,
        stamp,
    } = from
    else {
        return Err(Unread::Missing("it is no endpoint".into()));
    };
    let url = parse(url)?;
    let headers = headers_of(headers).map_err(|error| Unread::Missing(error.to_string()))?;
    let verify_tls = asks.verify_tls && *verify_tls;
    let body = answer(asks, Request::get(url, headers), verify_tls).await?;
    Ok(Stands {
        good: sum("good", good, &body)?,
        bad: sum("bad", bad, &body)?,
        degraded: sum("degraded", degraded, &body)?,
        stamp: match stamp {
            Some(path) => Some(sum("stamp", std::slice::from_ref(path), &body)?),
            None => None,
        },
        ..Stands::default()
    })
}

pub(super) fn parse(url: &str) -> Result<Url, Unread> {
    Url::parse(url.trim()).map_err(|error| Unread::Missing(format!("the URL is invalid: {error}")))
}

/// The JSON of a success.
pub(super) async fn answer(
    asks: &Asks,
    request: Request,
    verify_tls: bool,
) -> Result<Value, Unread> {
    let limits = Limits {
        body_bytes_max: BODY_BYTES_MAX,
        verify_tls,
        ..Limits::default()
    };
    let sent = asks.client.send(request, &limits).await;
    let response = sent.map_err(|error| Unread::Missing(error.to_string()))?;
    let body = serde_json::from_slice(&response.body);
    if !(200..300).contains(&response.status) {
        let status = response.status;
        return Err(Unread::Missing(format!("the answer has status {status}")));
    }
    body.map_err(|error| Unread::Corrupt(format!("the answer is no JSON: {error}")))
}

/// All that the paths lead to, added up. A path that leads nowhere is no zero.
fn sum(name: &str, paths: &[String], body: &Value) -> Result<f64, Unread> {
    let mut sum = 0.0;
    for path in paths {
        let found = JsonPath::parse_ours(path)
            .and_then(|parsed| parsed.select(body))
            .map_err(|error| Unread::Corrupt(format!("`{name}`: {error}")))?;
        if found.is_empty() {
            let why = format!("`{name}`: {path} leads to nothing in the answer");
            return Err(Unread::Corrupt(why));
        }
        for value in found {
            sum += value.as_f64().ok_or_else(|| {
                let shown: String = value.to_string().chars().take(40).collect();
                Unread::Corrupt(format!(
                    "`{name}`: {path} leads to {shown}, which is no number"
                ))
            })?;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(path: &str, body: &Value) -> Result<f64, Unread> {
        sum("good", &[path.to_owned()], body)
    }

    #[test]
    fn what_paths_lead_to_is_added_up_and_nothing_is_taken_for_zero() {
        let body = json!({"a": {"n": 3}, "b": {"n": 4}, "c": {"n": "5"}, "d": null});
        assert_eq!(of("$.a.n", &body), Ok(3.0));
        assert_eq!(of("$.*.n", &json!({"a": {"n": 3}, "b": {"n": 4}})), Ok(7.0));
        for (path, why) in [
            ("$.e", "leads to nothing"),
            ("$.c.n", "\"5\", which is no number"),
            ("$.d", "null, which is no number"),
        ] {
            let Err(Unread::Corrupt(said)) = of(path, &body) else {
                panic!("{path}")
            };
            assert!(said.contains(why), "{said}");
        }
    }
}
