//! One request over redirects and retries to a whole response.
//!
//! A connection is made for each exchange and not kept: a probe must see the server as a newcomer
//! does. Proxies come from the environment (`http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`).

mod connect;
mod record;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Method;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT,
};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use url::Url;

use connect::Connected;
use record::{Head, Recorder};
use tls::Tls;

/// As many as `requests` follows.
const REDIRECTS_MAX: usize = 30;

/// Sends requests. Cheap to clone; certificates are loaded when the first `https` URL comes.
#[derive(Clone)]
pub(crate) struct Client(Arc<Shared>);

struct Shared {
    tls: Tls,
    proxies: Matcher,
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn get(url: Url, headers: HeaderMap) -> Self {
        Self {
            method: Method::GET,
            url,
            headers,
            body: Vec::new(),
        }
    }

    pub(crate) fn post_form(
        url: Url,
        arguments: &serde_json::Value,
    ) -> Result<Self, super::Unencodable> {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let body = super::encode::form(Some(arguments))?.text.into_bytes();
        Ok(Self {
            method: Method::POST,
            url,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, form)]),
            body,
        })
    }

    /// The headers' own content type counts, where they have one.
    pub(crate) fn post_json(url: Url, mut headers: HeaderMap, body: &serde_json::Value) -> Self {
        headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/json"));
        Self {
            method: Method::POST,
            url,
            headers,
            body: super::encode::json(body).into_bytes(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names as the server wrote them; values of repeated ones joined by `", "`.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Case does not matter.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// For each address to connect to.
    pub(crate) connect: Duration,
    /// Between two pieces of the response.
    pub(crate) read: Duration,
    /// From the first connection to the last byte, redirects and retries included.
    pub(crate) total: Duration,
    /// Of a response's body.
    pub(crate) body_bytes_max: usize,
    /// After a failure to connect; after a failure to read, where repeating is harmless.
    pub(crate) retries: u32,
    pub(crate) verify_tls: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(130),
            read: Duration::from_secs(900),
            total: super::TOTAL_MAX,
            body_bytes_max: 16 << 20,
            retries: 0,
            verify_tls: true,
        }
    }
}

/// Names hosts, never paths, queries or credentials: those may hold secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    #[error("failed to connect to {host}: {reason}")]
    Connect { host: String, reason: String },
    #[error("failed to connect to {host}: connection timed out")]
    ConnectTimeout { host: String },
    #[error("failed to connect to {host}: {reason}")]
    Tls { host: String, reason: String },
    #[error("failed to connect to {host} through the proxy {proxy}: {reason}")]
    Proxy {
        host: String,
        proxy: String,
        reason: String,
    },
    #[error("failed to connect to {host}: the connection broke before the response: {reason}")]
    NoResponse { host: String, reason: String },
    #[error("the response took too long")]
    ReadTimeout,
    #[error("the response from {host} stopped coming")]
    BodyTimeout { host: String },
    #[error("the response was cut short")]
    CutShort,
    #[error("the response is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("more than {REDIRECTS_MAX} redirects")]
    TooManyRedirects,
    #[error("the server redirects to an address that is none")]
    BadRedirect,
    #[error("the request cannot be sent: {0}")]
    Unsendable(String),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            tls: Tls::default(),
            proxies: Matcher::from_env(),
        }))
    }

    pub(crate) async fn send(
        &self,
        request: Request,
        limits: &Limits,
    ) -> Result<Response, TransferError> {
        timeout(limits.total, self.follow(request, limits))
            .await
            .unwrap_or(Err(TransferError::ReadTimeout))
    }

    async fn follow(
        &self,
        mut request: Request,
        limits: &Limits,
    ) -> Result<Response, TransferError> {
        for _ in 0..=REDIRECTS_MAX {
            let response = self.exchange_with_retries(&request, limits).await?;
            let Some(location) = redirect(&response) else {
                return Ok(response);
            };
            let target = request
                .url
                .join(location)
                .map_err(|_| TransferError::BadRedirect)?;
            if !matches!(target.scheme(), "http" | "https") {
                return Err(TransferError::BadRedirect);
            }
            request = redirected(request, response.status, target);
        }
        Err(TransferError::TooManyRedirects)
    }

    async fn exchange_with_retries(
        &self,
        request: &Request,
        limits: &Limits,
    ) -> Result<Response, TransferError> {
        let mut left = limits.retries;
        loop {
            match self.exchange(request, limits).await {
                Err(error) if left > 0 && may_retry(&error, &request.method) => left -= 1,
                other => return other,
            }
        }
    }

    async fn exchange(
        &self,
        request: &Request,
        limits: &Limits,
    ) -> Result<Response, TransferError> {
        let host = authority(&request.url);
        let connected = connect::connect(&self.0, &request.url, limits).await?;
        let (message, head) = (message(request, &connected)?, Head::default());
        let stream = TokioIo::new(Recorder::new(connected.stream, head.clone()));
        let no_response = |error: hyper::Error| TransferError::NoResponse {
            host: host.clone(),
            reason: chain(&error),
        };
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .title_case_headers(true)
            .handshake::<_, Full<Bytes>>(stream)
            .await
            .map_err(no_response)?;
        let _driver = Driver(tokio::spawn(async move {
            // Its error is the request's error too, and reported there.
            let _told_elsewhere = connection.await;
        }));
        let response = timeout(limits.read, sender.send_request(message))
            .await
            .map_err(|_| TransferError::ReadTimeout)?
            .map_err(no_response)?;
        let (parts, incoming) = response.into_parts();
        let body = read_body(incoming, limits, &host).await?;
        Ok(Response {
            status: parts.status.as_u16(),
            headers: head.name(&parts.headers),
            body,
        })
    }
}

