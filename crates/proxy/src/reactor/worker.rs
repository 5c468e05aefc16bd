//! The loop of a thread: events, timers and orders in; reads, writes and dials out.

mod dialling;
mod flows;
mod greeting;

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use slab::Slab;

use super::connection::{Connection, Next};
use super::lookup::{self, Question};
use super::socket::Socket;
use super::timers::Timers;
use super::tracking::Tracking;
use crate::route::Route;
use crate::tls::failures::Party;
use dialling::Dialling;
use flows::Flow;
use greeting::Greeting;

/// Bytes of a read. Larger ones are quicker up to this, and there is one buffer for each thread.
const BUFFER: usize = 256 << 10;
const EVENTS: usize = 256;
/// Connections that are accepted in a row, after which others have their turn.
const ACCEPTS: usize = 64;
/// How long nothing is accepted when there are no descriptors left.
const NO_DESCRIPTORS: Duration = Duration::from_millis(100);

/// What a worker is told. Where somebody waits for it to be done, it says so.
#[derive(Debug)]
pub(crate) enum Order {
    /// Look names up with these.
    Lookup(Sender<Question>),
    Open(Arc<Route>),
    /// The faults of this route are others now.
    Change {
        route: u64,
        done: SyncSender<()>,
    },
    /// Nothing more is accepted on any route, and what is open goes on.
    AcceptNoMore {
        done: SyncSender<()>,
    },
    /// Connections of this route to endpoints that are drained end with a RST.
    Leave {
        route: u64,
        done: SyncSender<()>,
    },
    /// Nothing more is accepted, and what is open ends with a RST.
    Close {
        route: u64,
        done: SyncSender<()>,
    },
    /// The addresses of an upstream, for a connection that asked.
    Found {
        key: usize,
        ticket: u64,
        addresses: Vec<SocketAddr>,
    },
    Stop,
}

/// A worker, from outside.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    orders: Sender<Order>,
    wake: Arc<OwnedFd>,
}

impl Handle {
    /// Says something to the worker. It is a programming mistake that ends a worker early, and
    /// then there is nobody to tell.
    pub(crate) fn tell(&self, order: Order) {
        let _gone = self.orders.send(order);
        let _full = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

/// Starts so many threads.
pub(crate) fn start(
    threads: usize,
    busy_poll: Duration,
) -> std::io::Result<(Vec<Handle>, Vec<JoinHandle<()>>)> {
    let mut handles = Vec::new();
    let mut joins = Vec::new();
    for number in 0..threads {
        let (worker, handle) = Worker::new(number, busy_poll)?;
        let name = format!("proxy {number}");
        joins.push(
            std::thread::Builder::new()
                .name(name)
                .spawn(|| worker.run())?,
        );
        handles.push(handle);
    }
    let ask = lookup::start(&handles)?;
    for handle in &handles {
        handle.tell(Order::Lookup(ask.clone()));
    }
    Ok((handles, joins))
}

/// What is registered for events, as the number that comes with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Wake,
    Timer,
    Listener(usize),
    Side { key: usize, side: usize },
}

impl Token {
    fn data(self) -> EventData {
        EventData::new_u64(match self {
            Self::Wake => 3,
            Self::Timer => 7,
            Self::Listener(key) => (key as u64) << 2 | 2,
            Self::Side { key, side } => (key as u64) << 2 | side as u64,
        })
    }

