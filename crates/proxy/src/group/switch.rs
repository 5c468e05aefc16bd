//! Who gets the next connection. Pure: times and draws come from outside.
//!
//! An endpoint is passed over while it is drained, while its checks fail, and for a time after
//! connections to it failed in a row (outlier ejection). Of the others those in the proxy's own zone
//! come first, and of these the one with the fewest connections. If none is left, those that fail
//! are tried all the same: a check can be wrong, and there is nothing to lose.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Connections that fail in a row until an endpoint is left alone for a while.
const FAILURES: u32 = 3;

/// For how long, the first time; doubled each time it fails again at once.
const EJECTED: Duration = Duration::from_secs(10);
const EJECTED_MOST: Duration = Duration::from_secs(300);

/// Checks in a row that change what is thought of an endpoint.
const CHECKS: u32 = 2;

/// Where connections can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub zone: Option<String>,
}

/// Some endpoints of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    Zone(String),
    Address(SocketAddr),
}

/// How an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub endpoint: Endpoint,
    pub drained: bool,
    /// What its checks say; nothing if there are none yet.
    pub well: Option<bool>,
    /// For how long it is left alone, because connections to it failed.
    pub ejected: Option<Duration>,
    /// Those that are there, and those that are being made.
    pub connections: usize,
    /// All that were ever made.
    pub connections_total: u64,
}

/// Why endpoints are not drained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no endpoint {0}")]
    NoEndpoint(SocketAddr),
    #[error("there is no endpoint in a zone {0}")]
    NoZone(String),
    #[error("no endpoint would be left")]
    NothingLeft,
}

#[derive(Debug)]
pub(super) struct Switch {
    zone: Option<String>,
    drained_zones: BTreeSet<String>,
    drained: BTreeSet<SocketAddr>,
    seats: Vec<Seats>,
}

/// An endpoint, and what is known of it.
#[derive(Debug)]
struct Seats {
    endpoint: Endpoint,
    /// With those that are being made: who does not answer is not free because of that.
    connections: usize,
    made: u64,
    /// In a row.
    failures: u32,
    ejections: u32,
    until: Option<Instant>,
    well: Option<bool>,
    /// Checks in a row that say otherwise than `well`.
    otherwise: u32,
}

impl Switch {
    pub(super) fn new(endpoints: Vec<Endpoint>, zone: Option<&str>) -> Self {
        let seats = endpoints.into_iter().map(|endpoint| Seats {
            endpoint,
            connections: 0,
            made: 0,
            failures: 0,
            ejections: 0,
            until: None,
            well: None,
            otherwise: 0,
        });
        Self {
            zone: zone.map(str::to_owned),
            drained_zones: BTreeSet::new(),
            drained: BTreeSet::new(),
            seats: seats.collect(),
        }
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.seats.iter().map(|one| one.endpoint.address).collect()
    }

    pub(super) fn states(&self, now: Instant) -> Vec<State> {
        let states = self.seats.iter().map(|one| State {
            endpoint: one.endpoint.clone(),
            drained: self.drains(&one.endpoint),
            well: one.well,
            ejected: one.ejected(now),
            connections: one.connections,
            connections_total: one.made,
        });
        states.collect()
    }

    /// Everyone who may be tried, best first.
    pub(super) fn order(&self, now: Instant, draw: u64) -> Vec<SocketAddr> {
        let count = self.seats.len().max(1);
        let mut ranked: Vec<_> = self
            .seats
            .iter()
            .enumerate()
            .filter(|(_, one)| !self.drains(&one.endpoint))
            .map(|(at, one)| {
                let fails = one.well == Some(false) || one.ejected(now).is_some();
                let far = self.zone.is_some() && one.endpoint.zone != self.zone;
                let turn = (at + draw as usize % count) % count;
                ((fails, far, one.connections, turn), one.endpoint.address)
            })
            .collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, address)| address).collect()
    }

    /// A connection is being made. It is [`closed`](Self::closed) when it ends, made or not.
    pub(super) fn dialled(&mut self, address: SocketAddr) {
        if let Some(one) = self.seat(address) {
            one.connections += 1;
        }
    }

    pub(super) fn connected(&mut self, address: SocketAddr) {
        if let Some(one) = self.seat(address) {
            one.made += 1;
            (one.failures, one.ejections, one.until) = (0, 0, None);
        }
    }

    pub(super) fn closed(&mut self, address: SocketAddr) {
        if let Some(one) = self.seat(address) {
            one.connections -= 1;
        }
    }

    pub(super) fn failed(&mut self, address: SocketAddr, now: Instant) {
        let gone = |one: &&Seats| one.ejected(now).is_some();
        let ejected = self.seats.iter().filter(gone).count();
        // What fails everywhere is not theirs: at most half are left alone.
        let may = (ejected + 1) * 2 <= self.seats.len();
        let Some(one) = self.seat(address) else {
            return;
        };
        one.failures += 1;
        if one.failures >= FAILURES && may && one.ejected(now).is_none() {
            let time = EJECTED * 2_u32.saturating_pow(one.ejections.min(10));
            one.until = Some(now + time.min(EJECTED_MOST));
            one.ejections += 1;
            // Once it is tried again, one more failure is enough.
            one.failures = FAILURES - 1;
        }
    }

    pub(super) fn checked(&mut self, address: SocketAddr, well: bool) {
        let Some(one) = self.seat(address) else {
            return;
        };
        if one.well == Some(well) {
            one.otherwise = 0;
            return;
        }
        one.otherwise += 1;
        // The first says how it is.
        if one.well.is_none() || one.otherwise >= CHECKS {
            one.well = Some(well);
            one.otherwise = 0;
        }
    }

    pub(super) fn drain(&mut self, which: &Which, drained: bool) -> Result<(), Refused> {
        let (zones, addresses) = (self.drained_zones.clone(), self.drained.clone());
        match which {
            Which::Zone(zone) => {
                let mut all = self.seats.iter();
                if !all.any(|one| one.endpoint.zone.as_ref() == Some(zone)) {
                    return Err(Refused::NoZone(zone.clone()));
                }
                set(&mut self.drained_zones, zone.clone(), drained);
            }
            Which::Address(address) => {
                if self.seat(*address).is_none() {
                    return Err(Refused::NoEndpoint(*address));
                }
                set(&mut self.drained, *address, drained);
            }
        }
        if drained && self.seats.iter().all(|one| self.drains(&one.endpoint)) {
            (self.drained_zones, self.drained) = (zones, addresses);
            return Err(Refused::NothingLeft);
        }
        Ok(())
    }

    pub(super) fn is_drained(&self, address: SocketAddr) -> bool {
        let mut all = self.seats.iter();
        all.any(|one| one.endpoint.address == address && self.drains(&one.endpoint))
    }

    fn drains(&self, endpoint: &Endpoint) -> bool {
        let zone = endpoint.zone.as_ref();
        self.drained.contains(&endpoint.address)
            || zone.is_some_and(|zone| self.drained_zones.contains(zone))
    }

    fn seat(&mut self, address: SocketAddr) -> Option<&mut Seats> {
        let mut all = self.seats.iter_mut();
        all.find(|one| one.endpoint.address == address)
    }
}

impl Seats {
    fn ejected(&self, now: Instant) -> Option<Duration> {
        let left = self.until?.checked_duration_since(now)?;
        (!left.is_zero()).then_some(left)
    }
}

fn set<T: Ord>(all: &mut BTreeSet<T>, one: T, is_in: bool) {
    if is_in {
        all.insert(one);
    } else {
        all.remove(&one);
    }
}

#[cfg(test)]
mod tests;