/// Ends the connection with the exchange, however that ends.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn read_body(
    mut incoming: hyper::body::Incoming,
    limits: &Limits,
    host: &str,
) -> Result<Vec<u8>, TransferError> {
    let mut body = Vec::new();
    loop {
        let frame = timeout(limits.read, incoming.frame()).await.map_err(|_| {
            TransferError::BodyTimeout {
                host: host.to_owned(),
            }
        })?;
        match frame {
            None => return Ok(body),
            Some(Err(_)) => return Err(TransferError::CutShort),
            Some(Ok(frame)) => {
                body.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
            }
        }
        if body.len() > limits.body_bytes_max {
            return Err(TransferError::TooLarge {
                limit: limits.body_bytes_max,
            });
        }
    }
}

fn message(
    request: &Request,
    connected: &Connected,
) -> Result<hyper::Request<Full<Bytes>>, TransferError> {
    let url = &request.url;
    let target = if connected.absolute_form {
        format!("http://{}{}", authority(url), path_and_query(url))
    } else {
        path_and_query(url)
    };
    let unsendable = |error: String| TransferError::Unsendable(error);
    let mut message = hyper::Request::builder()
        .method(request.method.clone())
        .uri(target)
        .body(Full::new(Bytes::from(request.body.clone())))
        .map_err(|error| unsendable(error.to_string()))?;
    let headers = message.headers_mut();
    if !request.headers.contains_key(HOST) {
        let host = HeaderValue::from_str(&authority(url))
            .map_err(|error| unsendable(error.to_string()))?;
        headers.insert(HOST, host);
    }
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("firedrill/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    if let Some(credentials) = credentials(url) {
        headers.insert(AUTHORIZATION, credentials);
    }
    if let Some(authorization) = &connected.proxy_authorization {
        headers.insert(hyper::header::PROXY_AUTHORIZATION, authorization.clone());
    }
    headers.extend(request.headers.clone());
    Ok(message)
}

/// With what browsers leave as it is and `requests` does not.
fn path_and_query(url: &Url) -> String {
    let mut text = String::new();
    for character in url[url::Position::BeforePath..url::Position::AfterQuery].chars() {
        match character {
            '{' | '}' | '|' | '^' | '`' | '\\' => {
                text.push_str(&format!("%{:02X}", u32::from(character)));
            }
            _ => text.push(character),
        }
    }
    text
}

/// `user:password@` of a URL, for the server and not for its log.
fn credentials(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let plain = [url.username(), url.password().unwrap_or_default()]
        .map(percent_decoded)
        .join(&b':');
    let encoded = base64::engine::general_purpose::STANDARD.encode(plain);
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn percent_decoded(text: &str) -> Vec<u8> {
    // A `+` is itself in user information, unlike in forms, whose decoder is at hand.
    let pair = format!("={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .flat_map(|(_, value)| value.into_owned().into_bytes())
        .collect()
}

fn redirect(response: &Response) -> Option<&str> {
    matches!(response.status, 301 | 302 | 303 | 307 | 308)
        .then(|| response.header("location"))
        .flatten()
}

/// As `requests` does it: 303, 302 and a POST's 301 ask for the new address with GET.
fn redirected(mut request: Request, status: u16, target: Url) -> Request {
    let becomes_get = match status {
        302 | 303 => request.method != Method::HEAD,
        301 => request.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        request.method = Method::GET;
    }
    if !matches!(status, 307 | 308) {
        request.body.clear();
        request.headers.remove(CONTENT_TYPE);
        request.headers.remove(CONTENT_LENGTH);
    }
    if target.origin() != request.url.origin() {
        request.headers.remove(AUTHORIZATION);
        request.headers.remove(HOST);
    }
    request.url = target;
    request
}

fn may_retry(error: &TransferError, method: &Method) -> bool {
    match error {
        TransferError::Connect { .. }
        | TransferError::ConnectTimeout { .. }
        | TransferError::Proxy { .. } => true,
        TransferError::NoResponse { .. } | TransferError::ReadTimeout => method.is_idempotent(),
        _ => false,
    }
}

/// `host:port` as the server knows itself, without credentials.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An error and its causes on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
