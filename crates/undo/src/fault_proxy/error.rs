use std::io;
use std::net::SocketAddr;

/// Why a fault proxy did not do as asked, or is not asked.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("no proxy answers at http://{api}")]
    Unreachable { api: SocketAddr, source: io::Error },
    #[error("the proxy at http://{api} did not answer {request} in time")]
    Late { api: SocketAddr, request: String },
    #[error("the connection to the proxy at http://{api} failed during {request}")]
    Talk {
        api: SocketAddr,
        request: String,
        source: io::Error,
    },
    #[error("the answer to {request} from http://{api} is not one of a fault proxy: {why}")]
    Confused {
        api: SocketAddr,
        request: String,
        why: String,
    },
    #[error("the proxy at http://{api} answered {request} with {status}: {said}")]
    Refused {
        api: SocketAddr,
        request: String,
        status: u16,
        said: String,
    },
    #[error(
        "the proxy at http://{api} has no route {route:?}; it has {}",
        several(present)
    )]
    NoRoute {
        api: SocketAddr,
        route: String,
        present: Vec<String>,
    },
    #[error("the route {route:?} is disabled: nothing passes through it")]
    Disabled { route: String },
    #[error("the route {route:?} has no arms; divide it first (POST /proxies/{route}/split)")]
    Undivided { route: String },
    #[error(
        "the route {route:?} is divided already, by {by}: its split {name:?} is somebody else's"
    )]
    Divided {
        route: String,
        name: String,
        by: String,
    },
    #[error("{what} is on {needed}, and the route {route:?} speaks {protocol}")]
    OtherProtocol {
        what: &'static str,
        needed: &'static str,
        route: String,
        protocol: String,
    },
    #[error("{name:?} cannot be looked up")]
    HostUnknown { name: String, source: io::Error },
}

impl ProxyError {
    /// Whether nobody listens there, rather than that somebody does not answer.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. }
            if source.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Whether it has no such split. Of another proxy, which has no such address, it is not known.
    pub(super) fn is_of_no_split(&self) -> bool {
        matches!(self, Self::Refused { status: 404, said, .. }
            if said == "split not found" || said == "proxy not found")
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

fn several(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    names.join(", ")
}
