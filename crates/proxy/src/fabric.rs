//! The proxy as its users see it: routes that are opened, changed, looked at and closed while
//! connections run through them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};

use crate::arms::Arm;
use crate::chance::Chance;
use crate::counters::{Passed, Requests};
use crate::group::{Checker, Refused, State, Which};
use crate::handover::Inherited;
use crate::message::Protocol;
use crate::reactor::{self, Handle, Order, congestion};
use crate::route::{Faults, FlowLimits, Parts, Route, Upstream};
use crate::tls::Tls;
use crate::tls::failures::Failures;
use crate::users::Counted;

/// Draws that all routes share; a route's own begin with how long its name is.
const SHARED: u64 = u64::MAX;

/// How many connections wait to be accepted, at most (as far as `net.core.somaxconn` goes).
const BACKLOG: i32 = 4096;

/// How the data plane is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads; a core each is what they use at most.
    pub threads: usize,
    /// Where decisions come from: the same seed and the same connections give the same.
    pub seed: u64,
    /// The share of the traffic that may be in arms, over all splits together: 0 to 1.
    pub arms_most: f64,
    /// How long a thread with nothing to do looks for more before it sleeps. Zero spares processors;
    /// some tens of microseconds spare a single connection the time that waking one takes.
    pub busy_poll: Duration,
}

/// As little as a canary needs, mostly.
pub const ARMS_MOST: f64 = 0.1;

/// Where a route listens and where it leads.
#[derive(Debug, Clone)]
pub struct RouteConfig {
    pub name: String,
    /// With port 0 the system chooses one.
    pub listen: SocketAddr,
    pub upstream: Upstream,
    /// How long a connection to the upstream may take to be made.
    pub connect_timeout: Duration,
    pub tls: Tls,
    pub protocol: Protocol,
    /// Where the protocol is [`Protocol::Udp`].
    pub flows: FlowLimits,
    pub faults: Faults,
}

/// Why a route is not there, or not as asked.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("there is a route {name} already")]
    Exists { name: String },
    #[error("{0}")]
    Drain(#[from] Refused),
    #[error("{name} leads to one place; there is nowhere else to go")]
    NoGroup { name: String },
    #[error("there is no route {name}")]
    Unknown { name: String },
    #[error(
        "with this split {:.2} % of the traffic would be in arms, over all routes; {:.2} % may be",
        asked * 100.0,
        most * 100.0
    )]
    TooMuch { asked: f64, most: f64 },
}

/// What becomes of endpoints, and of the connections to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    No,
    /// The connections that are there end when they end.
    Yes,
    /// They are reset.
    AndReset,
}

/// A running data plane. Dropped, it resets what is open.
#[derive(Debug)]
pub struct Fabric {
    seed: u64,
    arms_most: f64,
    workers: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    routes: Mutex<BTreeMap<String, Arc<Route>>>,
    next: AtomicU64,
    /// Listeners of an older proxy, for the routes that are to have them.
    inherited: Mutex<Vec<Inherited>>,
}

impl Fabric {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system has no threads or descriptors for it.
    pub fn start(options: &Options) -> std::io::Result<Self> {
        let (workers, threads) = reactor::start(options.threads.max(1), options.busy_poll)?;
        Ok(Self {
            seed: options.seed,
            arms_most: options.arms_most,
            workers,
            threads,
            routes: Mutex::default(),
            next: AtomicU64::new(0),
            inherited: Mutex::default(),
        })
    }