    fn from(data: u64) -> Self {
        let key = (data >> 2) as usize;
        match data & 3 {
            3 if key == 0 => Self::Wake,
            3 => Self::Timer,
            2 => Self::Listener(key),
            side => Self::Side {
                key,
                side: side as usize,
            },
        }
    }
}

/// What a key of the slab stands for.
#[derive(Debug)]
enum Entry {
    Greeting(Greeting),
    Dialling(Dialling),
    Flow(Box<Flow>),
    Connected(Box<Connection>),
    /// It is over; the key is free after this round, so that no event meets a stranger.
    Over,
}

#[derive(Debug)]
struct Listener {
    route: Arc<Route>,
    paused: bool,
    /// Of a route for datagrams: who sends, by address.
    flows: HashMap<SocketAddr, usize>,
}

#[derive(Debug)]
struct Worker {
    number: usize,
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
    orders: Receiver<Order>,
    lookup: Option<Sender<Question>>,
    timers: Timers,
    tracking: Tracking,
    entries: Slab<Entry>,
    listeners: Slab<Listener>,
    routes: HashMap<u64, usize>,
    tickets: u64,
    /// Connections with more to do.
    again: Vec<usize>,
    over: Vec<usize>,
    buffer: Vec<u8>,
    /// When accepting begins again.
    resume: Option<Instant>,
    /// How long it looks for more to do before it sleeps.
    busy_poll: Duration,
}

impl Worker {
    fn new(number: usize, busy_poll: Duration) -> std::io::Result<(Self, Handle)> {
        let (tell, orders) = channel();
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let wake = Arc::new(wake);
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timers = Timers::new()?;
        epoll::add(&epoll, &*wake, Token::Wake.data(), EventFlags::IN)?;
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &timers, Token::Timer.data(), edge)?;
        let handle = Handle {
            orders: tell,
            wake: Arc::clone(&wake),
        };
        let worker = Self {
            number,
            epoll,
            wake,
            orders,
            lookup: None,
            timers,
            tracking: Tracking::default(),
            entries: Slab::new(),
            listeners: Slab::new(),
            routes: HashMap::new(),
            tickets: 0,
            again: Vec::new(),
            over: Vec::new(),
            buffer: vec![0; BUFFER],
            resume: None,
            busy_poll,
        };
        Ok((worker, handle))
    }

    fn run(mut self) {
        // Delays are to end when they end, not up to 50 µs later.
        let _refused = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let mut events = [MaybeUninit::<Event>::uninit(); EVENTS];
        let mut worked = Instant::now();
        loop {
            let now = Instant::now();
            self.timers.arm(now);
            let looks = now.duration_since(worked) < self.busy_poll;
            let zero = rustix::event::Timespec::default();
            let timeout = (looks || !self.again.is_empty()).then_some(&zero);
            let events = match epoll::wait(&self.epoll, &mut events, timeout) {
                Ok((events, _)) => events,
                Err(Errno::INTR) => continue,
                // The descriptor is ours and the arguments are valid (epoll_wait(2)).
                Err(_) => return,
            };
            let now = Instant::now();
            if !events.is_empty() {
                worked = now;
            }
            let again = std::mem::take(&mut self.again);
            let mut told = false;
            for event in events {
                match Token::from(event.data.u64()) {
                    Token::Wake => told = true,
                    Token::Timer => {}
                    Token::Listener(key) => self.accept(key, now),
                    Token::Side { key, side } => self.ready(key, side, event.flags, now),
                }
            }
            // Behind the events: one of a dial that an order ends would be taken for the next dial's.
            if told && !self.obey(now) {
                return;
            }
            for key in again {
                self.pump(key, now);
            }
            self.timers(now);
            for key in self.over.drain(..) {
                self.entries.remove(key);
            }
        }
    }

