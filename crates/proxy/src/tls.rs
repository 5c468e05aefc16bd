//! TLS on a route: ended here, begun here, both, or let through by the name that a client asks for.
//!
//! - [`hello`]: what a client says in the clear; pure;
//! - [`names`]: upstreams by that name; pure;
//! - [`authority`]: certificates that the proxy makes; [`pem`]: those that it is given;
//! - [`terminate`], [`originate`]: the two ends of a handshake;
//! - [`failures`]: handshakes that came to nothing, and why;
//! - [`flaw`]: what can be wrong with one, on purpose.
//!
//! Bytes and sockets are elsewhere (`reactor`).

pub mod authority;
pub mod failures;
pub mod flaw;
pub mod hello;
pub mod names;
pub mod originate;
pub mod pem;
pub mod terminate;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use names::Names;
use originate::Originate;
use terminate::Terminate;

/// What a route has to do with TLS.
#[derive(Debug, Clone, Default)]
pub enum Tls {
    /// Nothing: if it is TLS, it is the concern of client and upstream.
    #[default]
    None,
    /// It passes through untouched, to where its name leads; others go to the upstream of the
    /// route, or nowhere.
    Pass { names: Names, others: bool },
    /// It ends here, and the upstream gets clear text.
    Terminate(Arc<Terminate>),
    /// It begins here, and clients speak clear text.
    Originate(Arc<Originate>),
    /// It ends here and begins again.
    Reencrypt(Arc<Terminate>, Arc<Originate>),
}

impl Tls {
    /// Whether a connection goes on only when its ClientHello is there.
    #[must_use]
    pub fn reads_hello(&self) -> bool {
        !matches!(self, Self::None | Self::Originate(_))
    }

    #[must_use]
    pub fn terminate(&self) -> Option<&Arc<Terminate>> {
        match self {
            Self::Terminate(terminate) | Self::Reencrypt(terminate, _) => Some(terminate),
            _ => None,
        }
    }

    #[must_use]
    pub fn originate(&self) -> Option<&Arc<Originate>> {
        match self {
            Self::Originate(originate) | Self::Reencrypt(_, originate) => Some(originate),
            _ => None,
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn protocol_versions() -> &'static [&'static rustls::SupportedProtocolVersion] {
    rustls::ALL_VERSIONS
}
