use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

type Connection = SendRequest<Empty<Bytes>>;

/// Another process of the shop, as seen by the one that calls it: its address, and keep-alive
/// connections that are idle.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: SocketAddr,
    host: HeaderValue,
    idle: Mutex<Vec<Connection>>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Timeout,
    /// Refused, reset, or closed before the answer was whole.
    Broken,
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

    /// GET, with the whole answer within the limit. On a time-out the connection is closed, so
    /// that a late answer is never taken for another request's.
    pub(crate) async fn get(
        &self,
        target: &Uri,
        headers: &HeaderMap,
        within: Duration,
    ) -> Result<Reply, Failure> {
        timeout(within, self.attempt(target, headers))
            .await
            .map_err(|_| Failure::Timeout)?
    }

    /// As `get`, over a connection of its own: says whether new connections are served.
    pub(crate) async fn get_afresh(
        &self,
        target: &Uri,
        within: Duration,
    ) -> Result<Reply, Failure> {
        let exchange = async {
            let mut connection = self.connect().await?;
            let reply = connection.send_request(self.message(target, &HeaderMap::new()));
            read(reply.await.map_err(|_| Failure::Broken)?).await
        };
        timeout(within, exchange)
            .await
            .map_err(|_| Failure::Timeout)?
    }

    /// Closes idle connections: the process behind them may never answer on them again.
    pub(crate) fn forget_idle(&self) {
        self.idle().clear();
    }

    async fn attempt(&self, target: &Uri, headers: &HeaderMap) -> Result<Reply, Failure> {
        while let Some(mut connection) = self.take_idle() {
            // Closed by the peer while it lay idle: the request has not been sent anywhere.
            if connection.ready().await.is_err() {
                continue;
            }
            match connection
                .try_send_request(self.message(target, headers))
                .await
            {
                Ok(response) => return self.finish(connection, response).await,
                Err(unsent) if unsent.message().is_some() => {}
                Err(_) => return Err(Failure::Broken),
            }
        }
        let mut connection = self.connect().await?;
        let response = connection
            .send_request(self.message(target, headers))
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
        let (connection, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Failure::Broken)?;
        // Ends by itself when the connection's handle is dropped or the peer closes.
        tokio::spawn(driver);
        Ok(connection)
    }

    fn message(&self, target: &Uri, headers: &HeaderMap) -> Request<Empty<Bytes>> {
        let mut message = Request::new(Empty::new());
        *message.uri_mut() = target.clone();
        *message.headers_mut() = headers.clone();
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
