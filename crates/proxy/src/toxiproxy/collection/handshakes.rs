//! What all proxies have in common with TLS: one authority, and what is told of handshakes.

use std::sync::Arc;

use super::Collection;
use crate::tls::authority::Authority;
use crate::tls::failures::Failures;
use crate::toxiproxy::answer::ApiError;
use crate::toxiproxy::tls;

impl Collection {
    /// The key of the authority, if there is one by now.
    pub(crate) fn authority_key(&self) -> Option<String> {
        self.authority.get().map(|authority| authority.key_pem())
    }

    /// Goes on with an authority, before anything needs one.
    ///
    /// # Errors
    /// When this is no key of one.
    pub fn go_on_with_authority(&self, key: &str) -> Result<(), ApiError> {
        let made = Authority::of_key(key).map_err(|error| ApiError::Internal {
            why: error.to_string(),
        })?;
        self.authority.get_or_init(|| Arc::new(made));
        Ok(())
    }

    /// The authority of the certificates that the proxies make.
    ///
    /// # Errors
    /// When there is no randomness to make one.
    pub fn authority(&self) -> Result<Arc<Authority>, ApiError> {
        tls::authority(&self.authority)
    }

    /// Handshakes that came to nothing since a proxy was last enabled.
    ///
    /// # Errors
    /// When there is no such proxy.
    pub fn failed_handshakes(&self, name: &str) -> Result<Failures, ApiError> {
        self.proxy(name)?;
        Ok(self.fabric.failed_handshakes(name).unwrap_or_default())
    }
}
