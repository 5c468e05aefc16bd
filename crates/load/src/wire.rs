use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::config::Order;

/// An arrival that starts this long after its schedule is late.
const LATE_AFTER: Duration = Duration::from_millis(10);

type Connection = SendRequest<Full<Bytes>>;

/// How one request ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The window of the intended start.
    pub(crate) window: u64,
    pub(crate) verdict: Verdict,
    /// From the intended start.
    pub(crate) latency: Duration,
    pub(crate) late: bool,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    Good,
    Degraded,
    Bad(Cause),
}

#[derive(Debug)]
pub(crate) enum Cause {
    Status(u16),
    Timeout,
    /// Timed out, and spent most of that time waiting for a connection.
    NoFreeConnection,
    Connect(io::ErrorKind),
    Broken,
}

impl Cause {
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Cause::Timeout | Cause::NoFreeConnection)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Status(status) => write!(f, "status {status}"),
            Cause::Timeout => f.write_str("timeout"),
            Cause::NoFreeConnection => f.write_str("no free connection"),
            Cause::Connect(kind) => kind.fmt(f),
            Cause::Broken => f.write_str("connection broken"),
        }
    }
}

/// The connections to the system under test: at most as many as ordered, one request on each.
#[derive(Debug)]
pub(crate) struct Wire {
    order: Order,
    free: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Wire {
    pub(crate) fn new(order: Order) -> Arc<Self> {
        Arc::new(Wire {
            free: Semaphore::new(order.connections),
            idle: Mutex::new(Vec::new()),
            order,
        })
    }

    /// One request, due at `intended`, until its answer, its error or its timeout.
    pub(crate) async fn request(self: Arc<Self>, window: u64, intended: Instant) -> Outcome {
        let late = intended.elapsed() > LATE_AFTER;
        let verdict = self.exchange(intended).await.unwrap_or_else(Verdict::Bad);
        Outcome {
            window,
            verdict,
            latency: intended.elapsed(),
            late,
        }
    }

    async fn exchange(&self, intended: Instant) -> Result<Verdict, Cause> {
        let deadline = intended + self.order.timeout;
        let permit = timeout_at(deadline, self.free.acquire())
            .await
            .map_err(|_| Cause::NoFreeConnection)?;
        // Held to the end of the exchange; the semaphore is never closed.
        let _permit = permit.map_err(|_| Cause::NoFreeConnection)?;
        let waited_long = intended.elapsed() * 2 > self.order.timeout;
        // A timeout drops the connection in flight, and with it the answer that may still come.
        timeout_at(deadline, self.attempt())
            .await
            .map_err(|_| match waited_long {
                true => Cause::NoFreeConnection,
                false => Cause::Timeout,
            })?
    }

    async fn attempt(&self) -> Result<Verdict, Cause> {
        while let Some(mut connection) = self.take_idle() {
            // The peer may have closed it while it lay idle; then the request was never sent.
            if connection.ready().await.is_err() {
                continue;
            }
            match connection.try_send_request(self.message()).await {
                Ok(response) => return self.read(connection, response).await,
                Err(refused) if refused.message().is_some() => {}
                Err(_) => return Err(Cause::Broken),
            }
        }
        let mut connection = self.connect().await?;
        let response = connection
            .send_request(self.message())
            .await
            .map_err(|_| Cause::Broken)?;
        self.read(connection, response).await
    }

    async fn connect(&self) -> Result<Connection, Cause> {
        let stream = TcpStream::connect((self.order.host.as_str(), self.order.port))
            .await
            .map_err(|error| Cause::Connect(error.kind()))?;
        stream
            .set_nodelay(true)
            .map_err(|error| Cause::Connect(error.kind()))?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Cause::Broken)?;
        // Ends by itself when the connection's handle is dropped or the peer closes.
        tokio::spawn(driver);
        Ok(connection)
    }

    async fn read(
        &self,
        connection: Connection,
        response: hyper::Response<hyper::body::Incoming>,
    ) -> Result<Verdict, Cause> {
        let status = response.status();
        let degraded = match &self.order.degraded_header {
            Some(name) => response.headers().contains_key(name),
            None => false,
        };
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame.map_err(|_| Cause::Broken)?;
        }
        self.idle().push(connection);
        if status.as_u16() >= 400 {
            return Err(Cause::Status(status.as_u16()));
        }
        Ok(if degraded {
            Verdict::Degraded
        } else {
            Verdict::Good
        })
    }

    fn message(&self) -> Request<Full<Bytes>> {
        let mut message = Request::new(Full::new(self.order.body.clone()));
        *message.method_mut() = self.order.method.clone();
        *message.uri_mut() = self.order.target.clone();
        *message.headers_mut() = self.order.headers.clone();
        message
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle().pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // The list is valid after every step, so a poisoned lock loses nothing.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
