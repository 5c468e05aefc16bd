//! Datagrams: who sends from one address has a flow, with a socket of its own to the upstream.
//!
//! Where a socket takes no more, a datagram is lost, as it would be in a router: nobody waits.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::{Entry, Token, Worker};
use crate::counters::OfWorker;
use crate::datagram::Lane;
use crate::reactor::connection::Next;
use crate::route::{Route, Upstream};
use crate::stream::Direction;

/// Datagrams of one socket in a row, after which others have their turn.
const TURN: usize = 64;
/// More than a datagram can be.
const DATAGRAM: usize = 64 << 10;
/// A message about an earlier datagram is told once; what comes again is about this one.
const TRIES: usize = 3;
/// Datagrams that wait for the address of the upstream, after which they are lost.
const EARLY: usize = 64;

/// What one client sends, and what comes back for it.
#[derive(Debug)]
pub(super) struct Flow {
    route: Arc<Route>,
    listener: usize,
    /// On its route.
    number: u64,
    ticket: u64,
    client: SocketAddr,
    /// Not there before its address is known.
    upstream: Option<OwnedFd>,
    lanes: [Lane; 2],
    /// When the last datagram came, from either side.
    last: Instant,
    /// The next time at which a timer will come to it.
    woken: Option<Instant>,
}

impl Flow {
    pub(super) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub(super) fn listener(&self) -> usize {
        self.listener
    }

    pub(super) fn client(&self) -> SocketAddr {
        self.client
    }

    /// The time that a timer has to be set for, unless one is set that comes no later.
    pub(super) fn wake(&mut self, due: Option<Instant>, now: Instant) -> Option<Instant> {
        let due = due?;
        if self.woken.is_some_and(|woken| woken > now && woken <= due) {
            return None;
        }
        self.woken = Some(due);
        Some(due)
    }

    /// The faults of the route are others now.
    pub(super) fn change(&mut self, now: Instant) {
        let faults = self.route.faults();
        let client = || Some(self.client.ip());
        let arm = self.route.arm_of(&faults, self.number, client);
        for direction in [Direction::Upstream, Direction::Downstream] {
            let mine = faults.on_datagrams(direction, arm);
            self.lanes[direction as usize].change(&mine, now);
        }
    }

    /// Takes what came from its client.
    fn came(&mut self, bytes: &[u8], now: Instant, counters: &OfWorker) {
        self.last = now;
        self.pass(Direction::Upstream, bytes, now, counters);
    }

    /// Sends on what is due, and takes what came from the upstream.
    pub(super) fn pump(&mut self, now: Instant, buffer: &mut [u8], worker: usize) -> Next {
        let route = Arc::clone(&self.route);
        let counters = route.counters.of(worker);
        let mut again = false;
        for turn in 1..=TURN {
            match self.receive(&mut buffer[..DATAGRAM]) {
                Some(length) => {
                    self.last = now;
                    self.pass(Direction::Downstream, &buffer[..length], now, counters);
                    again = turn == TURN;
                }
                None => break,
            }
        }
        for direction in [Direction::Upstream, Direction::Downstream] {
            self.send_due(direction, now, counters);
        }
        let due = self.lanes.iter().filter_map(Lane::due).min();
        let over = self.last + route.flows.idle;
        match due {
            _ if again => Next::Again,
            None if now >= over => Next::Over,
            due => Next::Wait(Some(due.unwrap_or(over))),
        }
    }

    /// One datagram through its lane, or past it.
    fn pass(&mut self, direction: Direction, bytes: &[u8], now: Instant, counters: &OfWorker) {
        counters.received[direction as usize].add(bytes.len() as u64);
        if self.lanes[direction as usize].is_clear() && self.upstream.is_some() {
            self.send(direction, bytes, counters);
            self.lanes[direction as usize].passed();
            return;
        }
        let lane = &mut self.lanes[direction as usize];
        if self.upstream.is_some() || lane.ready() < EARLY {
            lane.push(Bytes::copy_from_slice(bytes), now);
        }
        self.send_due(direction, now, counters);
    }

    fn send_due(&mut self, direction: Direction, now: Instant, counters: &OfWorker) {
        while self.upstream.is_some()
            && let Some(bytes) = self.lanes[direction as usize].pull(now)
        {
            self.send(direction, &bytes, counters);
        }
    }

    fn send(&self, direction: Direction, bytes: &[u8], counters: &OfWorker) {
        let sent = retried(|| match (direction, &self.upstream) {
            (Direction::Upstream, Some(upstream)) => {
                rustix::net::send(upstream, bytes, SendFlags::NOSIGNAL)
            }
            (Direction::Upstream, None) => Ok(0),
            (Direction::Downstream, _) => {
                let flags = SendFlags::NOSIGNAL;
                rustix::net::sendto(&self.route.listener, bytes, flags, &self.client)
            }
        });
        if let Ok(length) = sent {
            counters.sent[direction as usize].add(length as u64);
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        let upstream = self.upstream.as_ref()?;
        let received = retried(|| {
            let received = rustix::net::recv(upstream, &mut *buffer, RecvFlags::empty());
            received.map(|(length, _)| length)
        });
        received.ok()
    }
}

/// Does it again when a signal came, or an ICMP message about an earlier datagram, of which nobody
/// can be told.
fn retried<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let mut last = call();
    for _ in 0..TRIES {
        match last {
            Err(Errno::INTR | Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH) => {
                last = call();
            }
            _ => break,
        }
    }
    last
}

