//! Where connections come in and where they go: a name, a listener, an upstream and its faults.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::arms::{Arm, Arms, Member, Split};
use crate::chance::Chance;
use crate::counters::Counters;
use crate::datagram::{Budget, DatagramFault, Lane as FlowLane};
use crate::group::{Checker, Group};
use crate::message::{MessageFault, Protocol, Session};
use crate::stream::{Direction, Lane, StreamFault};
use crate::tls::Tls;
use crate::tls::failures::Told;
use crate::tls::flaw::{self, HandshakeFault};
use crate::users::{Census, Counted};

/// Where the connections of a route go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// Tried in this order.
    Addresses(Vec<SocketAddr>),
    /// One of these, by where they are and how they do.
    Group(Arc<Group>),
    /// Looked up for each connection, without holding up any other.
    Name { host: String, port: u16 },
    /// Where each connection was meant for before a rule of the kernel redirected it here. What is
    /// sent there has this mark, so that the rule lets it pass. Both peers of such a connection are
    /// sent a RST if this process is killed: neither knows that there is a proxy.
    Original { mark: u32 },
}

/// How many flows of datagrams a route has, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowLimits {
    /// One without a datagram for so long is over.
    pub idle: Duration,
    /// With as many as this, those go that were idle for longest.
    pub most: usize,
}

impl Default for FlowLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            most: 4096,
        }
    }
}

/// The faults of a route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    pub stream: Vec<StreamFault>,
    /// On routes whose protocol is known; on others they do nothing.
    pub messages: Vec<MessageFault>,
    /// Who is in which arm; nobody in any if there is none.
    pub split: Option<Split>,
    /// On new connections of routes that end TLS.
    pub handshakes: Vec<HandshakeFault>,
    /// On routes for datagrams, in the place of those on streams.
    pub datagrams: Vec<DatagramFault>,
}

impl From<Vec<StreamFault>> for Faults {
    fn from(stream: Vec<StreamFault>) -> Self {
        Self {
            stream,
            ..Self::default()
        }
    }
}

/// A route that is open. Shared by all workers.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) id: u64,
    pub(crate) listener: OwnedFd,
    pub(crate) upstream: Upstream,
    /// Asks the endpoints of a group how they are, as long as the route is there.
    _checker: Option<Checker>,
    pub(crate) connect_timeout: Duration,
    pub(crate) tls: Tls,
    pub(crate) counters: Counters,
    pub(crate) handshakes: Told,
    protocol: Protocol,
    pub(crate) flows: FlowLimits,
    chance: Chance,
    /// Of all routes of the proxy.
    shared: Chance,
    in_force: Mutex<InForce>,
    accepted: AtomicU64,
    /// What datagrams that wait may take.
    budget: Budget,
}

/// The faults of a route, and who counts the users under them.
#[derive(Debug, Clone)]
pub(crate) struct InForce {
    pub(crate) faults: Arc<Faults>,
    pub(crate) census: Option<Arc<Census>>,
    /// How many there were.
    censuses: u64,
}

/// What a route is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) id: u64,
    pub(crate) listener: OwnedFd,
    /// Connections that it accepted already, for somebody else.
    pub(crate) accepted: u64,
    pub(crate) upstream: Upstream,
    pub(crate) checker: Option<Checker>,
    pub(crate) connect_timeout: Duration,
    pub(crate) tls: Tls,
    pub(crate) protocol: Protocol,
    pub(crate) flows: FlowLimits,
    pub(crate) chance: Chance,
    /// Of all routes of the proxy.
    pub(crate) shared: Chance,
    pub(crate) faults: Faults,
}

/// Apart from the draws of the two directions.
const MESSAGES: u64 = 2;

impl Route {
    pub(crate) fn new(parts: Parts, workers: usize) -> Self {
        let in_force = InForce::new(parts.faults);
        in_force.begin();
        Self {
            id: parts.id,
            listener: parts.listener,
            upstream: parts.upstream,
            _checker: parts.checker,
            connect_timeout: parts.connect_timeout,
            tls: parts.tls,
            counters: Counters::new(workers),
            handshakes: Told::default(),
            protocol: parts.protocol,
            flows: parts.flows,
            chance: parts.chance,
            shared: parts.shared,
            in_force: Mutex::new(in_force),
            accepted: AtomicU64::new(parts.accepted),
            budget: Budget::default(),
        }
    }

    /// Whether its connections were redirected, and by what mark its own are spared that.
    pub(crate) fn mark(&self) -> Option<u32> {
        match self.upstream {
            Upstream::Original { mark } => Some(mark),
            Upstream::Addresses(_) | Upstream::Group(_) | Upstream::Name { .. } => None,
        }
    }

