//! The proxies, by name.

mod handshakes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address;
use super::answer::ApiError;
use super::check::{self, CheckSettings};
use super::endpoints::{Drain, EndpointView};
use super::split::{ArmsView, RequestsView, SplitWords};
use super::state::StateFile;
use super::tls::{self, TlsSettings};
use super::toxic::{NewToxic, Toxic, ToxicChange, faults, is_default};
use crate::arms::Arm;
use crate::counters::{Passed, Requests};
use crate::fabric::{Fabric, RouteConfig, RouteError};
use crate::message::Protocol;
use crate::route::{Faults, FlowLimits, Upstream};
use crate::tls::Tls;
use crate::tls::authority::Authority;
use crate::users::Counted;

/// How long a connection to an upstream may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// All proxies, and the fabric that they are routes of.
#[derive(Debug)]
pub struct Collection {
    fabric: Arc<Fabric>,
    proxies: Mutex<BTreeMap<String, Proxy>>,
    /// Made when a proxy first needs it.
    authority: OnceLock<Arc<Authority>>,
    zone: OnceLock<String>,
    state: OnceLock<StateFile>,
}

#[derive(Debug, Clone)]
struct Proxy {
    listen: String,
    upstream: String,
    protocol: Protocol,
    tls: Option<TlsSettings>,
    check: Option<CheckSettings>,
    enabled: bool,
    toxics: Vec<Toxic>,
    split: Option<SplitWords>,
}

/// A proxy as it is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProxyView {
    pub name: String,
    pub listen: String,
    pub upstream: String,
    /// Ours, and not told where it is none, as Toxiproxy would not.
    #[serde(skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckSettings>,
    pub enabled: bool,
    pub toxics: Vec<Toxic>,
    /// Ours: who is in which arm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitWords>,
}

/// A proxy to be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct NewProxy {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub listen: String,
    #[serde(default)]
    pub upstream: String,
    /// Ours: what its connections speak.
    #[serde(default)]
    pub protocol: Protocol,
    /// Ours: who is in which arm.
    #[serde(default)]
    pub split: Option<SplitWords>,
    /// Ours: what becomes of TLS.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Ours: how several places are checked.
    #[serde(default)]
    pub check: Option<CheckSettings>,
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// What may change of a proxy.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ProxyChange {
    #[serde(default)]
    pub listen: Option<String>,
    #[serde(default)]
    pub upstream: Option<String>,
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// What a population made.
#[derive(Debug, Clone, Serialize)]
pub struct Populated {
    pub proxies: Vec<ProxyView>,
}

impl Collection {
    #[must_use]
    pub fn new(fabric: Arc<Fabric>) -> Self {
        Self {
            fabric,
            proxies: Mutex::default(),
            authority: OnceLock::new(),
            zone: OnceLock::new(),
            state: OnceLock::new(),
        }
    }

