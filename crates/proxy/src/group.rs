//! Several endpoints behind one route: which of them a connection goes to, and what becomes of those
//! that do not answer or are not wanted.

mod check;
mod switch;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use check::Checker;
use switch::Switch;
pub use switch::{Endpoint, Refused, State, Which};

/// How endpoints are asked whether they are well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    /// From the end of one to the next.
    pub every: Duration,
    /// What takes longer has failed.
    pub limit: Duration,
    /// What is asked for by HTTP/1.1 in clear text, as `/health`; an answer from 200 to 399 is
    /// well. Without it a connection that is made is enough.
    pub path: Option<String>,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(2),
            limit: Duration::from_secs(1),
            path: None,
        }
    }
}

/// The endpoints of a route, shared by its connections.
#[derive(Debug)]
pub struct Group {
    switch: Mutex<Switch>,
    pub(crate) checks: Option<Checks>,
}

impl Group {
    /// `zone` is where the proxy is: endpoints there are preferred. Without checks an endpoint is
    /// known by its connections only.
    #[must_use]
    pub fn new(endpoints: Vec<Endpoint>, zone: Option<&str>, checks: Option<Checks>) -> Self {
        Self {
            switch: Mutex::new(Switch::new(endpoints, zone)),
            checks,
        }
    }

    /// Every endpoint, and how it is.
    #[must_use]
    pub fn states(&self) -> Vec<State> {
        self.switch().states(Instant::now())
    }

    /// No new connection goes there, or connections go there again.
    ///
    /// # Errors
    /// When nothing is meant, or nothing would be left.
    pub fn drain(&self, which: &Which, drained: bool) -> Result<(), Refused> {
        self.switch().drain(which, drained)
    }

    /// Addresses in the order in which they are to be tried. `draw` decides between equals.
    pub(crate) fn order(&self, now: Instant, draw: u64) -> Vec<SocketAddr> {
        self.switch().order(now, draw)
    }

    /// A connection is being made there; it lasts as long as the seat.
    pub(crate) fn dialled(self: &Arc<Self>, address: SocketAddr) -> Seat {
        self.switch().dialled(address);
        Seat {
            group: Arc::clone(self),
            address,
        }
    }

    pub(crate) fn failed(&self, address: SocketAddr, now: Instant) {
        self.switch().failed(address, now);
    }

    pub(crate) fn checked(&self, address: SocketAddr, well: bool) {
        self.switch().checked(address, well);
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.switch().addresses()
    }

    /// Whether connections to this endpoint are to end.
    pub(crate) fn is_drained(&self, address: SocketAddr) -> bool {
        self.switch().is_drained(address)
    }

    fn switch(&self) -> MutexGuard<'_, Switch> {
        self.switch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A group is itself, whatever others are like.
impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Group {}

/// A connection to an endpoint, or what is to be one.
#[derive(Debug)]
pub(crate) struct Seat {
    group: Arc<Group>,
    address: SocketAddr,
}

impl Seat {
    /// The connection is there.
    pub(crate) fn connected(&self) {
        self.group.switch().connected(self.address);
    }

    /// Whether no new connection would go where this one does.
    pub(crate) fn is_drained(&self) -> bool {
        self.group.is_drained(self.address)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.group.switch().closed(self.address);
    }
}