    /// How many connections have been accepted.
    pub(crate) fn connections(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The number of a new connection: the first is 0.
    pub(crate) fn next_connection(&self) -> u64 {
        self.accepted.fetch_add(1, Ordering::Relaxed)
    }

    /// The draws of a connection in one direction.
    pub(crate) fn chance(&self, connection: u64, direction: Direction) -> Chance {
        self.chance.of(connection).of(direction as u64)
    }

    pub(crate) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.lock().faults)
    }

    pub(crate) fn in_force(&self) -> InForce {
        self.lock().clone()
    }

    /// Every connection has to be told; then [`InForce::begin`] what is given back.
    pub(crate) fn set_faults(&self, faults: Faults) -> InForce {
        let mut now = self.lock();
        *now = now.followed_by(faults);
        now.clone()
    }

    fn lock(&self) -> MutexGuard<'_, InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The users of both arms, where they are counted.
    pub(crate) fn users(&self) -> Option<Counted> {
        let census = self.lock().census.clone()?;
        Some(census.counted(Instant::now()))
    }

    /// What understands a connection, where something does.
    pub(crate) fn session(
        &self,
        connection: u64,
        agreed: Option<&[u8]>,
    ) -> Option<Box<dyn Session>> {
        let chance = self.chance.of(connection).of(MESSAGES);
        let protocol = self.protocol.agreed(agreed);
        protocol.session(chance, &[])
    }

    /// What befalls the handshake of a connection.
    pub(crate) fn handshake_fault(
        &self,
        connection: u64,
        client: impl FnOnce() -> Option<IpAddr>,
    ) -> Option<flaw::Kind> {
        let faults = self.faults();
        let arm = self.arm_of(&faults, connection, client);
        let chance = |direction| self.chance(connection, direction);
        flaw::first(&faults.handshakes, arm, chance)
    }

    pub(crate) fn is_udp(&self) -> bool {
        self.protocol == Protocol::Udp
    }

    /// A lane of a flow of datagrams, without a fault.
    pub(crate) fn flow_lane(&self, flow: u64, direction: Direction, now: Instant) -> FlowLane {
        let chance = self.chance(flow, direction);
        FlowLane::new(chance, self.budget.clone(), &[], now)
    }

    /// The arm of a connection, or a flow, as a whole.
    pub(crate) fn arm_of(
        &self,
        faults: &Faults,
        number: u64,
        client: impl FnOnce() -> Option<IpAddr>,
    ) -> Option<Arm> {
        let member: Member = self.arms(faults)?.of_connection(number, client)?;
        Some(member.arm)
    }

    /// The split of the route.
    pub(crate) fn arms(&self, faults: &Faults) -> Option<Arms> {
        let split = faults.split.clone()?;
        Some(Arms::new(split, self.chance, self.shared))
    }

    /// A lane of a connection, without a fault.
    pub(crate) fn lane(&self, connection: u64, direction: Direction, now: Instant) -> Lane {
        Lane::new(self.chance(connection, direction), &[], now)
    }
}

impl InForce {
    fn new(faults: Faults) -> Self {
        let none = Self {
            faults: Arc::default(),
            census: None,
            censuses: 0,
        };
        none.followed_by(faults)
    }

    /// Users are counted anew where the arms have other faults than before, or are others.
    fn followed_by(&self, faults: Faults) -> Self {
        let epoch = faults.split.as_ref().and_then(|split| split.users);
        let alike = self.faults.treats_arms_as(&faults);
        let (census, censuses) = match (epoch, &self.census) {
            (None, _) => (None, self.censuses),
            (Some(_), Some(census)) if alike => (Some(Arc::clone(census)), self.censuses),
            (Some(epoch), _) => {
                let run = self.censuses + 1;
                (Some(Arc::new(Census::new(run, epoch))), run)
            }
        };
        Self {
            faults: Arc::new(faults),
            census,
            censuses,
        }
    }

    /// Users may be counted: nobody has the faults of before any more.
    pub(crate) fn begin(&self) {
        if let Some(census) = &self.census {
            census.begin(Instant::now());
        }
    }
}

impl Faults {
    /// Whether the arms are the same, and each has the same faults of its own.
    fn treats_arms_as(&self, other: &Self) -> bool {
        fn own<T>(all: &[T], arm: fn(&T) -> Option<Arm>) -> Vec<&T> {
            all.iter().filter(|fault| arm(fault).is_some()).collect()
        }
        self.split == other.split
            && own(&self.stream, |one| one.arm) == own(&other.stream, |one| one.arm)
            && own(&self.messages, |one| one.arm) == own(&other.messages, |one| one.arm)
            && own(&self.handshakes, |one| one.arm) == own(&other.handshakes, |one| one.arm)
            && own(&self.datagrams, |one| one.arm) == own(&other.datagrams, |one| one.arm)
    }

    /// Those on the stream in this direction, of a connection in this arm.
    pub(crate) fn on_stream(&self, direction: Direction, arm: Option<Arm>) -> Vec<&StreamFault> {
        let mine = self.stream.iter().filter(|fault| {
            fault.direction == direction && (fault.arm.is_none() || fault.arm == arm)
        });
        mine.collect()
    }

    /// Those on the datagrams in this direction, of a flow in this arm.
    pub(crate) fn on_datagrams(
        &self,
        direction: Direction,
        arm: Option<Arm>,
    ) -> Vec<&DatagramFault> {
        let mine = self.datagrams.iter().filter(|fault| {
            fault.direction == direction && (fault.arm.is_none() || fault.arm == arm)
        });
        mine.collect()
    }

    /// Those on the messages of a connection in this arm. Where each request has an arm of its own,
    /// they say still for which they are.
    pub(crate) fn on_messages(&self, arm: Option<Arm>) -> Vec<MessageFault> {
        let split = self.split.as_ref();
        let of_requests = split.is_some_and(|split| split.by.is_of_requests());
        if of_requests {
            return self.messages.clone();
        }
        let mine = self.messages.iter();
        let mine = mine.filter(|fault| fault.arm.is_none() || fault.arm == arm);
        let mine = mine
            .cloned()
            .map(|fault| MessageFault { arm: None, ..fault });
        mine.collect()
    }
}