    /// Does what it is told; false when that is to stop.
    fn obey(&mut self, now: Instant) -> bool {
        let mut count = [0; 8];
        let _empty = rustix::io::read(&*self.wake, &mut count);
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Lookup(ask) => self.lookup = Some(ask),
                Order::Open(route) => self.open(route),
                Order::Change { route, done } => {
                    self.change(route, now);
                    let _gone = done.send(());
                }
                Order::AcceptNoMore { done } => {
                    self.accept_no_more(now);
                    let _gone = done.send(());
                }
                Order::Leave { route, done } => {
                    self.leave(route, now);
                    let _gone = done.send(());
                }
                Order::Close { route, done } => {
                    self.close(route);
                    let _gone = done.send(());
                }
                Order::Found {
                    key,
                    ticket,
                    addresses,
                } => {
                    self.lead(key, ticket, &addresses, now);
                    self.found(key, ticket, addresses, now);
                }
                Order::Stop => return false,
            }
        }
        true
    }

    fn open(&mut self, route: Arc<Route>) {
        let id = route.id;
        let key = self.listeners.insert(Listener {
            route,
            paused: true,
            flows: HashMap::new(),
        });
        self.routes.insert(id, key);
        self.listen(key);
    }

    /// Accepts on this listener, together with the other workers.
    fn listen(&mut self, key: usize) {
        let listener = &mut self.listeners[key];
        let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
        let data = Token::Listener(key).data();
        let added = epoll::add(&self.epoll, &listener.route.listener, data, flags);
        listener.paused = added.is_err();
    }

    fn of_route(&self, route: u64) -> Vec<usize> {
        let is = |entry: &Entry| match entry {
            Entry::Greeting(greeting) => greeting.route.id == route,
            Entry::Dialling(dialling) => dialling.route.id == route,
            Entry::Flow(flow) => flow.route().id == route,
            Entry::Connected(connection) => connection.route().id == route,
            Entry::Over => false,
        };
        let mine = self.entries.iter().filter(|(_, entry)| is(entry));
        mine.map(|(key, _)| key).collect()
    }

    fn change(&mut self, route: u64, now: Instant) {
        for key in self.of_route(route) {
            match &mut self.entries[key] {
                Entry::Connected(connection) => connection.change(now),
                Entry::Flow(flow) => flow.change(now),
                Entry::Greeting(_) | Entry::Dialling(_) | Entry::Over => continue,
            }
            self.pump(key, now);
        }
    }

    fn accept_no_more(&mut self, now: Instant) {
        // Who was there before is heard still.
        let all: Vec<_> = self.listeners.iter().map(|(key, _)| key).collect();
        for key in all {
            self.accept(key, now);
        }
        for (_, listener) in &mut self.listeners {
            let _paused = epoll::delete(&self.epoll, &listener.route.listener);
            listener.paused = true;
        }
        self.resume = None;
    }

    fn leave(&mut self, route: u64, now: Instant) {
        for key in self.of_route(route) {
            match &self.entries[key] {
                Entry::Connected(connection) if connection.is_unwanted() => self.reset(key),
                Entry::Dialling(dialling) if dialling.is_unwanted() => {
                    self.dial_elsewhere(key, now);
                }
                _ => {}
            }
        }
    }

    fn close(&mut self, route: u64) {
        if let Some(key) = self.routes.remove(&route) {
            let listener = self.listeners.remove(key);
            let _paused = epoll::delete(&self.epoll, &listener.route.listener);
        }
        for key in self.of_route(route) {
            self.reset(key);
        }
    }

    fn reset(&mut self, key: usize) {
        match &self.entries[key] {
            Entry::Greeting(greeting) => greeting.client.will_reset(),
            Entry::Dialling(dialling) => dialling.client.will_reset(),
            Entry::Connected(connection) => connection.will_reset(),
            // Nobody can be told.
            Entry::Flow(_) => {}
            Entry::Over => return,
        }
        self.end(key);
    }

    fn end(&mut self, key: usize) {
        let route = match &self.entries[key] {
            Entry::Greeting(greeting) => &greeting.route,
            Entry::Dialling(dialling) => &dialling.route,
            Entry::Connected(connection) => connection.route(),
            Entry::Flow(flow) => {
                if let Some(listener) = self.listeners.get_mut(flow.listener()) {
                    listener.flows.remove(&flow.client());
                }
                flow.route()
            }
            Entry::Over => return,
        };
        route.counters.of(self.number).closed.add(1);
        self.entries[key] = Entry::Over;
        self.over.push(key);
    }

    fn accept(&mut self, key: usize, now: Instant) {
        let Some(listener) = self.listeners.get(key) else {
            return;
        };
        let route = Arc::clone(&listener.route);
        if route.is_udp() {
            self.receive(key, &route, now);
            return;
        }
        for _ in 0..ACCEPTS {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            match rustix::net::accept_with(&route.listener, flags) {
                Ok(client) => self.accepted(&route, client, now),
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    let _deleted = epoll::delete(&self.epoll, &route.listener);
                    self.listeners[key].paused = true;
                    let at = now + NO_DESCRIPTORS;
                    self.resume = Some(at);
                    self.timers.add(at, usize::MAX);
                    return;
                }
                // What was to be accepted is gone again, or another worker has it.
                Err(_) => return,
            }
        }
    }

    fn accepted(&mut self, route: &Arc<Route>, client: OwnedFd, now: Instant) {
        route.counters.of(self.number).opened.add(1);
        let _not_tcp = rustix::net::sockopt::set_tcp_nodelay(&client, true);
        let number = route.next_connection();
        let client = Socket::new(client);
        if route.mark().is_some() {
            // Until it ends in order, a RST is what the end of this process sends.
            client.will_reset();
        }
        if route.tls.reads_hello() {
            self.greet(route, number, client, now);
            return;
        }
        let key = self.entries.insert(Entry::Over);
        let upstream = route.upstream.clone();
        self.begin(key, route, (number, client), (upstream, None), now);
    }

    fn ready(&mut self, key: usize, side: usize, flags: EventFlags, now: Instant) {
        match self.entries.get_mut(key) {
            Some(Entry::Greeting(_)) => self.listen_to(key, now),
            Some(Entry::Dialling(dialling)) => {
                if side == 1
                    && flags.intersects(EventFlags::OUT | EventFlags::ERR | EventFlags::HUP)
                {
                    if let Some((upstream, _)) = &mut dialling.upstream {
                        // It may have come and ended already, which nobody tells again.
                        upstream.now_readable(tells_an_end(flags));
                    }
                    self.connected(key, now);
                }
            }
            Some(Entry::Connected(connection)) => {
                let socket = connection.side(side);
                if flags.contains(EventFlags::ERR) && socket.error().is_err() {
                    let route = Arc::clone(connection.route());
                    connection.give_up(now, route.counters.of(self.number));
                    self.reset(key);
                    return;
                }
                if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP) {
                    socket.now_readable(tells_an_end(flags));
                }
                if flags.contains(EventFlags::OUT) {
                    socket.now_writable();
                }
                self.pump(key, now);
            }
            Some(Entry::Flow(_)) => self.pump(key, now),
            Some(Entry::Over) | None => {}
        }
    }

    fn pump(&mut self, key: usize, now: Instant) {
        let (buffer, number) = (&mut self.buffer, self.number);
        let (next, wake) = match self.entries.get_mut(key) {
            Some(Entry::Connected(connection)) => {
                let route = Arc::clone(connection.route());
                let next = connection.pump(now, buffer, route.counters.of(number));
                (next, connection.wake(next.due(), now))
            }
            Some(Entry::Flow(flow)) => {
                let next = flow.pump(now, buffer, number);
                (next, flow.wake(next.due(), now))
            }
            _ => return,
        };
        match next {
            Next::Wait(_) => {
                if let Some(at) = wake {
                    self.timers.add(at, key);
                }
            }
            Next::Again => self.again.push(key),
            Next::Over => self.end(key),
        }
    }

    fn timers(&mut self, now: Instant) {
        // All of them first: what is pumped may ask to be woken again at once.
        let due: Vec<_> = std::iter::from_fn(|| self.timers.pop(now)).collect();
        for key in due {
            match self.entries.get_mut(key) {
                Some(Entry::Greeting(greeting)) if greeting.until.is_some_and(|at| at <= now) => {
                    let why = "the client did not say what it wants in time";
                    greeting.route.handshakes.add(Party::Client, why);
                    greeting.route.counters.of(self.number).failed.add(1);
                    self.reset(key);
                }
                Some(Entry::Dialling(dialling)) if dialling.deadline <= now => {
                    dialling.route.counters.of(self.number).failed.add(1);
                    self.reset(key);
                }
                Some(Entry::Dialling(dialling)) => {
                    if dialling.attempt.is_some_and(|limit| limit <= now)
                        && let Some((_, address)) = dialling.upstream.take()
                    {
                        self.went_wrong(key, address, now);
                    }
                }
                Some(Entry::Connected(_) | Entry::Flow(_)) => self.pump(key, now),
                _ => {}
            }
        }
        if self.resume.is_some_and(|at| at <= now) {
            self.resume = None;
            let paused = self
                .listeners
                .iter()
                .filter(|(_, listener)| listener.paused);
            for key in paused.map(|(key, _)| key).collect::<Vec<_>>() {
                self.listen(key);
            }
        }
    }
}

/// Whether the peer has ended its stream, or the connection.
fn tells_an_end(flags: EventFlags) -> bool {
    flags.intersects(EventFlags::RDHUP | EventFlags::HUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_one_it_was() {
        let tokens = [
            Token::Wake,
            Token::Timer,
            Token::Listener(0),
            Token::Listener(1 << 40),
            Token::Side { key: 0, side: 0 },
            Token::Side { key: 7, side: 1 },
        ];
        for token in tokens {
            assert_eq!(Token::from(token.data().u64()), token);
        }
    }
}
