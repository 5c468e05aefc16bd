//! TLS begins here: the proxy's handshake is with the upstream.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::hello::Hello;
use super::{protocol_versions, provider};
use crate::route::Upstream;

/// How upstreams are asked.
#[derive(Debug, Clone)]
pub struct Originate {
    /// Whom the upstream has to be; if not given, whom the client asked for, or else the
    /// upstream's host.
    name: Option<ServerName<'static>>,
    /// What is offered where no client has a say.
    alpn: Vec<Vec<u8>>,
    config: Arc<ClientConfig>,
}

/// Who is believed.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Whom the system trusts.
    #[default]
    System,
    /// These authorities, and nobody else.
    Only(RootCertStore),
    /// Anybody, unasked.
    Anybody,
}

/// Why upstreams cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum OriginateError {
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Originate {
    /// `shown` is the certificate for upstreams that ask for one.
    ///
    /// # Errors
    /// When there is nobody to trust.
    pub fn new(
        trust: Trust,
        name: Option<ServerName<'static>>,
        shown: Option<CertifiedKey>,
        alpn: Vec<Vec<u8>>,
    ) -> Result<Self, OriginateError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(protocol_versions())?;
        let builder = match trust {
            Trust::System => builder.with_platform_verifier()?,
            Trust::Only(roots) => builder.with_root_certificates(roots),
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider()))),
        };
        let config = match shown {
            Some(shown) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Self {
            name,
            alpn,
            config: Arc::new(config),
        })
    }

    /// The client's end of a handshake, in the place of the client that said this. `reached` is the
    /// address that the upstream has, where that is all that is known of it.
    ///
    /// # Errors
    /// When the upstream has no name to be known by.
    pub fn connection(
        &self,
        hello: Option<&Hello>,
        upstream: &Upstream,
        reached: Option<IpAddr>,
    ) -> Result<ClientConnection, rustls::Error> {
        let asked = || {
            let name = hello?.name.clone()?;
            ServerName::try_from(name).ok()
        };
        let name = self.name.clone().or_else(asked).or_else(|| host(upstream));
        let name = name.or(reached.map(ServerName::from));
        let name = name.ok_or_else(|| rustls::Error::General("no name".into()))?;
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = match hello {
            Some(hello) => hello.alpn.clone(),
            None => self.alpn.clone(),
        };
        ClientConnection::new(Arc::new(config), name)
    }
}

fn host(upstream: &Upstream) -> Option<ServerName<'static>> {
    match upstream {
        Upstream::Addresses(addresses) => Some(addresses.first()?.ip().into()),
        Upstream::Name { host, .. } => ServerName::try_from(host.clone()).ok(),
        // Another for each connection.
        Upstream::Group(_) | Upstream::Original { .. } => None,
    }
}

/// Signatures are checked all the same: a broken handshake is not a question of trust.
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
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
