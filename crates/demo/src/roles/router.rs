mod health;
mod rotation;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use super::RoleError;
use super::http::{Answer, json, listen, serve, text};
use super::lifetime::{announce, end_with};
use super::upstream::{Failure, Reply};
use rotation::{Backend, Rotation};

/// The health-checked, zone-aware routing in front of the web instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterConfig {
    /// Where customers come in; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Where `/backends` is read; port 0 takes any that is free.
    pub admin: SocketAddr,
    pub backends: Vec<BackendConfig>,
    /// Tries after the first, each in a zone that was not tried yet, where there is one.
    pub retries: u32,
    pub try_timeout_ms: u64,
    pub health_interval_ms: u64,
    pub health_timeout_ms: u64,
    /// Failures in a row (health checks, and tries that timed out or broke) that take an instance
    /// out of rotation.
    pub unhealthy_after: u32,
    /// Health checks passed in a row that bring it back.
    pub healthy_after: u32,
    /// The process to end with; none to stay.
    pub parent: Option<u32>,
}

/// One web instance, as the router knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendConfig {
    pub name: String,
    pub zone: u32,
    pub address: SocketAddr,
    /// Health-checked, but in no rotation.
    pub drained: bool,
}

/// Serves customers and the admin address until killed.
///
/// # Errors
/// When it cannot listen, cannot announce its addresses, or its parent is gone.
pub async fn run_router(config: RouterConfig) -> Result<Infallible, RoleError> {
    end_with(config.parent)?;
    let (front, front_address) = listen(config.listen).await?;
    let (admin, admin_address) = listen(config.admin).await?;
    announce(vec![front_address, admin_address])?;
    let router = Arc::new(Router {
        rotation: Rotation::new(&config),
        config,
    });
    for backend in router.rotation.backends() {
        tokio::spawn(check_health(Arc::clone(&router), Arc::clone(backend)));
    }
    let reader = Arc::clone(&router);
    tokio::spawn(serve(admin, move |request| {
        let reader = Arc::clone(&reader);
        async move {
            match request.uri().path() {
                "/backends" => json(&reader.rotation.report()),
                _ => text(StatusCode::NOT_FOUND, "not found; try /backends\n"),
            }
        }
    }));
    let answer = move |request| {
        let router = Arc::clone(&router);
        async move { router.route(&request).await }
    };
    Ok(serve(front, answer).await)
}

struct Router {
    config: RouterConfig,
    rotation: Rotation,
}

impl Router {
    async fn route(&self, request: &Request<Incoming>) -> Answer {
        if request.method() != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
        }
        let headers = passed_on(request.headers());
        let mut tried = Vec::new();
        let mut last = Err(Failure::Broken);
        for _ in 0..=self.config.retries {
            let Some(index) = self.rotation.pick(&tried) else {
                break;
            };
            tried.push(index);
            let backend = &self.rotation.backends()[index];
            last = self.attempt(backend, request.uri(), &headers).await;
            if matches!(&last, Ok(reply) if !reply.status.is_server_error()) {
                break;
            }
        }
        match last {
            Ok(reply) => forward(reply),
            Err(Failure::Timeout) => text(StatusCode::GATEWAY_TIMEOUT, "no instance answered\n"),
            Err(Failure::Broken) => text(StatusCode::BAD_GATEWAY, "no instance to answer\n"),
        }
    }

    async fn attempt(
        &self,
        backend: &Backend,
        target: &Uri,
        headers: &HeaderMap,
    ) -> Result<Reply, Failure> {
        let within = Duration::from_millis(self.config.try_timeout_ms);
        backend.sent();
        let result = backend.upstream().get(target, headers, within).await;
        backend.ended(&result);
        result
    }
}

async fn check_health(router: Arc<Router>, backend: Arc<Backend>) {
    let within = Duration::from_millis(router.config.health_timeout_ms);
    let mut ticks = interval(Duration::from_millis(router.config.health_interval_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let target = Uri::from_static("/health");
    loop {
        ticks.tick().await;
        let reply = backend.upstream().get_afresh(&target, within).await;
        backend.checked(reply.is_ok_and(|reply| reply.status == StatusCode::OK));
    }
}

/// Only what marks the request as a drill's: the shop reads no other header.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    const MARK: &str = "x-firedrill-drill";
    let mark = headers.get(MARK).cloned();
    mark.into_iter()
        .map(|value| (hyper::header::HeaderName::from_static(MARK), value))
        .collect()
}

fn forward(reply: Reply) -> Answer {
    let mut answer = Response::new(Full::new(reply.body));
    *answer.status_mut() = reply.status;
    *answer.headers_mut() = reply.headers;
    // How the body was framed on the way here says nothing about the way on.
    answer.headers_mut().remove(CONTENT_LENGTH);
    answer.headers_mut().remove(TRANSFER_ENCODING);
    answer
}