    /// Opens a route; the address it listens on.
    ///
    /// # Errors
    /// When the name is taken, or the address cannot be listened on.
    pub fn open(&self, config: RouteConfig) -> Result<SocketAddr, RouteError> {
        let mut routes = self.routes();
        if routes.contains_key(&config.name) {
            return Err(RouteError::Exists { name: config.name });
        }
        self.check_split(&routes, &config.name, &config.faults)?;
        let address = config.listen;
        let failed = |source| RouteError::Listen { address, source };
        let one_version = matches!(config.upstream, Upstream::Original { .. });
        let inherited = self.inherited(&config.name, address);
        let accepted = inherited.as_ref().map_or(0, |one| one.accepted);
        let listener = match (inherited, config.protocol) {
            (Some(inherited), _) => Ok((inherited.listener, address)),
            (None, Protocol::Udp) => bind(address),
            (None, _) => listen(address, one_version),
        };
        let (listener, bound) = listener.map_err(failed)?;
        if config.protocol != Protocol::Udp {
            congestion::suit(&listener, bound);
        }
        let checker = match &config.upstream {
            // A connection says nothing of who takes datagrams.
            Upstream::Group(group) if config.protocol != Protocol::Udp => {
                let checks = group.checks.clone();
                checks.map(|checks| Checker::start(group, checks))
            }
            _ => None,
        };
        let parts = Parts {
            checker: checker.transpose().map_err(failed)?,
            id: self.next.fetch_add(1, Ordering::Relaxed),
            listener,
            accepted,
            upstream: config.upstream,
            connect_timeout: config.connect_timeout,
            tls: config.tls,
            chance: Chance::new(self.seed).named(&config.name),
            shared: Chance::new(self.seed).of(SHARED),
            protocol: config.protocol,
            flows: config.flows,
            faults: config.faults,
        };
        let route = Arc::new(Route::new(parts, self.workers.len()));
        // One worker hears all datagrams of a route: two would put those of a client out of order.
        let only = route.id as usize % self.workers.len();
        for (number, worker) in self.workers.iter().enumerate() {
            if number == only || !route.is_udp() {
                worker.tell(Order::Open(Arc::clone(&route)));
            }
        }
        routes.insert(config.name, route);
        Ok(bound)
    }

    /// Gives a route these faults, on the connections it has as on those that come. Returns when
    /// all of them have it.
    ///
    /// # Errors
    /// When there is no such route, or too much would be in arms.
    pub fn change(&self, name: &str, faults: impl Into<Faults>) -> Result<(), RouteError> {
        let faults = faults.into();
        let (route, in_force) = {
            let routes = self.routes();
            let unknown = || RouteError::Unknown { name: name.into() };
            let route = routes.get(name).ok_or_else(unknown)?;
            self.check_split(&routes, name, &faults)?;
            (Arc::clone(route), route.set_faults(faults))
        };
        self.tell_all(|done| Order::Change {
            route: route.id,
            done,
        });
        in_force.begin();
        Ok(())
    }

