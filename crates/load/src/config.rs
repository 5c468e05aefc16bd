use std::time::Duration;

use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Uri};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::DRILL_HEADER;

/// The highest rate accepted, in requests per second.
const RATE_MAX: f64 = 100_000.0;
/// The most connections accepted.
const CONNECTIONS_MAX: usize = 10_000;
/// The most requests that may be pending at once, counted as rate × timeout. Every request ends
/// by its timeout, so this bounds memory without ever slowing or dropping an arrival.
const PENDING_MAX: f64 = 200_000.0;
const TIMEOUT_MAX: Duration = Duration::from_secs(300);
const WINDOW_MIN: Duration = Duration::from_millis(10);
const WINDOW_MAX: Duration = Duration::from_secs(60);

/// How arrivals are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// Evenly spaced.
    #[default]
    Constant,
    /// Independent users: exponential gaps.
    Poisson,
}

/// What to send, how often, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadConfig {
    /// An `http://` address.
    pub url: String,
    pub method: String,
    /// Extra request headers. `x-firedrill-drill` is the generator's own.
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    /// Requests per second, over 0 and at most 100,000.
    pub rate: f64,
    pub arrival: Arrival,
    /// The most open connections (1 to 10,000), each with one request at a time. A request that
    /// finds none free waits for one, on its own time. If it times out and spent most of that
    /// time waiting, its error is `no free connection`: more connections may be needed.
    pub connections: usize,
    /// From a request's intended start to the last byte of its answer, 1 ms to 300 s; rate ×
    /// timeout may be at most 200,000 pending requests.
    pub timeout: Duration,
    /// The length of one [`crate::Window`], 10 ms to 60 s.
    pub window: Duration,
    /// Repeats a Poisson schedule.
    pub seed: u64,
    /// When arrivals end by themselves; without it they go on until stopped.
    pub duration: Option<Duration>,
    /// The response header that marks an answer with reduced functionality.
    pub degraded_header: Option<String>,
}

impl LoadConfig {
    /// GET requests at an even rate, over 64 connections with a timeout of 1 s, in windows of
    /// 100 ms, until stopped.
    #[must_use]
    pub fn get(url: impl Into<String>, rate: f64) -> Self {
        LoadConfig {
            url: url.into(),
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: None,
            rate,
            arrival: Arrival::Constant,
            connections: 64,
            timeout: Duration::from_secs(1),
            window: Duration::from_millis(100),
            seed: 0,
            duration: None,
            degraded_header: None,
        }
    }
}

/// Why a load generator did not start. Nothing was sent.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error("the load address {url:?} is not a URL")]
    Url {
        url: String,
        source: hyper::http::uri::InvalidUri,
    },
    #[error("the load address {url:?} names no host; write http://host:port/path")]
    NoHost { url: String },
    #[error(
        "the load generator speaks http only, and {url:?} asks for {scheme}; aim it behind the TLS terminator"
    )]
    Scheme { url: String, scheme: String },
    #[error("{method:?} is not an HTTP method")]
    Method { method: String },
    #[error("{name:?} with this value is not a valid HTTP header")]
    Header { name: String },
    #[error("the header {DRILL_HEADER} is set by the load generator itself")]
    ReservedHeader,
    #[error("rate must be over 0 and at most {RATE_MAX} requests per second, and is {rate}")]
    Rate { rate: f64 },
    #[error("connections must be 1 to {CONNECTIONS_MAX}, and is {connections}")]
    Connections { connections: usize },
    #[error("timeout must be 1ms to {TIMEOUT_MAX:?}, and is {timeout:?}")]
    Timeout { timeout: Duration },
    #[error("window must be {WINDOW_MIN:?} to {WINDOW_MAX:?}, and is {window:?}")]
    Window { window: Duration },
    #[error("duration must be over 0")]
    Duration,
    #[error(
        "{rate} requests/s with a timeout of {timeout:?} may leave {pending:.0} requests pending, over the limit of {PENDING_MAX}; lower one of the two"
    )]
    Pending {
        rate: f64,
        timeout: Duration,
        pending: f64,
    },
    #[error("a load generator can only be started inside a tokio runtime")]
    NoRuntime {
        source: tokio::runtime::TryCurrentError,
    },
}

/// A checked configuration, in the types of the wire.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: bytes::Bytes,
    pub(crate) degraded_header: Option<HeaderName>,
    pub(crate) timeout: Duration,
    pub(crate) connections: usize,
}