    #[must_use]
    pub fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// From now on, what is answered is in this file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_in(&self, file: StateFile) -> Result<(), ApiError> {
        let proxies = self.proxies();
        let file = self.state.get_or_init(|| file);
        file.write(&views(&proxies))
            .map_err(|error| not_kept(&error))
    }

    pub fn all(&self) -> Vec<ProxyView> {
        let proxies = self.proxies();
        proxies
            .iter()
            .map(|(name, proxy)| proxy.view(name))
            .collect()
    }

    /// # Errors
    /// When there is none of this name.
    pub fn proxy(&self, name: &str) -> Result<ProxyView, ApiError> {
        let proxies = self.proxies();
        let proxy = proxies.get(name).ok_or(ApiError::ProxyNotFound)?;
        Ok(proxy.view(name))
    }

    /// What passed through a proxy since it was last enabled.
    pub fn passed(&self, name: &str) -> Option<Passed> {
        self.fabric.passed(name).ok()
    }

    /// # Errors
    /// When a field is missing or wrong, the name is taken, or the address cannot be listened on.
    pub fn create(&self, new: &NewProxy) -> Result<ProxyView, ApiError> {
        new.check("")?;
        tls::check(new.tls.as_ref(), new.protocol, &self.authority)?;
        let mut proxies = self.proxies();
        if proxies.contains_key(&new.name) {
            return Err(ApiError::ProxyExists);
        }
        let proxy = self.started(new)?;
        let view = proxy.view(&new.name);
        proxies.insert(new.name.clone(), proxy);
        self.keep(&proxies)?;
        Ok(view)
    }

    /// Makes these proxies, in the place of any that have their names and lead elsewhere.
    ///
    /// # Errors
    /// All are checked first; one that cannot be started then leaves those before it.
    pub fn populate(&self, all: &[NewProxy]) -> Result<Populated, ApiError> {
        for (at, new) in all.iter().enumerate() {
            new.check(&format!(" at proxy {}", at + 1))?;
            tls::check(new.tls.as_ref(), new.protocol, &self.authority)?;
        }
        let mut proxies = self.proxies();
        let mut made = Vec::new();
        for new in all {
            match self.put(&mut proxies, new) {
                Ok(view) => made.push(view),
                Err(error) => {
                    self.keep(&proxies)?;
                    return Err(ApiError::Populate {
                        source: Box::new(error),
                        proxies: made,
                    });
                }
            }
        }
        self.keep(&proxies)?;
        Ok(Populated { proxies: made })
    }

    fn put(
        &self,
        proxies: &mut BTreeMap<String, Proxy>,
        new: &NewProxy,
    ) -> Result<ProxyView, ApiError> {
        if let Some(old) = proxies.get(&new.name) {
            if old.is_as(new) {
                return Ok(old.view(&new.name));
            }
            self.stop(&new.name);
            proxies.remove(&new.name);
        }
        let proxy = self.started(new)?;
        let view = proxy.view(&new.name);
        proxies.insert(new.name.clone(), proxy);
        Ok(view)
    }

    /// # Errors
    /// When there is none of this name, or it cannot be as asked; then it is disabled.
    pub fn update(&self, name: &str, change: ProxyChange) -> Result<ProxyView, ApiError> {
        let mut proxies = self.proxies();
        let proxy = proxies.get_mut(name).ok_or(ApiError::ProxyNotFound)?;
        let listen = change.listen.unwrap_or_else(|| proxy.listen.clone());
        let upstream = change.upstream.unwrap_or_else(|| proxy.upstream.clone());
        let enabled = change.enabled.unwrap_or(proxy.enabled);
        address::to_listen(&listen)?;
        let tls = change.tls.or_else(|| proxy.tls.clone());
        let check = proxy.check.as_ref();
        check::reach(&upstream, None, check, proxy.protocol, tls.as_ref())?;
        tls::check(tls.as_ref(), proxy.protocol, &self.authority)?;
        let moved = listen != proxy.listen || upstream != proxy.upstream || tls != proxy.tls;
        if proxy.enabled && (moved || !enabled) {
            self.stop(name);
            proxy.enabled = false;
        }
        proxy.listen = listen;
        proxy.upstream = upstream;
        proxy.tls = tls;
        if enabled && !proxy.enabled {
            proxy.listen = self.start(name, proxy)?;
            proxy.enabled = true;
        }
        let view = proxy.view(name);
        self.keep(&proxies)?;
        Ok(view)
    }

    /// Divides the traffic of a proxy into arms, or lets it be whole again: at once, on the
    /// connections there are.
    ///
    /// # Errors
    /// When there is no such proxy, the split is wrong, or it is too much with those there are.
    pub fn divide(&self, name: &str, split: Option<SplitWords>) -> Result<ProxyView, ApiError> {
        let mut proxies = self.proxies();
        let proxy = proxies.get_mut(name).ok_or(ApiError::ProxyNotFound)?;
        let divided = Proxy {
            split,
            ..proxy.clone()
        };
        let faults = divided.faults()?;
        if divided.enabled {
            self.fabric.change(name, faults)?;
        }
        *proxy = divided;
        let view = proxy.view(name);
        self.keep(&proxies)?;
        Ok(view)
    }

    pub(super) fn requests(&self, name: &str, arm: Option<Arm>) -> Result<Requests, ApiError> {
        Ok(self.fabric.requests(name, arm)?)
    }

    /// The users of each arm, where they are counted.
    pub(super) fn users(&self, name: &str) -> Result<Option<Counted>, ApiError> {
        Ok(self.fabric.users(name)?)
    }

    /// Where the proxy is: endpoints in this zone are preferred, of proxies that are enabled from
    /// now on.
    pub fn be_in(&self, zone: &str) {
        self.zone.get_or_init(|| zone.to_owned());
    }

    /// The endpoints of a proxy that leads to several; none of one that leads to one.
    ///
    /// # Errors
    /// When there is no such proxy, or it is not enabled.
    pub fn endpoints(&self, name: &str) -> Result<Vec<EndpointView>, ApiError> {
        let states = self.fabric.endpoints(name)?.into_iter();
        Ok(states.map(EndpointView::from).collect())
    }

    /// Leads no connection to some endpoints any more, or leads them there again. Until the proxy is
    /// disabled: no file keeps it.
    ///
    /// # Errors
    /// When there is no such proxy or endpoint, or none would be left.
    pub fn drain(&self, name: &str, drain: Drain) -> Result<Vec<EndpointView>, ApiError> {
        let (which, drained) = drain.wanted()?;
        self.fabric.drain(name, &which, drained)?;
        self.endpoints(name)
    }

    /// What the requests of each arm got.
    ///
    /// # Errors
    /// When there is no such proxy, or it is not enabled.
    pub fn arms(&self, name: &str) -> Result<ArmsView, ApiError> {
        let of = |arm| {
            let requests = self.requests(name, arm);
            requests.map(|requests| RequestsView::from(&requests))
        };
        Ok(ArmsView {
            none: of(None)?,
            control: of(Some(Arm::Control))?,
            experiment: of(Some(Arm::Experiment))?,
        })
    }

    /// # Errors
    /// When there is none of this name, or the end of it cannot be kept.
    pub fn delete(&self, name: &str) -> Result<(), ApiError> {
        let mut proxies = self.proxies();
        proxies.remove(name).ok_or(ApiError::ProxyNotFound)?;
        self.stop(name);
        self.keep(&proxies)
    }

    /// Enables every proxy and takes every toxic and split away.
    ///
    /// # Errors
    /// When one cannot be enabled; the others are.
    pub fn reset(&self) -> Result<(), ApiError> {
        let mut proxies = self.proxies();
        let mut result = Ok(());
        for (name, proxy) in proxies.iter_mut() {
            proxy.toxics.clear();
            proxy.split = None;
            if proxy.enabled {
                self.apply(name, proxy);
                continue;
            }
            match self.start(name, proxy) {
                Ok(listen) => {
                    proxy.listen = listen;
                    proxy.enabled = true;
                }
                Err(error) => result = Err(error),
            }
        }
        result.and(self.keep(&proxies))
    }

    /// # Errors
    /// When there is no such proxy, the toxic is wrong, or its name is taken.
    pub fn add_toxic(&self, name: &str, new: NewToxic) -> Result<Toxic, ApiError> {
        let mut proxies = self.proxies();
        let proxy = proxies.get_mut(name).ok_or(ApiError::ProxyNotFound)?;
        let toxic = new.toxic()?;
        proxy.takes(&toxic)?;
        if proxy.toxics.iter().any(|other| other.name == toxic.name) {
            return Err(ApiError::ToxicExists);
        }
        proxy.toxics.push(toxic.clone());
        self.apply(name, proxy);
        self.keep(&proxies)?;
        Ok(toxic)
    }

    /// # Errors
    /// When there is no such proxy or toxic.
    pub fn toxic(&self, name: &str, toxic: &str) -> Result<Toxic, ApiError> {
        let view = self.proxy(name)?;
        let mut toxics = view.toxics.into_iter();
        toxics
            .find(|other| other.name == toxic)
            .ok_or(ApiError::ToxicNotFound)
    }

    /// # Errors
    /// When there is no such proxy or toxic, or the change is wrong.
    pub fn change_toxic(
        &self,
        name: &str,
        toxic: &str,
        change: ToxicChange,
    ) -> Result<Toxic, ApiError> {
        let mut proxies = self.proxies();
        let proxy = proxies.get_mut(name).ok_or(ApiError::ProxyNotFound)?;
        let mut toxics = proxy.toxics.iter_mut();
        let old = toxics.find(|other| other.name == toxic);
        let old = old.ok_or(ApiError::ToxicNotFound)?;
        *old = old.changed(change)?;
        let changed = old.clone();
        self.apply(name, proxy);
        self.keep(&proxies)?;
        Ok(changed)
    }

    /// # Errors
    /// When there is no such proxy or toxic.
    pub fn remove_toxic(&self, name: &str, toxic: &str) -> Result<(), ApiError> {
        let mut proxies = self.proxies();
        let proxy = proxies.get_mut(name).ok_or(ApiError::ProxyNotFound)?;
        let at = proxy.toxics.iter().position(|other| other.name == toxic);
        proxy.toxics.remove(at.ok_or(ApiError::ToxicNotFound)?);
        self.apply(name, proxy);
        self.keep(&proxies)
    }

    fn proxies(&self) -> MutexGuard<'_, BTreeMap<String, Proxy>> {
        self.proxies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what there is now, where that is wanted.
    fn keep(&self, proxies: &BTreeMap<String, Proxy>) -> Result<(), ApiError> {
        match self.state.get() {
            Some(file) => file
                .write(&views(proxies))
                .map_err(|error| not_kept(&error)),
            None => Ok(()),
        }
    }

    fn started(&self, new: &NewProxy) -> Result<Proxy, ApiError> {
        let mut proxy = Proxy {
            listen: new.listen.clone(),
            upstream: new.upstream.clone(),
            protocol: new.protocol,
            tls: new.tls.clone(),
            check: new.check.clone(),
            enabled: new.enabled.unwrap_or(true),
            toxics: Vec::new(),
            split: new.split.clone(),
        };
        if proxy.enabled {
            proxy.listen = self.start(&new.name, &proxy)?;
        }
        Ok(proxy)
    }

    /// Opens the route of a proxy; the address it listens on.
    fn start(&self, name: &str, proxy: &Proxy) -> Result<String, ApiError> {
        let config = RouteConfig {
            name: name.into(),
            listen: address::to_listen(&proxy.listen)?,
            upstream: proxy.reach(self.zone.get().map(String::as_str))?,
            connect_timeout: CONNECT_TIMEOUT,
            tls: proxy.tls(&self.authority)?,
            protocol: proxy.protocol,
            flows: FlowLimits::default(),
            faults: proxy.faults()?,
        };
        let bound = self.fabric.open(config)?;
        Ok(bound.to_string())
    }

    /// Closes the route of a proxy, if it has one.
    fn stop(&self, name: &str) {
        let _not_enabled = self.fabric.close(name);
    }

    /// Gives the toxics to the route, if there is one.
    fn apply(&self, name: &str, proxy: &Proxy) {
        // A split was checked before it became the proxy's.
        if let Ok(faults) = proxy.faults() {
            let _not_enabled = self.fabric.change(name, faults);
        }
    }
}

