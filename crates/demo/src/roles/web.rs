use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::RoleError;
use super::http::{Answer, json, listen, serve, text};
use super::lifetime::{announce, end_with};
use super::upstream::Upstream;

/// One instance of the shop's web service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebConfig {
    pub instance: String,
    /// Port 0 takes any that is free.
    pub listen: SocketAddr,
    /// The proxy's route to payments.
    pub payments: SocketAddr,
    pub payments_timeout_ms: u64,
    /// Whether a checkout without payments succeeds with reduced functionality, or fails.
    pub degraded_mode: bool,
    /// Checkouts worked on at a time. Together with `service_time_ms` this is the capacity:
    /// `workers / service_time` checkouts per second.
    pub workers: usize,
    pub service_time_ms: u64,
    /// Checkouts that may wait for a worker; one more is turned away with 503.
    pub queue: usize,
    /// The process to end with; none to stay.
    pub parent: Option<u32>,
}

/// Serves `/checkout`, `/health` and `/stats` until killed.
///
/// # Errors
/// When it cannot listen, cannot announce its address, or its parent is gone.
pub async fn run_web(config: WebConfig) -> Result<Infallible, RoleError> {
    end_with(config.parent)?;
    let (listener, bound) = listen(config.listen).await?;
    announce(bound)?;
    let web = Arc::new(Web::new(config));
    let answer = move |request: Request<hyper::body::Incoming>| {
        let web = Arc::clone(&web);
        async move {
            match request.uri().path() {
                "/checkout" => web.checkout().await,
                "/health" => text(StatusCode::OK, "ok\n"),
                "/stats" => json(&web.stats()),
                _ => text(StatusCode::NOT_FOUND, "not found\n"),
            }
        }
    };
    Ok(serve(listener, answer).await)
}

struct Web {
    config: WebConfig,
    /// Places for checkouts that are worked on or wait.
    places: Semaphore,
    workers: Semaphore,
    payments: Upstream,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    requests: AtomicU64,
    rejected: AtomicU64,
    degraded: AtomicU64,
    payments_calls: AtomicU64,
    payments_failures: AtomicU64,
}

impl Web {
    fn new(config: WebConfig) -> Self {
        Web {
            places: Semaphore::new(config.workers + config.queue),
            workers: Semaphore::new(config.workers),
            payments: Upstream::new(config.payments),
            counters: Counters::default(),
            config,
        }
    }

    async fn checkout(&self) -> Answer {
        count(&self.counters.requests);
        let mut answer = if !self.work().await {
            count(&self.counters.rejected);
            text(StatusCode::SERVICE_UNAVAILABLE, "the queue is full\n")
        } else if self.pay().await {
            text(StatusCode::OK, "thank you\n")
        } else if self.config.degraded_mode {
            count(&self.counters.degraded);
            let mut answer = text(StatusCode::OK, "thank you, we will charge you later\n");
            let header = HeaderValue::from_static("payments");
            answer.headers_mut().insert("x-degraded", header);
            answer
        } else {
            text(StatusCode::BAD_GATEWAY, "payments did not answer\n")
        };
        if let Ok(instance) = HeaderValue::from_str(&self.config.instance) {
            answer.headers_mut().insert("x-served-by", instance);
        }
        answer
    }

    /// Holds a worker for the service time; false when there is no place left to wait for one.
    async fn work(&self) -> bool {
        let Ok(_place) = self.places.try_acquire() else {
            return false;
        };
        let Ok(_worker) = self.workers.acquire().await else {
            return false;
        };
        // Sleeping stands for work on a machine of its own: all instances share this one's cores.
        tokio::time::sleep(Duration::from_millis(self.config.service_time_ms)).await;
        true
    }

    async fn pay(&self) -> bool {
        count(&self.counters.payments_calls);
        let within = Duration::from_millis(self.config.payments_timeout_ms);
        let target = Uri::from_static("/pay");
        let reply = self.payments.get(&target, &HeaderMap::new(), within).await;
        let paid = reply.is_ok_and(|reply| reply.status.is_success());
        if !paid {
            count(&self.counters.payments_failures);
        }
        paid
    }

    fn stats(&self) -> Value {
        let counters = &self.counters;
        json!({
            "instance": self.config.instance,
            "requests": counters.requests.load(Ordering::Relaxed),
            "rejected": counters.rejected.load(Ordering::Relaxed),
            "degraded": counters.degraded.load(Ordering::Relaxed),
            "payments_calls": counters.payments_calls.load(Ordering::Relaxed),
            "payments_failures": counters.payments_failures.load(Ordering::Relaxed),
        })
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
