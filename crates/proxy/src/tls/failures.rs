//! Handshakes that came to nothing, and why: a peer that gets a RST cannot say.

use std::sync::{Mutex, PoisonError};

use rustls::{AlertDescription, Error};
use serde::Serialize;

/// The handshakes of a route that failed, by the side they were with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Failures {
    pub client: Failed,
    pub upstream: Failed,
}

/// Those with one side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Failed {
    pub count: u64,
    /// Why the last one did.
    pub last: Option<String>,
}

/// What went wrong, with what to do where that is not plain.
pub(crate) fn words(error: &Error) -> String {
    let hint = match error {
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            ": it wants a certificate; `upstream_certificate` says which to show"
        }
        Error::NoCertificatesPresented => {
            ": whoever `client_ca` does not know is not let in; `client_optional` lets in who shows \
             none"
        }
        _ => "",
    };
    format!("{error}{hint}")
}

/// With whom a handshake was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    Client,
    Upstream,
}

/// Told by any thread, seldom.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Failures>);

impl Told {
    pub(crate) fn add(&self, party: Party, why: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = match party {
            Party::Client => &mut all.client,
            Party::Upstream => &mut all.upstream,
        };
        failed.count += 1;
        failed.last = Some(why.into());
    }

    pub(crate) fn all(&self) -> Failures {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }
}
