//! Toxiproxy's HTTP interface, so that its clients and test suites work as they are.
//!
//! - [`toxic`]: its eight toxics and ours, as it writes them, and the stream faults they are;
//! - [`collection`]: the proxies, by name;
//! - [`answer`]: its status codes, errors and headers;
//! - [`tls`]: what a proxy does with TLS, as it is written;
//! - [`check`]: how the places of a proxy that leads to several are checked;
//! - [`config`], [`state`]: proxies from a file, and over a restart;
//! - [`endpoints`]: the places of a proxy that leads to several;
//! - [`split`]: control and experiment;
//! - `handlers`: one function per route;
//! - `metrics`: Prometheus text.
//!
//! It differs on purpose where Toxiproxy is known to be wrong: a removal never hangs, a reset is a
//! RST, bytes are counted as they pass, and the seed has its effect.

mod address;
mod answer;
mod check;
mod collection;
mod config;
mod endpoints;
mod handlers;
mod metrics;
mod split;
mod state;
mod tls;
mod toxic;

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::fabric::Fabric;

pub use address::AddressError;
pub use answer::ApiError;
pub use check::CheckSettings;
pub use collection::{Collection, NewProxy, Populated, ProxyChange, ProxyView};
pub use config::{ConfigError, ProxyConfig, load, read};
pub use endpoints::{Drain, EndpointView};
pub use split::{ArmsView, OutcomesView, RequestsView, SplitWords, UsersView, UsersWords};
pub use state::{StateError, StateFile};
pub use tls::{Mode, TlsSettings};
pub use toxic::{Attributes, NewToxic, Toxic, ToxicChange};

/// What `GET /version` answers: the version of the interface, and whose it is.
pub const VERSION: &str = concat!("2.12.0+firedrill.", env!("CARGO_PKG_VERSION"));

/// The interface, listening.
#[derive(Debug)]
pub struct Api {
    listener: TcpListener,
    address: SocketAddr,
    collection: Arc<Collection>,
}

impl Api {
    /// Listens there; nothing is answered before [`Self::serve`].
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn bind(address: SocketAddr, fabric: Arc<Fabric>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            collection: Arc::new(Collection::new(fabric)),
        })
    }

    /// Listens with what was another's.
    ///
    /// # Errors
    /// When it is no listening socket.
    pub fn inherit(listener: OwnedFd, fabric: Arc<Fabric>) -> std::io::Result<Self> {
        let listener = TcpListener::from(listener);
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            collection: Arc::new(Collection::new(fabric)),
        })
    }

    /// Its listener, to go over to another proxy.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn listener(&self) -> std::io::Result<OwnedFd> {
        self.listener.try_clone().map(OwnedFd::from)
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn collection(&self) -> &Arc<Collection> {
        &self.collection
    }

    /// Answers until `stop` is ready.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn serve(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let router = handlers::router(self.collection);
        axum::serve(listener, router)
            .with_graceful_shutdown(stop)
            .await
    }
}