pub(crate) fn order(config: &LoadConfig) -> Result<Order, LoadError> {
    check_limits(config)?;
    let url = || config.url.clone();
    let uri: Uri = config
        .url
        .parse()
        .map_err(|source| LoadError::Url { url: url(), source })?;
    match uri.scheme_str() {
        Some("http") => {}
        Some(scheme) => {
            let scheme = scheme.to_owned();
            return Err(LoadError::Scheme { url: url(), scheme });
        }
        None => return Err(LoadError::NoHost { url: url() }),
    }
    let authority = uri
        .authority()
        .ok_or_else(|| LoadError::NoHost { url: url() })?;
    let host = authority.host();
    if host.is_empty() {
        return Err(LoadError::NoHost { url: url() });
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(Order {
        // The resolver takes IPv6 addresses without their brackets.
        host: host.trim_matches(['[', ']']).to_owned(),
        port: authority.port_u16().unwrap_or(80),
        method: Method::from_bytes(config.method.as_bytes()).map_err(|_| LoadError::Method {
            method: config.method.clone(),
        })?,
        target: path
            .parse()
            .map_err(|source| LoadError::Url { url: url(), source })?,
        headers: headers(config, authority.as_str())?,
        body: bytes::Bytes::from(config.body.clone().unwrap_or_default()),
        degraded_header: config
            .degraded_header
            .as_deref()
            .map(header_name)
            .transpose()?,
        timeout: config.timeout,
        connections: config.connections,
    })
}

fn check_limits(config: &LoadConfig) -> Result<(), LoadError> {
    let LoadConfig {
        rate,
        connections,
        timeout,
        window,
        ..
    } = *config;
    if !(rate > 0.0 && rate <= RATE_MAX) {
        return Err(LoadError::Rate { rate });
    }
    if !(1..=CONNECTIONS_MAX).contains(&connections) {
        return Err(LoadError::Connections { connections });
    }
    if !(Duration::from_millis(1)..=TIMEOUT_MAX).contains(&timeout) {
        return Err(LoadError::Timeout { timeout });
    }
    if !(WINDOW_MIN..=WINDOW_MAX).contains(&window) {
        return Err(LoadError::Window { window });
    }
    if config.duration == Some(Duration::ZERO) {
        return Err(LoadError::Duration);
    }
    let pending = rate * timeout.as_secs_f64();
    if pending > PENDING_MAX {
        return Err(LoadError::Pending {
            rate,
            timeout,
            pending,
        });
    }
    Ok(())
}

fn headers(config: &LoadConfig, authority: &str) -> Result<HeaderMap, LoadError> {
    // What comes before an `@` is a login and has no place in a Host header.
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let value =
            HeaderValue::from_str(value).map_err(|_| LoadError::Header { name: name.clone() })?;
        headers.append(header_name(name)?, value);
    }
    if headers.contains_key(DRILL_HEADER) {
        return Err(LoadError::ReservedHeader);
    }
    headers.insert(DRILL_HEADER, HeaderValue::from_static("synthetic"));
    if !headers.contains_key(HOST) {
        let value = HeaderValue::from_str(host).map_err(|_| LoadError::NoHost {
            url: config.url.clone(),
        })?;
        headers.insert(HOST, value);
    }
    Ok(headers)
}

fn header_name(name: &str) -> Result<HeaderName, LoadError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| LoadError::Header {
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut LoadConfig)) -> String {
        let mut config = LoadConfig::get("http://127.0.0.1:9/", 10.0);
        change(&mut config);
        order(&config).unwrap_err().to_string()
    }

    #[test]
    fn limits_are_stated_when_they_are_broken() {
        assert!(refusal(|c| c.rate = 0.0).contains("over 0 and at most 100000"));
        assert!(refusal(|c| c.rate = f64::NAN).contains("rate must be"));
        assert!(refusal(|c| c.connections = 0).contains("1 to 10000"));
        assert!(refusal(|c| c.timeout = Duration::ZERO).contains("1ms to 300s"));
        assert!(refusal(|c| c.window = Duration::from_millis(1)).contains("10ms to 60s"));
        assert!(refusal(|c| c.duration = Some(Duration::ZERO)).contains("duration"));
        let pending = refusal(|c| {
            c.rate = 10_000.0;
            c.timeout = Duration::from_secs(100);
        });
        assert!(pending.contains("1000000 requests pending"), "{pending}");
    }

    #[test]
    fn an_address_it_cannot_load_is_refused_with_the_reason() {
        assert!(refusal(|c| c.url = "https://shop.test/".into()).contains("asks for https"));
        assert!(refusal(|c| c.url = "/checkout".into()).contains("names no host"));
        assert!(refusal(|c| c.url = "http://".into()).contains("URL"));
        assert!(refusal(|c| c.method = "G ET".into()).contains("not an HTTP method"));
        let header = refusal(|c| c.headers = vec![("a b".into(), "c".into())]);
        assert!(header.contains("not a valid HTTP header"));
        let own = refusal(|c| c.headers = vec![("X-Firedrill-Drill".into(), "live".into())]);
        assert!(own.contains("set by the load generator"));
    }

    #[test]
    fn the_target_keeps_its_query_and_the_host_header_its_port() {
        let order = order(&LoadConfig::get("http://[::1]:8080/a?b=c", 1.0)).unwrap();
        assert_eq!(order.target.to_string(), "/a?b=c");
        assert_eq!(order.host, "::1");
        assert_eq!(order.headers[HOST], "[::1]:8080");
        assert_eq!(order.headers[DRILL_HEADER], "synthetic");
    }
}
