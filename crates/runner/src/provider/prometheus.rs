//! Prometheus queries; the output is the answer's `data`.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/>

use std::time::Duration;

use firedrill_experiment::call::{PrometheusCall, PrometheusRange};
use hyper::header::HeaderMap;
use serde_json::{Value, json};
use url::Url;

use super::http::{Client, Limits, Request, Response, encode};
use super::{Cancel, Outcome};

/// Without a time-out of the call's own: what Prometheus gives a query is two minutes.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Prometheus refuses more points for each series.
const POINTS_MAX: u128 = 11_000;

/// A longer query goes into the body: servers and proxies limit addresses.
const QUERY_BYTES_IN_URL_MAX: usize = 2048;

/// The `data` of an instant query, evaluated at `at` by the clock of Prometheus; in words, why not.
pub(crate) async fn instant(
    client: &Client,
    call: &PrometheusCall,
    at: Option<f64>,
    verify_tls: bool,
) -> Result<Value, String> {
    let mut request = request(call, jiff::Timestamp::now())?;
    if let Some(at) = at {
        encode::append_query(&mut request.url, Some(&json!({"time": at})))
            .map_err(|error| error.to_string())?;
    }
    let limits = Limits {
        verify_tls,
        ..Limits::default()
    };
    let answer = client.send(request, &limits).await;
    let response = answer.map_err(|error| error.to_string())?;
    match data(&response) {
        Outcome::Succeeded(data) => Ok(data),
        Outcome::Failed(failure) | Outcome::Aborted(failure) => Err(failure.message),
        Outcome::Interrupted(interruption) => Err(interruption.reason),
    }
}

/// Asks once.
pub(crate) async fn run(
    client: &Client,
    call: &PrometheusCall,
    verify_tls: bool,
    mut cancel: Cancel,
) -> Outcome {
    let request = match request(call, jiff::Timestamp::now()) {
        Ok(request) => request,
        Err(words) => return Outcome::failed(words),
    };
    let total = call.timeout.unwrap_or(TIMEOUT);
    let limits = Limits {
        connect: total,
        read: total,
        total,
        verify_tls,
        ..Limits::default()
    };
    tokio::select! {
        biased;
        reason = cancel.cancelled() => Outcome::Interrupted(reason),
        answer = client.send(request, &limits) => match answer {
            Ok(response) => data(&response),
            Err(error) => Outcome::failed(format!("the Prometheus query was not answered: {error}")),
        },
    }
}

fn request(call: &PrometheusCall, now: jiff::Timestamp) -> Result<Request, String> {
    let mut url = Url::parse(call.url.trim())
        .map_err(|error| format!("the URL of Prometheus is invalid: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "the URL of Prometheus has the scheme '{}', not http or https",
            url.scheme()
        ));
    }
    let mut arguments = json!({"query": call.query});
    let endpoint = match &call.range {
        None => "query",
        Some(range) => {
            check(range)?;
            let end = now.as_millisecond() as f64 / 1e3;
            arguments["start"] = json!(end - range.last.as_secs_f64());
            arguments["end"] = json!(end);
            arguments["step"] = json!(range.step.as_secs_f64());
            "query_range"
        }
    };
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/api/v1/{endpoint}"));
    if call.query.len() > QUERY_BYTES_IN_URL_MAX {
        return Request::post_form(url, &arguments).map_err(|error| error.to_string());
    }
    encode::append_query(&mut url, Some(&arguments)).map_err(|error| error.to_string())?;
    Ok(Request::get(url, HeaderMap::new()))
}

fn check(range: &PrometheusRange) -> Result<(), String> {
    if range.step.is_zero() {
        return Err("the step of a Prometheus range must be more than 0".to_owned());
    }
    let points = range.last.as_nanos() / range.step.as_nanos();
    if points > POINTS_MAX {
        return Err(format!(
            "the Prometheus range has {points} points; the most is {POINTS_MAX}: make the step longer"
        ));
    }
    Ok(())
}