impl Worker {
    /// Takes what came to a listener.
    pub(super) fn receive(&mut self, listener: usize, route: &Arc<Route>, now: Instant) {
        for _ in 0..TURN {
            let buffer = &mut self.buffer[..DATAGRAM];
            let flags = RecvFlags::empty();
            let received = retried(|| rustix::net::recvfrom(&route.listener, &mut *buffer, flags));
            let Ok((length, _, Some(from))) = received else {
                return;
            };
            let Ok(client) = SocketAddr::try_from(from) else {
                continue;
            };
            let known = self.listeners[listener].flows.get(&client).copied();
            let key = known.unwrap_or_else(|| self.open_flow(listener, route, client, now));
            if let Some(Entry::Flow(flow)) = self.entries.get_mut(key) {
                let counters = route.counters.of(self.number);
                flow.came(&self.buffer[..length], now, counters);
                let due = flow.lanes.iter().filter_map(Lane::due).min();
                if let Some(at) = flow.wake(due, now) {
                    self.timers.add(at, key);
                }
            }
        }
    }

    fn open_flow(
        &mut self,
        listener: usize,
        route: &Arc<Route>,
        client: SocketAddr,
        now: Instant,
    ) -> usize {
        if self.listeners[listener].flows.len() >= route.flows.most {
            self.end_idlest(listener, None);
        }
        route.counters.of(self.number).opened.add(1);
        let number = route.next_connection();
        let lane = |direction| route.flow_lane(number, direction, now);
        self.tickets += 1;
        let mut flow = Box::new(Flow {
            route: Arc::clone(route),
            listener,
            number,
            ticket: self.tickets,
            client,
            upstream: None,
            lanes: [lane(Direction::Upstream), lane(Direction::Downstream)],
            last: now,
            woken: None,
        });
        flow.change(now);
        let key = self.entries.insert(Entry::Flow(flow));
        self.listeners[listener].flows.insert(client, key);
        self.timers.add(now + route.flows.idle, key);
        match route.upstream.clone() {
            Upstream::Addresses(addresses) => self.lead(key, self.tickets, &addresses, now),
            Upstream::Group(group) => {
                let order = group.order(now, self.tickets);
                self.lead(key, self.tickets, &order, now);
            }
            Upstream::Name { host, port } => self.look_up(key, host, port),
            Upstream::Original { .. } => {
                let meant = self.tracking.meant_for(&route.listener, client);
                self.lead(key, self.tickets, meant.as_slice(), now);
            }
        }
        key
    }

    /// The addresses of a flow's upstream are known.
    pub(super) fn lead(&mut self, key: usize, ticket: u64, addresses: &[SocketAddr], now: Instant) {
        let Some(Entry::Flow(flow)) = self.entries.get_mut(key) else {
            return;
        };
        if flow.ticket != ticket {
            return;
        }
        let (listener, mark) = (flow.listener, flow.route.mark());
        let connected = self.connected_to((addresses, mark), listener, key);
        let Some(Entry::Flow(flow)) = self.entries.get_mut(key) else {
            return;
        };
        let data = Token::Side { key, side: 1 }.data();
        let flags = EventFlags::IN | EventFlags::ET;
        match connected {
            Some(socket) if epoll::add(&self.epoll, &socket, data, flags).is_ok() => {
                flow.upstream = Some(socket);
                self.pump(key, now);
            }
            _ => {
                flow.route.counters.of(self.number).failed.add(1);
                self.end(key);
            }
        }
    }

    /// A socket to the first of these that has one; where there are no descriptors left, others
    /// go for it.
    fn connected_to(
        &mut self,
        (addresses, mark): (&[SocketAddr], Option<u32>),
        listener: usize,
        key: usize,
    ) -> Option<OwnedFd> {
        addresses.iter().find_map(|address| {
            let socket = match connected(*address, mark) {
                Err(Errno::MFILE | Errno::NFILE) => {
                    self.end_idlest(listener, Some(key));
                    connected(*address, mark)
                }
                socket => socket,
            };
            socket.ok()
        })
    }

    /// Ends the sixteenth of the flows that has been idle for longest, so that not every new one
    /// has to look for the next; but not this one.
    fn end_idlest(&mut self, listener: usize, but: Option<usize>) {
        let flows = self.listeners[listener].flows.values();
        let flows = flows.filter(|key| Some(**key) != but);
        let last = |key: &usize| match self.entries.get(*key) {
            Some(Entry::Flow(flow)) => Some((flow.last, *key)),
            _ => None,
        };
        let mut all: Vec<_> = flows.filter_map(last).collect();
        all.sort_unstable();
        let end = all.len().div_ceil(16);
        for (_, key) in all.into_iter().take(end) {
            self.end(key);
        }
    }
}

/// A socket that sends to this address, and hears from nobody else.
fn connected(address: SocketAddr, mark: Option<u32>) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    if let Some(mark) = mark {
        // Without it the rule would lead it back here.
        firedrill_kernel::socket::set_mark(&socket, mark).map_err(|_| Errno::PERM)?;
    }
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}
