//! TLS ends here: the client's handshake is with the proxy.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::authority::{Authority, AuthorityError, name_of};
use super::flaw::Flaw;
use super::hello::Hello;
use super::protocol_versions;

/// How clients are answered.
#[derive(Debug, Clone)]
pub struct Terminate {
    authority: Arc<Authority>,
    shown: Shown,
    /// Where the upstream has no say: the protocols that are agreed to, the dearest first.
    alpn: Vec<Vec<u8>>,
    /// Everything but certificate and protocols. Sessions are resumed across connections.
    config: Arc<ServerConfig>,
}

/// Whose certificate clients are shown.
#[derive(Debug, Clone)]
pub enum Shown {
    /// One from files.
    Given(Arc<CertifiedKey>),
    /// One that is made for the name that the client asks for; if it asks for none, for this one,
    /// or for the address that it came to.
    Made { name: Option<String> },
}

/// Which clients are let in.
#[derive(Debug, Clone, Default)]
pub enum Clients {
    /// All, and none is asked for a certificate.
    #[default]
    All,
    /// Those with a certificate of one of these authorities; if `unknown`, those too that show
    /// none. One that is shown has to be good in any case.
    Known {
        roots: Arc<RootCertStore>,
        unknown: bool,
    },
}

/// Why clients cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum TerminateError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("certificates of clients cannot be verified: {0}")]
    Verifier(#[from] VerifierBuilderError),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Terminate {
    /// # Errors
    /// When there are clients to be known, and no authority to know them by.
    pub fn new(
        authority: Arc<Authority>,
        shown: Shown,
        clients: &Clients,
        alpn: Vec<Vec<u8>>,
    ) -> Result<Self, TerminateError> {
        let config = ServerConfig::builder_with_provider(super::provider())
            .with_protocol_versions(protocol_versions())?
            .with_client_cert_verifier(clients.verifier()?)
            .with_cert_resolver(Arc::new(Nothing));
        Ok(Self {
            authority,
            shown,
            alpn,
            config: Arc::new(config),
        })
    }

    /// The server's end of a handshake. `agreed` is what the upstream chose of the client's
    /// protocols, where it was asked.
    ///
    /// # Errors
    /// When there is no certificate for what the client asks for.
    pub fn connection(
        &self,
        hello: &Hello,
        local: IpAddr,
        flaw: Option<Flaw>,
        agreed: Option<Agreed>,
    ) -> Result<ServerConnection, TerminateError> {
        let certificate = self.certificate(hello, local, flaw)?;
        let mut config = ServerConfig::clone(&self.config);
        config.cert_resolver = Arc::new(Fixed(certificate));
        config.alpn_protocols = match agreed {
            Some(agreed) => agreed.into_iter().collect(),
            None => self.offered(hello),
        };
        if flaw.is_some() {
            // A session that is resumed shows no certificate.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(ServerConnection::new(Arc::new(config))?)
    }

    /// What is agreed to. Where nothing of the client's fits, nothing is said about it, and the
    /// client goes on or does not, rather than be refused.
    fn offered(&self, hello: &Hello) -> Vec<Vec<u8>> {
        let both = self.alpn.iter().filter(|ours| hello.alpn.contains(ours));
        both.cloned().collect()
    }

    fn certificate(
        &self,
        hello: &Hello,
        local: IpAddr,
        flaw: Option<Flaw>,
    ) -> Result<Arc<CertifiedKey>, AuthorityError> {
        let otherwise = match &self.shown {
            Shown::Given(given) if flaw.is_none() => return Ok(Arc::clone(given)),
            Shown::Given(_) => None,
            Shown::Made { name } => name.clone(),
        };
        let asked = hello.name.clone().or(otherwise);
        let name = asked.unwrap_or_else(|| name_of(local));
        self.authority.certificate(&name, flaw)
    }
}

/// The protocol that an upstream chose, or that it chose none.
pub type Agreed = Option<Vec<u8>>;

impl Clients {
    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TerminateError> {
        let Self::Known { roots, unknown } = self else {
            return Ok(WebPkiClientVerifier::no_client_auth());
        };
        let roots = Arc::clone(roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, super::provider());
        let verifier = match unknown {
            true => verifier.allow_unauthenticated(),
            false => verifier,
        };
        Ok(verifier.build()?)
    }
}

/// One certificate, whatever is asked for.
#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// In the place of the certificate that a connection will have.
#[derive(Debug)]
struct Nothing;

impl ResolvesServerCert for Nothing {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}
