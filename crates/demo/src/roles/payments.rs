use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::RoleError;
use super::http::{json, listen, serve, text};
use super::lifetime::{announce, end_with};

/// The payments service: a dependency outside the zones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentsConfig {
    /// Port 0 takes any that is free.
    pub listen: SocketAddr,
    /// How long a payment takes.
    pub delay_ms: u64,
    /// The process to end with; none to stay.
    pub parent: Option<u32>,
}

/// Serves `/pay`, `/health` and `/stats` until killed.
///
/// # Errors
/// When it cannot listen, cannot announce its address, or its parent is gone.
pub async fn run_payments(config: PaymentsConfig) -> Result<Infallible, RoleError> {
    end_with(config.parent)?;
    let (listener, bound) = listen(config.listen).await?;
    announce(bound)?;
    let delay = Duration::from_millis(config.delay_ms);
    let paid = Arc::new(AtomicU64::new(0));
    let answer = move |request: hyper::Request<hyper::body::Incoming>| {
        let paid = Arc::clone(&paid);
        async move {
            match request.uri().path() {
                "/pay" => {
                    tokio::time::sleep(delay).await;
                    paid.fetch_add(1, Ordering::Relaxed);
                    text(StatusCode::OK, "paid\n")
                }
                "/health" => text(StatusCode::OK, "ok\n"),
                "/stats" => json(&json!({ "requests": paid.load(Ordering::Relaxed) })),
                _ => text(StatusCode::NOT_FOUND, "not found\n"),
            }
        }
    };
    Ok(serve(listener, answer).await)
}
