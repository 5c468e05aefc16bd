//! The generator against real servers on 127.0.0.1.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use firedrill_load::{Arrival, LoadConfig, LoadSummary, Window, start};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;

type Answer = Response<Full<Bytes>>;

/// A real HTTP server on a free port; gives its address.
async fn serve<F, A>(answer: F) -> String
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                // A client that goes away ends its connection with an error; that is its right.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    format!("http://{address}/")
}

fn answer(status: u16) -> Answer {
    let body = Full::new(Bytes::from_static(b"hello"));
    Response::builder().status(status).body(body).unwrap()
}

async fn run(config: &LoadConfig) -> (LoadSummary, Vec<Window>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let summary = start(config, sender).unwrap().wait().await;
    let mut windows = Vec::new();
    while let Some(window) = receiver.recv().await {
        windows.push(window);
    }
    (summary, windows)
}

fn for_a_second(url: String, rate: f64) -> LoadConfig {
    let mut config = LoadConfig::get(url, rate);
    config.duration = Some(Duration::from_secs(1));
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrivals_follow_the_rate_and_every_request_is_counted_once() {
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let url = serve(move |request| {
        assert_eq!(request.headers()["x-firedrill-drill"], "synthetic");
        counter.fetch_add(1, Ordering::Relaxed);
        async { answer(200) }
    })
    .await;

    let (summary, windows) = run(&for_a_second(url, 200.0)).await;

    assert_eq!(summary.sent, 200);
    assert_eq!(summary.good, 200, "{summary:?}");
    assert_eq!(seen.load(Ordering::Relaxed), 200);
    assert_eq!(summary.success_ratio, Some(1.0));
    assert_eq!(windows.len(), 10);
    for (index, window) in windows.iter().enumerate() {
        assert_eq!(
            window.start,
            Duration::from_millis(100) * u32::try_from(index).unwrap()
        );
        assert_eq!(window.sent, 20);
        assert_eq!(window.latency.len(), 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_of_a_second_is_seen_by_everyone_who_would_have_met_it() {
    let began = Instant::now();
    let (from, until) = (Duration::from_millis(500), Duration::from_millis(1500));
    let url = serve(move |_| async move {
        let now = began.elapsed();
        if now > from && now < until {
            tokio::time::sleep(until - now).await;
        }
        answer(200)
    })
    .await;
    let mut config = LoadConfig::get(url, 100.0);
    config.duration = Some(Duration::from_secs(3));
    // Few connections: a closed loop would stop arriving here, and see four slow requests.
    config.connections = 4;
    config.timeout = Duration::from_secs(5);

    let (summary, _) = run(&config).await;

    assert_eq!(summary.sent, 300);
    assert_eq!(summary.good, 300, "{summary:?}");
    let latency = summary.latency.unwrap();
    // 100 of 300 arrivals met the stall, for half a second on average.
    assert!(latency.p99_ms > 700.0, "{latency:?}");
    assert!(latency.p90_ms > 300.0, "{latency:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_answers_gives_timeouts_and_no_drops() {
    let url = serve(|_| std::future::pending()).await;
    let mut config = for_a_second(url, 50.0);
    config.arrival = Arrival::Poisson;
    config.timeout = Duration::from_millis(200);

    let (summary, windows) = run(&config).await;

    assert!(summary.sent > 20, "{summary:?}");
    assert_eq!(summary.bad, summary.sent);
    assert_eq!(summary.errors["timeout"], summary.sent);
    assert!(summary.latency.unwrap().p50_ms >= 199.0);
    assert_eq!(
        windows.iter().map(|window| window.bad).sum::<u64>(),
        summary.bad
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_arrival_that_finds_no_free_connection_in_time_is_bad_and_named() {
    let url = serve(|_| std::future::pending()).await;
    let mut config = for_a_second(url, 100.0);
    config.connections = 1;
    config.timeout = Duration::from_millis(300);

    let (summary, _) = run(&config).await;

    assert_eq!(summary.bad, 100);
    assert!(summary.errors["no free connection"] > 50, "{summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_connection_is_bad_and_is_not_a_fast_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);

    let (summary, _) = run(&for_a_second(url, 50.0)).await;

    assert_eq!(summary.errors["connection refused"], 50, "{summary:?}");
    assert_eq!(summary.success_ratio, Some(0.0));
    assert_eq!(summary.latency, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn degraded_answers_and_error_statuses_are_told_apart_from_good_ones() {
    let seen = AtomicU64::new(0);
    let seen = Arc::new(seen);
    let url = serve(move |_| {
        let count = seen.fetch_add(1, Ordering::Relaxed);
        async move {
            let mut answer = answer(if count.is_multiple_of(4) { 503 } else { 200 });
            if count % 4 == 1 {
                answer
                    .headers_mut()
                    .insert("x-degraded", "payments".parse().unwrap());
            }
            answer
        }
    })
    .await;
    let mut config = for_a_second(url, 100.0);
    config.degraded_header = Some("X-Degraded".to_owned());

    let (summary, _) = run(&config).await;

    assert_eq!((summary.good, summary.degraded, summary.bad), (50, 25, 25));
    assert_eq!(summary.errors["status 503"], 25);
    assert_eq!(summary.success_ratio, Some(0.75));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_the_server_closed_while_idle_is_no_failure() {
    let url = serve(|_| async {
        let mut answer = answer(200);
        answer
            .headers_mut()
            .insert("connection", "close".parse().unwrap());
        answer
    })
    .await;

    let (summary, _) = run(&for_a_second(url, 50.0)).await;

    assert_eq!(summary.good, 50, "{summary:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_what_is_on_its_way_and_a_halt_does_not() {
    let slow = serve(|_| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        answer(200)
    })
    .await;
    let never = serve(|_| std::future::pending()).await;

    for (url, halt) in [(slow, false), (never, true)] {
        let mut config = LoadConfig::get(url, 100.0);
        config.timeout = Duration::from_secs(60);
        let (sender, mut windows) = mpsc::unbounded_channel();
        let load = start(&config, sender).unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
        let summary = if halt {
            load.halt().await
        } else {
            load.stop().await
        };

        assert!(summary.sent >= 10, "{summary:?}");
        let (ended, cut_off) = if halt {
            (0, summary.sent)
        } else {
            (summary.sent, 0)
        };
        assert_eq!((summary.good, summary.unfinished), (ended, cut_off));
        let mut sent = 0;
        while let Some(window) = windows.recv().await {
            sent += window.sent;
        }
        assert_eq!(sent, summary.sent);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_handle_ends_the_load() {
    let url = serve(|_| async { answer(200) }).await;
    let (sender, mut windows) = mpsc::unbounded_channel();
    drop(start(&LoadConfig::get(url, 100.0), sender).unwrap());
    // The channel closes only when the generator is gone.
    while windows.recv().await.is_some() {}
}

#[test]
fn without_a_runtime_it_refuses_instead_of_panicking() {
    let (sender, _windows) = mpsc::unbounded_channel();
    let refused = start(&LoadConfig::get("http://127.0.0.1:9/", 1.0), sender);
    assert!(refused.unwrap_err().to_string().contains("tokio runtime"));
}
