use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::RoleError;
use super::http::{Answer, listen, serve, text};
use super::lifetime::{announce, end_with};
use super::upstream::{Failure, Reply, Upstream};

/// Of one connection each (RFC 9110, section 7.6.1), or of how a body is framed on it.
const OF_A_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    HeaderName::from_static("keep-alive"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What customers speak to: it gives every checkout its tries, each within its time. Where a try
/// goes is the proxy's choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayConfig {
    /// Where customers come in; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// The proxy's route to the web instances.
    pub web: SocketAddr,
    /// Tries after the first.
    pub retries: u32,
    pub try_timeout_ms: u64,
    /// The process to end with; none to stay.
    pub parent: Option<u32>,
}

/// Serves customers until killed.
///
/// # Errors
/// When it cannot listen, cannot announce its address, or its parent is gone.
pub async fn run_gateway(config: GatewayConfig) -> Result<Infallible, RoleError> {
    end_with(config.parent)?;
    let (front, address) = listen(config.listen).await?;
    announce(address)?;
    let gateway = Arc::new(Gateway {
        web: Upstream::new(config.web),
        config,
    });
    let answer = move |request| {
        let gateway = Arc::clone(&gateway);
        async move { gateway.answer(&request).await }
    };
    Ok(serve(front, answer).await)
}

struct Gateway {
    config: GatewayConfig,
    web: Upstream,
}

impl Gateway {
    async fn answer(&self, request: &Request<Incoming>) -> Answer {
        if request.method() != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
        }
        let headers = passed_on(request.headers());
        let within = Duration::from_millis(self.config.try_timeout_ms);
        let mut last = Err(Failure::Broken);
        for _ in 0..=self.config.retries {
            // The proxy chooses an instance for each connection.
            last = self.web.get_afresh(request.uri(), &headers, within).await;
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
}

fn forward(reply: Reply) -> Answer {
    let mut answer = Response::new(Full::new(reply.body));
    *answer.status_mut() = reply.status;
    *answer.headers_mut() = passed_on(&reply.headers);
    answer
}

/// Without what is a matter of one connection.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in OF_A_CONNECTION {
        headers.remove(name);
    }
    headers
}
