//! Whom to trust, and the one way not to ask.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;

const BUNDLE_VARIABLES: [&str; 2] = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// Built when first needed: reading the system's certificates takes time.
#[derive(Default)]
pub(super) struct Tls {
    verified: OnceLock<Result<Arc<ClientConfig>, String>>,
    unverified: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Tls {
    /// The error says in words why there is none.
    pub(super) fn config(&self, verify: bool) -> Result<Arc<ClientConfig>, String> {
        let cell = if verify {
            &self.verified
        } else {
            &self.unverified
        };
        cell.get_or_init(|| build(verify)).clone()
    }
}

fn build(verify: bool) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let words = |error: rustls::Error| error.to_string();
    let verifier: Arc<dyn ServerCertVerifier> = if verify {
        Arc::new(
            Verifier::new_with_extra_roots(extra_roots()?, Arc::clone(&provider)).map_err(words)?,
        )
    } else {
        Arc::new(AnyCertificate(Arc::clone(&provider)))
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(words)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// What users of `requests` name beside the system's certificates.
fn extra_roots() -> Result<Vec<CertificateDer<'static>>, String> {
    let Some(path) = BUNDLE_VARIABLES
        .iter()
        .find_map(|name| std::env::var_os(name).filter(|path| !path.is_empty()))
    else {
        return Ok(Vec::new());
    };
    roots_in(Path::new(&path))
}

fn roots_in(bundle: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(bundle)
        .and_then(|certificates| certificates.collect())
        .map_err(|error| {
            format!(
                "the certificates in {} cannot be read: {error}",
                bundle.display()
            )
        })
}

/// For `verify_tls: false`. Signatures are checked all the same: a broken handshake is not a
/// question of trust.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_cannot_be_read_is_named() {
        let error = roots_in(Path::new("/firedrill/no/bundle.pem")).unwrap_err();
        assert!(error.contains("/firedrill/no/bundle.pem"), "{error}");
    }
}