    /// Closes a route and resets its connections. Returns when its address is free again.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn close(&self, name: &str) -> Result<(), RouteError> {
        let unknown = || RouteError::Unknown { name: name.into() };
        let route = self.routes().remove(name).ok_or_else(unknown)?;
        self.tell_all(|done| Order::Close {
            route: route.id,
            done,
        });
        Ok(())
    }

    /// What passed through a route.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn passed(&self, name: &str) -> Result<Passed, RouteError> {
        self.route(name).map(|route| route.counters.passed())
    }

    /// Handshakes of a route that came to nothing, and why.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn failed_handshakes(&self, name: &str) -> Result<Failures, RouteError> {
        self.route(name).map(|route| route.handshakes.all())
    }

    /// The endpoints of a route, and how they are; none if it leads to one place only.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn endpoints(&self, name: &str) -> Result<Vec<State>, RouteError> {
        match &self.route(name)?.upstream {
            Upstream::Group(group) => Ok(group.states()),
            _ => Ok(Vec::new()),
        }
    }

    /// Leads no new connection to some endpoints of a route, or leads them there again. Those that
    /// are there stay, unless they are to be reset; then it returns when they have been.
    ///
    /// # Errors
    /// When there is no such route, it has no such endpoints, or none would be left.
    pub fn drain(&self, name: &str, which: &Which, drained: Drained) -> Result<(), RouteError> {
        let route = self.route(name)?;
        let Upstream::Group(group) = &route.upstream else {
            return Err(RouteError::NoGroup { name: name.into() });
        };
        group.drain(which, drained != Drained::No)?;
        if drained == Drained::AndReset {
            self.tell_all(|done| Order::Leave {
                route: route.id,
                done,
            });
        }
        Ok(())
    }

    /// The requests of a route that were in this arm, or in none.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn requests(&self, name: &str, arm: Option<Arm>) -> Result<Requests, RouteError> {
        self.route(name).map(|route| route.counters.requests(arm))
    }

    /// The users of a route's arms; none where they are not counted.
    ///
    /// # Errors
    /// When there is no such route.
    pub fn users(&self, name: &str) -> Result<Option<Counted>, RouteError> {
        self.route(name).map(|route| route.users())
    }

    fn route(&self, name: &str) -> Result<Arc<Route>, RouteError> {
        let unknown = || RouteError::Unknown { name: name.into() };
        self.routes().get(name).cloned().ok_or_else(unknown)
    }

    /// Listens with these where routes of their names and addresses are opened.
    pub fn inherit(&self, listeners: Vec<Inherited>) {
        *self.inheritance() = listeners;
    }

    fn inherited(&self, name: &str, address: SocketAddr) -> Option<Inherited> {
        let mut all = self.inheritance();
        let here = |one: &Inherited| {
            let bound = rustix::net::getsockname(&one.listener);
            one.name == name && bound.and_then(SocketAddr::try_from) == Ok(address)
        };
        let at = all.iter().position(here)?;
        Some(all.swap_remove(at))
    }

    fn inheritance(&self) -> MutexGuard<'_, Vec<Inherited>> {
        let all = self.inherited.lock();
        all.unwrap_or_else(PoisonError::into_inner)
    }

    /// The listeners of all routes, to go over to another proxy.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn listeners(&self) -> std::io::Result<Vec<Inherited>> {
        let routes = self.routes();
        let all = routes.iter().map(|(name, route)| {
            Ok(Inherited {
                name: name.clone(),
                listener: route.listener.try_clone()?,
                accepted: route.connections(),
            })
        });
        all.collect()
    }

    /// Accepts nothing on any route from now on; what is open goes on.
    pub fn accept_no_more(&self) {
        self.tell_all(|done| Order::AcceptNoMore { done });
    }

    /// Accepts nothing more, and listens no more: who comes now is refused. Not for listeners that
    /// another proxy has too.
    pub fn listen_no_more(&self) {
        self.accept_no_more();
        for route in self.routes().values() {
            // A socket for datagrams has nothing to end, and says so.
            let _not_tcp = rustix::net::shutdown(&route.listener, Shutdown::Both);
        }
    }

    /// Connections that are open, on all routes.
    #[must_use]
    pub fn open_connections(&self) -> u64 {
        let routes = self.routes();
        let open = routes.values().map(|route| route.counters.passed().open);
        open.sum()
    }

    /// Whether all splits together stay below what may be in arms when this route has these faults.
    fn check_split(
        &self,
        routes: &BTreeMap<String, Arc<Route>>,
        name: &str,
        faults: &Faults,
    ) -> Result<(), RouteError> {
        let Some(split) = &faults.split else {
            return Ok(());
        };
        let others = routes.iter().filter(|(other, _)| *other != name);
        let others = others.filter_map(|(_, route)| Some(route.faults().split.as_ref()?.total()));
        let asked = others.sum::<f64>() + split.total();
        // Sums of shares are not exact.
        if asked > self.arms_most + 1e-9 {
            let most = self.arms_most;
            return Err(RouteError::TooMuch { asked, most });
        }
        Ok(())
    }

    fn routes(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Route>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells every worker, and waits until each has done it.
    fn tell_all(&self, order: impl Fn(std::sync::mpsc::SyncSender<()>) -> Order) {
        let (done, each) = sync_channel(self.workers.len());
        for worker in &self.workers {
            worker.tell(order(done.clone()));
        }
        drop(done);
        // It ends with the last sender, a worker that is gone included.
        each.iter().for_each(drop);
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.tell(Order::Stop);
        }
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

/// Bytes of datagrams that wait to be read, as far as `net.core.rmem_max` goes.
const UDP_BUFFER: usize = 4 << 20;

fn bind(address: SocketAddr) -> std::io::Result<(OwnedFd, SocketAddr)> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    // Without SO_REUSEADDR, with which another could take the datagrams away.
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, UDP_BUFFER)?;
    rustix::net::bind(&socket, &address)?;
    let bound = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
    Ok((socket, bound))
}

/// `one_version`: an IPv6 listener takes no IPv4 connections.
fn listen(address: SocketAddr, one_version: bool) -> std::io::Result<(OwnedFd, SocketAddr)> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    if one_version && address.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    let bound = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
    Ok((socket, bound))
}
