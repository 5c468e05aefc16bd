//! What a proxy does with TLS, as it is written: `"tls": {"mode": "terminate", …}`. Toxiproxy has
//! nothing of the kind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};

use super::address;
use super::answer::ApiError;
use crate::group::Checks;
use crate::message::Protocol;
use crate::tls::Tls;
use crate::tls::authority::Authority;
use crate::tls::flaw;
use crate::tls::names::Names;
use crate::tls::originate::{Originate, Trust};
use crate::tls::pem::{self, PemError};
use crate::tls::terminate::{Clients, Shown, Terminate};

/// What becomes of TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    pub mode: Mode,
    /// A PEM file with the certificate that clients are shown, and its chain. If not given, one is
    /// made for the name that a client asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its key; if not given, in the same file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The name in a certificate that is made for a client that asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A PEM file with the authorities by whose certificates clients are known. If not given, no
    /// client is asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Let clients in that show no certificate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub client_optional: bool,
    /// A PEM file with the certificate, and its chain, that upstreams are shown that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_certificate: Option<PathBuf>,
    /// Its key; if not given, in the same file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_key: Option<PathBuf>,
    /// A PEM file with whom to believe about upstreams, in the place of those the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Believe any upstream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// Whose certificate the upstream has to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Protocols to agree to, or to ask for, where only one side speaks TLS; if not given, what the
    /// proxy's protocol says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// Upstreams by the name that a client asks for: `shop.example.org`, `*.example.org`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub upstreams: BTreeMap<String, String>,
    /// What becomes of those who ask for none of these.
    #[serde(default, skip_serializing_if = "is_default")]
    pub otherwise: Otherwise,
}

/// Where TLS ends and begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Terminate,
    Originate,
    Reencrypt,
    Passthrough,
}

/// What becomes of a connection whose name is not among those that were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Otherwise {
    /// It goes to the upstream of the proxy.
    #[default]
    Upstream,
    /// A RST.
    Reset,
}

/// How a handshake comes to nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HandshakeEnd {
    #[default]
    Alert,
    Stall,
}

