//! Connections whose client has not said yet what it wants. They hold a socket each, and no bytes:
//! what a client said stays in its socket until it is complete.

use std::sync::Arc;
use std::time::Instant;

use rustix::event::epoll::{self, EventFlags};

use super::{Entry, Token, Worker};
use crate::reactor::handshake::Greeted;
use crate::reactor::socket::{Read, Socket};
use crate::route::{Route, Upstream};
use crate::tls::Tls;
use crate::tls::failures::Party;
use crate::tls::flaw::Kind;
use crate::tls::hello::{self, Hello, NotAHello};

/// A client that is listened to.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) route: Arc<Route>,
    pub(super) number: u64,
    pub(super) client: Socket,
    /// None: a fault has it that nobody answers.
    pub(super) until: Option<Instant>,
}

/// Fatal alerts (RFC 8446, 6) in a record of their own.
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];
const DECODE_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];

impl Worker {
    pub(super) fn greet(&mut self, route: &Arc<Route>, number: u64, client: Socket, now: Instant) {
        let until = now + route.connect_timeout;
        let key = self.entries.insert(Entry::Greeting(Greeting {
            route: Arc::clone(route),
            number,
            client,
            until: Some(until),
        }));
        self.timers.add(until, key);
        if self.watch_client(key).is_err() {
            self.reset(key);
            return;
        }
        self.listen_to(key, now);
    }

    /// Has events of this client told, those that were told before included.
    pub(super) fn watch_client(&self, key: usize) -> rustix::io::Result<()> {
        let client = match &self.entries[key] {
            Entry::Greeting(greeting) => &greeting.client,
            Entry::Dialling(dialling) => &dialling.client,
            Entry::Flow(_) | Entry::Connected(_) | Entry::Over => return Ok(()),
        };
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let data = Token::Side { key, side: 0 }.data();
        match epoll::add(&self.epoll, client, data, flags) {
            Err(rustix::io::Errno::EXIST) => epoll::modify(&self.epoll, client, data, flags),
            added => added,
        }
    }

    /// Looks at what the client has said so far.
    pub(super) fn listen_to(&mut self, key: usize, now: Instant) {
        let Entry::Greeting(greeting) = &mut self.entries[key] else {
            return;
        };
        if greeting.until.is_none() {
            greeting.client.discard();
            if matches!(greeting.client.peek(&mut [0]), Read::End | Read::Broken) {
                self.reset(key);
            }
            return;
        }
        let said = match greeting.client.peek(&mut self.buffer[..hello::LIMIT]) {
            Read::Bytes(length) => hello::read(&self.buffer[..length]),
            Read::NotNow => return,
            Read::End | Read::Broken => Err(NotAHello::NotTls),
        };
        match said {
            Ok(Some(hello)) => self.greeted(key, hello, now),
            Ok(None) => {}
            Err(why) => {
                let route = &greeting.route;
                let why = format!("the client's first word is no ClientHello: {why}");
                route.handshakes.add(Party::Client, &why);
                if route.tls.terminate().is_some() {
                    self.turn_away(key, DECODE_ERROR);
                } else {
                    route.counters.of(self.number).failed.add(1);
                    self.reset(key);
                }
            }
        }
    }

    fn greeted(&mut self, key: usize, hello: Hello, now: Instant) {
        let Entry::Greeting(greeting) = &mut self.entries[key] else {
            return;
        };
        let route = Arc::clone(&greeting.route);
        let flaw = match route.handshake_fault(greeting.number, || greeting.client.peer()) {
            Some(Kind::Stall) => {
                greeting.until = None;
                return;
            }
            Some(Kind::Alert) => return self.turn_away(key, HANDSHAKE_FAILURE),
            Some(Kind::Certificate(flaw)) => Some(flaw),
            None => None,
        };
        let Some(upstream) = leads_to(&route, &hello).cloned() else {
            let name = hello
                .name
                .as_deref()
                .unwrap_or("a client that names nobody");
            let why = format!("there is no upstream for {name}");
            route.handshakes.add(Party::Client, &why);
            route.counters.of(self.number).failed.add(1);
            self.reset(key);
            return;
        };
        let old = std::mem::replace(&mut self.entries[key], Entry::Over);
        if let Entry::Greeting(Greeting { number, client, .. }) = old {
            let greeted = Some(Greeted { hello, flaw });
            self.begin(key, &route, (number, client), (upstream, greeted), now);
        }
    }

    /// Tells the client why, and ends.
    fn turn_away(&mut self, key: usize, alert: [u8; 7]) {
        let Entry::Greeting(greeting) = &mut self.entries[key] else {
            return;
        };
        // What it said has to be read, or a RST would overtake the alert.
        greeting.client.discard();
        let _gone = greeting.client.write(&alert);
        greeting.client.end();
        greeting.route.counters.of(self.number).failed.add(1);
        self.end(key);
    }
}

/// Where a client that says this is led.
fn leads_to<'a>(route: &'a Route, hello: &Hello) -> Option<&'a Upstream> {
    match &route.tls {
        Tls::Pass { names, others } => {
            let named = hello.name.as_deref().and_then(|name| names.find(name));
            named.or(others.then_some(&route.upstream))
        }
        _ => Some(&route.upstream),
    }
}
