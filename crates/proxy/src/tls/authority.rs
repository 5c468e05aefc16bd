//! The proxy's own authority: certificates for any name, right ones and wrong ones.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SigningKey};

use super::flaw::Flaw;

/// Certificates that are kept, so that a client that makes up names does not fill the memory.
const KEPT: usize = 1024;
const DAY: Duration = Duration::from_secs(86_400);
/// How long a certificate is good for, from a day ago: clocks differ.
const VALID: Duration = Duration::from_secs(90 * 86_400);
/// How long one is given out before another is made.
const FRESH: Duration = Duration::from_secs(30 * 86_400);
/// A name that nobody has (RFC 6761).
const NOBODY: &str = "wrong-name.invalid";

/// Makes certificates, and signs them with a key that is made with it.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    /// The key of every certificate: making one takes longer than making a certificate.
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    made: Mutex<HashMap<Wanted, Made>>,
}

type Wanted = (String, Option<Flaw>);

#[derive(Debug)]
struct Made {
    at: SystemTime,
    certificate: Arc<CertifiedKey>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("a key that was made cannot be used: {0}")]
    Key(#[from] rustls::Error),
}

impl Authority {
    /// A new one, whom nobody trusts yet.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> Result<Self, AuthorityError> {
        Self::of(KeyPair::generate()?)
    }

    /// The one that had this key: who trusted its certificate trusts this one's.
    ///
    /// # Errors
    /// When it is no key, in PEM.
    pub fn of_key(pem: &str) -> Result<Self, AuthorityError> {
        Self::of(KeyPair::from_pem(pem)?)
    }

    /// For the proxy that takes over from this one, and for nobody else.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    fn of(own: KeyPair) -> Result<Self, AuthorityError> {
        let mut params = CertificateParams::default();
        // Of two of the same name, a client that trusts the other would complain about a signature.
        let id = params.key_identifier(&own);
        let id: String = id
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = format!("Firedrill proxy {id}");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let now = SystemTime::now();
        last_from(&mut params, now - DAY, now + 10 * 365 * DAY);
        let pem = params.self_signed(&own)?.pem();
        let key = KeyPair::generate()?;
        let signing = any_ecdsa_type(&private(&key))?;
        Ok(Self {
            pem,
            issuer: Issuer::new(params, own),
            key,
            signing,
            made: Mutex::default(),
        })
    }

    /// Its certificate, for those who are to trust it.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for this name or address.
    ///
    /// # Errors
    /// When it is not a name that a certificate can hold.
    pub fn certificate(
        &self,
        name: &str,
        flaw: Option<Flaw>,
    ) -> Result<Arc<CertifiedKey>, AuthorityError> {
        let now = SystemTime::now();
        let wanted = (name.to_owned(), flaw);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = made.get(&wanted)
            && now.duration_since(kept.at).is_ok_and(|age| age < FRESH)
        {
            return Ok(Arc::clone(&kept.certificate));
        }
        let certificate = Arc::new(self.make(name, flaw, now)?);
        if made.len() >= KEPT {
            made.clear();
        }
        let at = now;
        let kept = Arc::clone(&certificate);
        made.insert(
            wanted,
            Made {
                at,
                certificate: kept,
            },
        );
        Ok(certificate)
    }

    fn make(
        &self,
        name: &str,
        flaw: Option<Flaw>,
        now: SystemTime,
    ) -> Result<CertifiedKey, AuthorityError> {
        let name = match flaw {
            Some(Flaw::WrongName) => NOBODY,
            _ => name,
        };
        let mut params = CertificateParams::new([name.to_owned()])?;
        // A common name holds 64 bytes at most; who verifies reads the other.
        let short = if name.len() <= 64 { name } else { "" };
        params.distinguished_name.push(DnType::CommonName, short);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match flaw {
            Some(Flaw::Expired) => last_from(&mut params, now - VALID, now - DAY),
            Some(Flaw::NotYetValid) => last_from(&mut params, now + DAY, now + VALID),
            _ => last_from(&mut params, now - DAY, now + VALID),
        }
        if flaw == Some(Flaw::SelfSigned) {
            // A key of its own: with the shared one, two of them would seem to be of one issuer.
            let key = KeyPair::generate()?;
            let certificate = params.self_signed(&key)?;
            let signing = any_ecdsa_type(&private(&key))?;
            return Ok(CertifiedKey::new(vec![certificate.der().clone()], signing));
        }
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.key, &self.issuer)?;
        let signing = Arc::clone(&self.signing);
        Ok(CertifiedKey::new(vec![certificate.der().clone()], signing))
    }
}

/// What a certificate is for when the client names nobody.
#[must_use]
pub fn name_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(_) => address.to_string(),
        IpAddr::V6(six) => six.to_canonical().to_string(),
    }
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

fn last_from(params: &mut CertificateParams, begin: SystemTime, end: SystemTime) {
    let epoch = date_time_ymd(1970, 1, 1);
    let time = |at: SystemTime| {
        let since = at.duration_since(SystemTime::UNIX_EPOCH);
        epoch + since.unwrap_or_default()
    };
    params.not_before = time(begin);
    params.not_after = time(end);
}