impl From<HandshakeEnd> for flaw::Kind {
    fn from(end: HandshakeEnd) -> Self {
        match end {
            HandshakeEnd::Alert => Self::Alert,
            HandshakeEnd::Stall => Self::Stall,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

type Cell = OnceLock<Arc<Authority>>;

/// The authority, made when it is first needed.
pub(super) fn authority(cell: &Cell) -> Result<Arc<Authority>, ApiError> {
    if let Some(authority) = cell.get() {
        return Ok(Arc::clone(authority));
    }
    let made = Authority::new().map_err(|error| ApiError::Internal {
        why: error.to_string(),
    })?;
    Ok(Arc::clone(cell.get_or_init(|| Arc::new(made))))
}

/// Everything that stands against these settings.
pub(super) fn check(
    settings: Option<&TlsSettings>,
    protocol: Protocol,
    cell: &Cell,
) -> Result<(), ApiError> {
    let Some(settings) = settings else {
        return Ok(());
    };
    if protocol == Protocol::Udp {
        let why = "tls: there is none with the protocol udp; leave it out";
        return Err(ApiError::body(why.into()));
    }
    settings.tls(protocol, cell).map(drop)
}

impl TlsSettings {
    pub(super) fn terminates(&self) -> bool {
        matches!(self.mode, Mode::Terminate | Mode::Reencrypt)
    }

    /// Whether the upstream gets no clear text.
    pub(super) fn is_spoken_upstream(&self) -> bool {
        self.originates() || self.mode == Mode::Passthrough
    }

    fn originates(&self) -> bool {
        matches!(self.mode, Mode::Originate | Mode::Reencrypt)
    }

    /// What they mean; or every reason why they mean nothing.
    pub(super) fn tls(&self, protocol: Protocol, cell: &Cell) -> Result<Tls, ApiError> {
        let mut reasons = self.out_of_place();
        if self.mode == Mode::Passthrough && protocol != Protocol::Tcp {
            let why = format!("nobody can read {protocol} in what passes through");
            reasons.push(why);
        }
        let authority = authority(cell)?;
        let terminate = self.terminate(authority, protocol, &mut reasons);
        let originate = self.originate(protocol, &mut reasons);
        let names = self.names(&mut reasons);
        if !reasons.is_empty() {
            return Err(ApiError::body(format!("tls: {}", reasons.join("; "))));
        }
        Ok(match (terminate, originate) {
            (Some(terminate), None) => Tls::Terminate(terminate),
            (None, Some(originate)) => Tls::Originate(originate),
            (Some(terminate), Some(originate)) => Tls::Reencrypt(terminate, originate),
            (None, None) => Tls::Pass {
                names,
                others: self.otherwise == Otherwise::Upstream,
            },
        })
    }

    /// What is said though the mode has no use for it.
    fn out_of_place(&self) -> Vec<String> {
        let passes = self.mode == Mode::Passthrough;
        let said = [
            ("certificate", self.certificate.is_some(), self.terminates()),
            ("key", self.key.is_some(), self.certificate.is_some()),
            (
                "name",
                self.name.is_some(),
                self.terminates() && self.certificate.is_none(),
            ),
            ("client_ca", self.client_ca.is_some(), self.terminates()),
            (
                "client_optional",
                self.client_optional,
                self.client_ca.is_some(),
            ),
            ("ca", self.ca.is_some(), self.originates() && !self.insecure),
            (
                "upstream_certificate",
                self.upstream_certificate.is_some(),
                self.originates(),
            ),
            (
                "upstream_key",
                self.upstream_key.is_some(),
                self.upstream_certificate.is_some(),
            ),
            ("insecure", self.insecure, self.originates()),
            ("server_name", self.server_name.is_some(), self.originates()),
            (
                "alpn",
                !self.alpn.is_empty(),
                self.terminates() != self.originates(),
            ),
            ("upstreams", !self.upstreams.is_empty(), passes),
            ("otherwise", !is_default(&self.otherwise), passes),
        ];
        let wrong = said.into_iter().filter(|(_, said, fits)| *said && !fits);
        wrong
            .map(|(field, ..)| format!("`{field}` has no meaning with what else is given"))
            .collect()
    }

    fn alpn(&self, protocol: Protocol) -> Vec<Vec<u8>> {
        if self.alpn.is_empty() {
            return protocol.alpn();
        }
        let names = self.alpn.iter();
        names.map(|name| name.clone().into_bytes()).collect()
    }

    fn terminate(
        &self,
        authority: Arc<Authority>,
        protocol: Protocol,
        reasons: &mut Vec<String>,
    ) -> Option<Arc<Terminate>> {
        if !self.terminates() {
            return None;
        }
        let shown = match &self.certificate {
            Some(file) => {
                let given = given("certificate", file, ("key", self.key.as_ref()));
                Shown::Given(Arc::new(noted(given, reasons)?))
            }
            None => Shown::Made {
                name: self.name.clone(),
            },
        };
        if let Shown::Made { name: Some(name) } = &shown {
            let made = authority.certificate(name, None);
            noted(
                made.map_err(|error| format!("name {name}: {error}")),
                reasons,
            )?;
        }
        let clients = match &self.client_ca {
            Some(file) => Clients::Known {
                roots: Arc::new(noted(authorities("client_ca", file), reasons)?),
                unknown: self.client_optional,
            },
            None => Clients::All,
        };
        let made = Terminate::new(authority, shown, &clients, self.alpn(protocol));
        noted(
            made.map(Arc::new).map_err(|error| error.to_string()),
            reasons,
        )
    }

    fn originate(&self, protocol: Protocol, reasons: &mut Vec<String>) -> Option<Arc<Originate>> {
        if !self.originates() {
            return None;
        }
        let trust = match &self.ca {
            _ if self.insecure => Ok(Trust::Anybody),
            Some(file) => authorities("ca", file).map(Trust::Only),
            None => Ok(Trust::System),
        };
        let name = self.server_name.clone().map(|name| {
            let parsed = ServerName::try_from(name.clone());
            parsed.map_err(|_| format!("server_name {name} is neither a name nor an address"))
        });
        let shown = self.upstream_certificate.as_ref().map(|file| {
            let key = ("upstream_key", self.upstream_key.as_ref());
            given("upstream_certificate", file, key)
        });
        // Each of them may be wrong by itself.
        let trust = noted(trust, reasons);
        let name = noted(name.transpose(), reasons);
        let shown = noted(shown.transpose(), reasons);
        let made = Originate::new(trust?, name?, shown?, self.alpn(protocol));
        noted(
            made.map(Arc::new).map_err(|error| error.to_string()),
            reasons,
        )
    }

    fn names(&self, reasons: &mut Vec<String>) -> Names {
        let mut names = Names::default();
        for (pattern, upstream) in &self.upstreams {
            match address::to_reach(upstream, None, Checks::default()) {
                Ok(upstream) => {
                    if !names.add(pattern, upstream) {
                        let why = "is neither a name nor `*.` and a name";
                        reasons.push(format!("upstreams: {pattern} {why}"));
                    }
                }
                Err(error) => reasons.push(format!("upstreams: {pattern}: {error}")),
            }
        }
        names
    }
}

/// What is there, or else the reason why not among the others.
fn noted<T>(made: Result<T, String>, reasons: &mut Vec<String>) -> Option<T> {
    made.map_err(|why| reasons.push(why)).ok()
}

fn authorities(field: &str, file: &Path) -> Result<RootCertStore, String> {
    pem::authorities(file).map_err(|error| format!("{field}: {error}"))
}

/// A certificate of this field's file, with its key: of another field's file, or of the same.
fn given(
    field: &str,
    file: &Path,
    (key_field, key): (&str, Option<&PathBuf>),
) -> Result<CertifiedKey, String> {
    let certified = pem::certified(file, key.map_or(file, PathBuf::as_path));
    certified.map_err(|error| match (&error, key) {
        (PemError::NoKey { .. }, None) => {
            format!("{field}: {error}; say with `{key_field}` which file does")
        }
        (PemError::NoKey { .. }, Some(_)) => format!("{key_field}: {error}"),
        _ => format!("{field}: {error}"),
    })
}