fn views(proxies: &BTreeMap<String, Proxy>) -> Vec<ProxyView> {
    let each = proxies.iter();
    each.map(|(name, proxy)| proxy.view(name)).collect()
}

fn not_kept(error: &std::io::Error) -> ApiError {
    ApiError::Internal {
        why: format!("it is done, but not kept for the next start: {error}"),
    }
}

impl NewProxy {
    /// What has to be there, and what has to be an address; `place` says which proxy it is.
    fn check(&self, place: &str) -> Result<(), ApiError> {
        for (field, value) in [("name", &self.name), ("upstream", &self.upstream)] {
            if value.is_empty() {
                return Err(ApiError::MissingField {
                    field: format!("{field}{place}"),
                });
            }
        }
        let (check, tls) = (self.check.as_ref(), self.tls.as_ref());
        check::reach(&self.upstream, None, check, self.protocol, tls).map(drop)
    }
}

impl Proxy {
    fn view(&self, name: &str) -> ProxyView {
        ProxyView {
            name: name.into(),
            listen: self.listen.clone(),
            upstream: self.upstream.clone(),
            protocol: self.protocol,
            tls: self.tls.clone(),
            check: self.check.clone(),
            enabled: self.enabled,
            toxics: self.toxics.clone(),
            split: self.split.clone(),
        }
    }

