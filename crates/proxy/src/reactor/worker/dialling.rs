//! Clients whose upstream is not there yet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};

use super::{Entry, Token, Worker};
use crate::group::{Group, Seat};
use crate::reactor::connection::Connection;
use crate::reactor::handshake::{self, Greeted};
use crate::reactor::lookup::Question;
use crate::reactor::socket::{Socket, begin_to_connect};
use crate::route::{Route, Upstream};
use crate::stream::Direction;
use crate::tls::failures::Party;

/// How long one of several endpoints may take until the next is tried.
const ATTEMPT: Duration = Duration::from_secs(1);

/// The client is there, the upstream not yet.
#[derive(Debug)]
pub(super) struct Dialling {
    pub(super) route: Arc<Route>,
    pub(super) number: u64,
    /// Tells it from one that had its key before.
    pub(super) ticket: u64,
    pub(super) client: Socket,
    /// The address that is tried now.
    pub(super) upstream: Option<(Socket, SocketAddr)>,
    /// Where there are others to be tried, this one has until then.
    pub(super) attempt: Option<Instant>,
    /// Who wants to know how it went.
    group: Option<Arc<Group>>,
    /// At the address that is tried now, if it is one of several.
    seat: Option<Seat>,
    pub(super) rest: std::vec::IntoIter<SocketAddr>,
    pub(super) deadline: Instant,
    /// What the client said, where the route wanted to know before.
    pub(super) greeted: Option<Box<Greeted>>,
}

impl Dialling {
    /// Whether no new connection would lead where this one is to.
    pub(super) fn is_unwanted(&self) -> bool {
        self.seat.as_ref().is_some_and(Seat::is_drained)
    }
}

impl Worker {
    /// Begins to reach the upstream of a client.
    pub(super) fn begin(
        &mut self,
        key: usize,
        route: &Arc<Route>,
        client: (u64, Socket),
        upstream: (Upstream, Option<Greeted>),
        now: Instant,
    ) {
        let (number, client) = client;
        let (upstream, greeted) = upstream;
        let deadline = now + route.connect_timeout;
        self.tickets += 1;
        let redirected = matches!(upstream, Upstream::Original { .. });
        let meant = redirected.then(|| client.meant_for()).flatten();
        self.entries[key] = Entry::Dialling(Dialling {
            route: Arc::clone(route),
            number,
            ticket: self.tickets,
            client,
            upstream: None,
            attempt: None,
            group: match &upstream {
                Upstream::Group(group) => Some(Arc::clone(group)),
                _ => None,
            },
            seat: None,
            rest: Vec::new().into_iter(),
            deadline,
            greeted: greeted.map(Box::new),
        });
        self.timers.add(deadline, key);
        match upstream {
            Upstream::Addresses(addresses) => self.found(key, self.tickets, addresses, now),
            Upstream::Group(group) => {
                let chance = route.chance(number, Direction::Upstream);
                let order = group.order(now, chance.bits());
                self.found(key, self.tickets, order, now);
            }
            Upstream::Original { .. } => {
                let meant = meant.into_iter().collect();
                self.found(key, self.tickets, meant, now);
            }
            Upstream::Name { host, port } => self.look_up(key, host, port),
        }
    }

    /// Asks for the addresses of a name, for the entry that has the last ticket.
    pub(super) fn look_up(&self, key: usize, host: String, port: u16) {
        if let Some(ask) = &self.lookup {
            let _gone = ask.send(Question {
                host,
                port,
                key,
                ticket: self.tickets,
                asked_by: self.number,
            });
        }
    }

    pub(super) fn found(
        &mut self,
        key: usize,
        ticket: u64,
        addresses: Vec<SocketAddr>,
        now: Instant,
    ) {
        if let Some(Entry::Dialling(dialling)) = self.entries.get_mut(key)
            && dialling.ticket == ticket
        {
            dialling.rest = addresses.into_iter();
            self.dial(key, now);
        }
    }

    /// Ends the dial to an endpoint that was drained, which has not failed, and begins anew.
    pub(super) fn dial_elsewhere(&mut self, key: usize, now: Instant) {
        let Entry::Dialling(dialling) = &mut self.entries[key] else {
            return;
        };
        (dialling.upstream, dialling.attempt, dialling.seat) = (None, None, None);
        if let Some(group) = &dialling.group {
            let chance = dialling.route.chance(dialling.number, Direction::Upstream);
            dialling.rest = group.order(now, chance.bits()).into_iter();
        }
        self.dial(key, now);
    }

    /// Tries the next address; without one the client is told by a RST.
    fn dial(&mut self, key: usize, now: Instant) {
        let Entry::Dialling(dialling) = &mut self.entries[key] else {
            return;
        };
        for address in dialling.rest.by_ref() {
            // It was not when the order was made.
            if dialling
                .group
                .as_ref()
                .is_some_and(|group| group.is_drained(address))
            {
                continue;
            }
            if let Ok((socket, connected)) = begin_to_connect(address, dialling.route.mark()) {
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                let data = Token::Side { key, side: 1 }.data();
                if epoll::add(&self.epoll, &socket, data, flags).is_err() {
                    continue;
                }
                dialling.upstream = Some((socket, address));
                let group = dialling.group.as_ref();
                dialling.seat = group.map(|group| group.dialled(address));
                if connected {
                    self.connected(key, now);
                } else if dialling.group.is_some() {
                    let limit = now + ATTEMPT;
                    dialling.attempt = Some(limit);
                    self.timers.add(limit, key);
                }
                return;
            }
            if let Some(group) = &dialling.group {
                group.failed(address, now);
            }
        }
        dialling.route.counters.of(self.number).failed.add(1);
        self.reset(key);
    }

    /// There is no connection to be had there: the next is tried.
    pub(super) fn went_wrong(&mut self, key: usize, address: SocketAddr, now: Instant) {
        let Entry::Dialling(dialling) = &mut self.entries[key] else {
            return;
        };
        dialling.attempt = None;
        dialling.seat = None;
        if let Some(group) = &dialling.group {
            group.failed(address, now);
        }
        self.dial(key, now);
    }

    /// The dial ended: with a connection, or with the next dial.
    pub(super) fn connected(&mut self, key: usize, now: Instant) {
        let Entry::Dialling(dialling) = &mut self.entries[key] else {
            return;
        };
        let Some((socket, address)) = dialling.upstream.take() else {
            return;
        };
        if socket.error().is_err() {
            drop(socket);
            self.went_wrong(key, address, now);
            return;
        }
        if let Some(seat) = &dialling.seat {
            seat.connected();
        }
        if self.watch_client(key).is_err() {
            self.reset(key);
            return;
        }
        if let Entry::Dialling(dialling) = std::mem::replace(&mut self.entries[key], Entry::Over) {
            let Dialling {
                route,
                number,
                client,
                greeted,
                seat,
                ..
            } = dialling;
            let upstream = (socket, &route.upstream);
            let greeted = greeted.map(|greeted| *greeted);
            match handshake::sides(&route, client, upstream, greeted, now) {
                Ok(sides) => {
                    let connection = Connection::new(Arc::clone(&route), number, sides, now);
                    let connection = Box::new(connection.seated(seat));
                    self.entries[key] = Entry::Connected(connection);
                    self.pump(key, now);
                }
                // Nothing can be said to an upstream that has no name to be known by.
                Err(error) => {
                    route.handshakes.add(Party::Upstream, &error.to_string());
                    let counters = route.counters.of(self.number);
                    counters.failed.add(1);
                    counters.closed.add(1);
                    self.over.push(key);
                }
            }
        }
    }
}
