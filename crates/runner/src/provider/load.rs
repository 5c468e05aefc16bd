//! The load generator as an activity: it runs for its duration, and its summary is the output.

use std::time::Duration;

use firedrill_experiment::call::LoadCall;
use firedrill_load::{Arrival, LoadConfig, LoadSummary};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Cancel, Outcome};

/// The summary needs no finer ones.
const WINDOW: Duration = Duration::from_secs(1);

/// Sends the load. Halted by a cancel, it cuts off what is on its way.
pub(crate) async fn run(call: &LoadCall, seed: u64, mut cancel: Cancel) -> Outcome {
    if call.duration.is_none() {
        return Outcome::failed("a load activity needs a duration");
    }
    // Windows are for KPIs; a receiver that is gone does not disturb the load.
    let (windows, _) = mpsc::unbounded_channel();
    let load = match firedrill_load::start(&config(call, seed), windows) {
        Ok(load) => load,
        // The address may hold a secret.
        Err(error) => {
            return Outcome::failed(
                error
                    .to_string()
                    .replace(&format!("{:?}", call.url), "of this activity"),
            );
        }
    };
    tokio::select! {
        biased;
        reason = cancel.cancelled() => Outcome::Interrupted(reason),
        summary = load.wait() => Outcome::Succeeded(output(&summary)),
    }
}

fn config(call: &LoadCall, seed: u64) -> LoadConfig {
    LoadConfig {
        url: call.url.clone(),
        method: call.method.clone(),
        headers: call.headers.clone(),
        body: call.body.clone(),
        rate: call.rate,
        arrival: if call.poisson {
            Arrival::Poisson
        } else {
            Arrival::Constant
        },
        connections: call.connections,
        timeout: call.timeout,
        window: WINDOW,
        seed,
        duration: call.duration,
        degraded_header: call.degraded_header.clone(),
    }
}

/// Ratios are 0 to 1, and null when nothing ended; latencies count from the intended start.
fn output(summary: &LoadSummary) -> Value {
    let latency = summary.latency.map(|latency| {
        json!({
            "p50": latency.p50_ms,
            "p90": latency.p90_ms,
            "p99": latency.p99_ms,
            "p999": latency.p999_ms,
            "max": latency.max_ms,
        })
    });
    json!({
        "success_ratio": summary.success_ratio,
        "degraded_ratio": summary.degraded_ratio,
        "requests": summary.sent,
        "good": summary.good,
        "degraded": summary.degraded,
        "bad": summary.bad,
        "unfinished": summary.unfinished,
        "errors": summary.errors,
        "achieved_rate": summary.achieved_rate,
        "latency_ms": latency,
        "late_share": summary.late_ratio,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::canceller;
    use firedrill_experiment::journal::Interruption;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn call(url: String, duration_ms: Option<u64>) -> LoadCall {
        LoadCall {
            url,
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: None,
            rate: 100.0,
            poisson: false,
            connections: 4,
            timeout: Duration::from_secs(1),
            duration: duration_ms.map(Duration::from_millis),
            degraded_header: None,
        }
    }

    async fn server() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while let Ok(1..) = stream.read(&mut buffer).await {
                        let _gone = stream
                            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                            .await;
                    }
                });
            }
        });
        url
    }

    #[tokio::test]
    async fn the_summary_is_the_output() {
        let Outcome::Succeeded(out) =
            run(&call(server().await, Some(200)), 1, Cancel::never()).await
        else {
            panic!()
        };
        assert_eq!(
            (&out["requests"], &out["bad"], &out["success_ratio"]),
            (&json!(20), &json!(0), &json!(1.0)),
            "{out}"
        );
        assert!(
            out["latency_ms"]["p999"].as_f64().unwrap()
                <= out["latency_ms"]["max"].as_f64().unwrap()
        );
    }

    #[tokio::test]
    async fn a_load_that_cannot_be_sent_fails_without_its_address() {
        let Outcome::Failed(failure) =
            run(&call("https://h/hush".into(), Some(10)), 1, Cancel::never()).await
        else {
            panic!()
        };
        assert!(
            failure.message.contains("https") && !failure.message.contains("hush"),
            "{failure:?}"
        );
        let Outcome::Failed(failure) =
            run(&call("http://h/".into(), None), 1, Cancel::never()).await
        else {
            panic!()
        };
        assert!(failure.message.contains("needs a duration"));
    }

    #[tokio::test]
    async fn a_cancel_ends_the_load() {
        let (canceller, cancel) = canceller();
        canceller.cancel(Interruption {
            kind: "signal".into(),
            name: None,
            reason: "stop".into(),
        });
        let outcome = run(&call(server().await, Some(60_000)), 1, cancel).await;
        assert!(matches!(outcome, Outcome::Interrupted(_)));
    }
}