    /// Where it leads, seen from this zone.
    fn reach(&self, zone: Option<&str>) -> Result<Upstream, ApiError> {
        let (check, tls) = (self.check.as_ref(), self.tls.as_ref());
        check::reach(&self.upstream, zone, check, self.protocol, tls)
    }

    fn faults(&self) -> Result<Faults, ApiError> {
        let mut faults = faults(&self.toxics);
        let split = self.split.as_ref();
        let split = split.map(|split| split.split(self.protocol));
        faults.split = split.transpose()?;
        Ok(faults)
    }

    fn tls(&self, authority: &OnceLock<Arc<Authority>>) -> Result<Tls, ApiError> {
        let settings = self.tls.as_ref();
        settings.map_or(Ok(Tls::None), |settings| {
            settings.tls(self.protocol, authority)
        })
    }

    /// Whether it listens and leads where the new one would.
    fn is_as(&self, new: &NewProxy) -> bool {
        let listens = address::to_listen(&new.listen).map(|address| address.to_string());
        let same = self.listen == new.listen || listens.is_ok_and(|listen| listen == self.listen);
        same && self.upstream == new.upstream
            && self.tls == new.tls
            && self.check == new.check
            && self.protocol == new.protocol
            && self.enabled == new.enabled.unwrap_or(true)
    }

