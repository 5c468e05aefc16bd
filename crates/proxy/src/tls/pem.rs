//! What PEM files hold: certificates with their keys, and authorities.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Why a file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    #[error("{path} cannot be read as PEM: {why}")]
    Read { path: String, why: String },
    #[error("{path} holds no certificate")]
    NoCertificate { path: String },
    #[error("{path} holds no private key")]
    NoKey { path: String },
    #[error("{path} holds no certificate of an authority")]
    NoAuthority { path: String },
    #[error("the certificate of {path} and its key do not go together: {why}")]
    Pair { path: String, why: String },
}

/// The certificate and its chain from one file, its key from another, or the same.
///
/// # Errors
/// When a file cannot be read, or the two do not belong together.
pub fn certified(certificate: &Path, key: &Path) -> Result<CertifiedKey, PemError> {
    let chain = certificates(certificate)?;
    if chain.is_empty() {
        let path = told(certificate);
        return Err(PemError::NoCertificate { path });
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        Error::NoItemsFound => PemError::NoKey { path: told(key) },
        error => unreadable(key, &error),
    })?;
    CertifiedKey::from_der(chain, private, &super::provider()).map_err(|error| PemError::Pair {
        path: told(certificate),
        why: error.to_string(),
    })
}

/// The authorities of a file.
///
/// # Errors
/// When it cannot be read, or holds none.
pub fn authorities(path: &Path) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 {
        return Err(PemError::NoAuthority { path: told(path) });
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &Error) -> PemError {
    PemError::Read {
        path: told(path),
        why: error.to_string(),
    }
}

fn told(path: &Path) -> String {
    path.display().to_string()
}