/// The `data` of a success; the words of Prometheus itself for an error.
fn data(response: &Response) -> Outcome {
    let answer: Value = match serde_json::from_slice(&response.body) {
        Ok(answer @ Value::Object(_)) => answer,
        _ => {
            return Outcome::failed(format!(
                "the answer is not from Prometheus: it is no JSON, with status {}",
                response.status
            ));
        }
    };
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    match (text("status"), answer.get("data")) {
        ("success", Some(data)) => Outcome::Succeeded(data.clone()),
        ("error", _) => Outcome::failed(format!(
            "Prometheus: {}: {}",
            text("errorType"),
            text("error")
        )),
        _ => Outcome::failed(format!(
            "the answer is not from Prometheus: it has no data, with status {}",
            response.status
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn call(url: &str) -> PrometheusCall {
        PrometheusCall {
            url: url.to_owned(),
            query: "sum(up) > 0".to_owned(),
            range: None,
            timeout: None,
        }
    }

    fn asked(call: &PrometheusCall) -> String {
        request(call, jiff::Timestamp::from_second(1000).unwrap())
            .unwrap()
            .url
            .to_string()
    }

    async fn outcome(answer: &str) -> Outcome {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = answer.to_owned();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _request = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        run(&Client::new(), &call(&url), true, Cancel::never()).await
    }

    fn range(last_s: u64, step_s: u64) -> Option<PrometheusRange> {
        Some(PrometheusRange {
            last: Duration::from_secs(last_s),
            step: Duration::from_secs(step_s),
        })
    }

    #[test]
    fn the_endpoint_is_below_the_address_and_keeps_its_prefix() {
        assert_eq!(
            asked(&call("http://p:9090/")),
            "http://p:9090/api/v1/query?query=sum%28up%29+%3E+0"
        );
        let over_time = PrometheusCall {
            range: range(300, 15),
            ..call("http://p/prefix?tenant=1")
        };
        assert_eq!(
            asked(&over_time),
            "http://p/prefix/api/v1/query_range?tenant=1&query=sum%28up%29+%3E+0&start=700.0&end=1000.0&step=15.0"
        );
    }

    #[test]
    fn a_long_query_goes_into_the_body() {
        let long = PrometheusCall {
            query: "a".repeat(QUERY_BYTES_IN_URL_MAX + 1),
            ..call("http://p/")
        };
        let request = request(&long, jiff::Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            (request.method, request.url.as_str()),
            (hyper::Method::POST, "http://p/api/v1/query")
        );
        assert!(request.body.starts_with(b"query=aaa"));
    }

    #[test]
    fn a_range_that_prometheus_would_refuse_is_not_asked() {
        let refused = |range| {
            request(
                &PrometheusCall {
                    range,
                    ..call("http://p/")
                },
                jiff::Timestamp::UNIX_EPOCH,
            )
            .unwrap_err()
        };
        assert!(refused(range(60, 0)).contains("more than 0"));
        assert!(refused(range(11_001, 1)).contains("11001 points"));
    }

    #[tokio::test]
    async fn the_data_is_the_output() {
        let body = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let Outcome::Succeeded(data) = outcome(&answer).await else {
            panic!()
        };
        assert_eq!(data, json!({"resultType": "scalar", "result": [1, "2"]}));
    }

    #[tokio::test]
    async fn an_error_has_the_words_of_prometheus() {
        let body =
            r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}"#;
        let answer = format!(
            "HTTP/1.1 400 Bad\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let Outcome::Failed(failure) = outcome(&answer).await else {
            panic!()
        };
        assert_eq!(
            failure.message,
            "Prometheus: bad_data: parse error: unexpected end"
        );
        let Outcome::Failed(failure) =
            outcome("HTTP/1.1 502 Bad\r\nContent-Length: 3\r\n\r\nno!").await
        else {
            panic!()
        };
        assert!(failure.message.contains("status 502"), "{failure:?}");
    }
}