    /// Whether a toxic means something here.
    fn takes(&self, toxic: &Toxic) -> Result<(), ApiError> {
        let ends_tls = self.tls.as_ref().is_some_and(TlsSettings::terminates);
        if toxic.is_on_handshakes() && !ends_tls {
            let why = "there is no handshake to put this toxic on; make the proxy with \
                       \"tls\": {\"mode\": \"terminate\"}, or \"reencrypt\"";
            return Err(ApiError::body(why.into()));
        }
        let only = toxic.attributes.is_on_datagrams_only();
        if self.protocol != Protocol::Udp && only {
            let why = "this toxic is on datagrams; make the proxy with \"protocol\": \"udp\"";
            return Err(ApiError::body(why.into()));
        }
        if self.protocol == Protocol::Udp && toxic.attributes.on_datagrams().is_none() {
            let why = "this toxic is on streams, and the proxy's protocol is udp, where there is \
                       none";
            return Err(ApiError::body(why.into()));
        }
        match toxic.message() {
            Some(kind) if !kind.suits(self.protocol) => {
                let needed = kind.protocol();
                Err(ApiError::body(format!(
                    "this toxic is on {needed} messages, and the proxy's protocol is {}; make the \
                     proxy with \"protocol\": \"{needed}\"",
                    self.protocol
                )))
            }
            _ => Ok(()),
        }
    }
}

impl From<RouteError> for ApiError {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::TooMuch { .. } | RouteError::Drain(_) | RouteError::NoGroup { .. } => {
                Self::body(error.to_string())
            }
            RouteError::Unknown { .. } => Self::ProxyNotFound,
            RouteError::Listen { .. } | RouteError::Exists { .. } => Self::Internal {
                why: error.to_string(),
            },
        }
    }
}
