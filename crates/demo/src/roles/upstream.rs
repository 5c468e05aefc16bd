use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

type Connection = SendRequest<Full<Bytes>>;

/// Another process of the shop, as seen by the one that calls it: the address that leads there, and
/// keep-alive connections that are idle.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: SocketAddr,
    host: HeaderValue,
    idle: Mutex<Vec<Connection>>,
}

/// What is asked.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) target: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Failure {
    #[error("it did not answer in time")]
    Timeout,
    /// Refused, reset, or closed before the answer was whole.
    #[error("the connection broke")]
    Broken,
}

impl<'a> Ask<'a> {
    fn get(target: &'a Uri, headers: &'a HeaderMap) -> Self {
        Ask {
            method: Method::GET,
            target,
            headers,
            body: Bytes::new(),
        }
    }
}

impl Upstream {
    pub(crate) fn new(address: SocketAddr) -> Self {
        // An address has only characters that a header may carry.
        let host = HeaderValue::from_str(&address.to_string());
        Upstream {
            address,
            host: host.unwrap_or(HeaderValue::from_static("shop")),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// GET, with the whole answer within the limit. On a time-out the connection is reset, so that
    /// a late answer is never taken for another request's.
    pub(crate) async fn get(
        &self,
        target: &Uri,
        headers: &HeaderMap,
        within: Duration,
    ) -> Result<Reply, Failure> {
        timeout(within, self.attempt(&Ask::get(target, headers)))
            .await
            .map_err(|_| Failure::Timeout)?
    }

    /// As `get`, over a connection of its own.
    pub(crate) async fn get_afresh(
        &self,
        target: &Uri,
        headers: &HeaderMap,
        within: Duration,
    ) -> Result<Reply, Failure> {
        self.ask_afresh(&Ask::get(target, headers), within).await
    }

    /// Any request, over a connection of its own.
    pub(crate) async fn ask_afresh(
        &self,
        ask: &Ask<'_>,
        within: Duration,
    ) -> Result<Reply, Failure> {
        let exchange = async {
            let mut connection = self.connect().await?;
            let mut message = self.message(ask);
            let close = HeaderValue::from_static("close");
            message.headers_mut().insert(CONNECTION, close);
            let response = connection.send_request(message).await;
            read(response.map_err(|_| Failure::Broken)?).await
        };
        timeout(within, exchange)
            .await
            .map_err(|_| Failure::Timeout)?
    }

    async fn attempt(&self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        while let Some(mut connection) = self.take_idle() {
            // Closed by the peer while it lay idle: the request has not been sent anywhere.
            if connection.ready().await.is_err() {
                continue;
            }
            match connection.try_send_request(self.message(ask)).await {
                Ok(response) => return self.finish(connection, response).await,
                Err(unsent) if unsent.message().is_some() => {}
                Err(_) => return Err(Failure::Broken),
            }
        }
        let mut connection = self.connect().await?;
        let response = connection
            .send_request(self.message(ask))
            .await
            .map_err(|_| Failure::Broken)?;
        self.finish(connection, response).await
    }

    async fn finish(
        &self,
        connection: Connection,
        response: hyper::Response<hyper::body::Incoming>,
    ) -> Result<Reply, Failure> {
        let reply = read(response).await?;
        self.idle().push(connection);
        Ok(reply)
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|_| Failure::Broken)?;
        stream.set_nodelay(true).map_err(|_| Failure::Broken)?;
        // Given up, it is reset: a FIN alone would say that more of the answer is waited for, and a
        // proxy in between would go on waiting.
        stream.set_zero_linger().map_err(|_| Failure::Broken)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Failure::Broken)?;
        // Ends by itself when the connection's handle is dropped or the peer closes.
        tokio::spawn(driver);
        Ok(connection)
    }

    fn message(&self, ask: &Ask<'_>) -> Request<Full<Bytes>> {
        let mut message = Request::new(Full::new(ask.body.clone()));
        *message.method_mut() = ask.method.clone();
        *message.uri_mut() = ask.target.clone();
        *message.headers_mut() = ask.headers.clone();
        message.headers_mut().insert(HOST, self.host.clone());
        message
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        // The list is valid after every step, so a poisoned lock loses nothing.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(response: hyper::Response<hyper::body::Incoming>) -> Result<Reply, Failure> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| Failure::Broken)?;
    Ok(Reply {
        status: parts.status,
        headers: parts.headers,
        body: body.to_bytes(),
    })
}
