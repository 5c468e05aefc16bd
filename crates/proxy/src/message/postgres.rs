//! PostgreSQL's protocol (version 3): simple and extended queries, pipelines, `COPY`.
//!
//! A request is a simple query, or one execution of a prepared one. Where an error of ours stands in
//! place of a request that others are in front of, or that is in a transaction, the upstream gets
//! one that cannot succeed instead, and the client ours for its error: so the upstream drops what
//! it has to drop until the next `Sync`, undoes what has to be undone, and its transaction is in
//! the state that the client is told.
//!
//! Connections that are secured after the handshake, replication and cancellations pass as bytes.

mod answers;
mod frame;

use std::sync::Arc;
use std::time::Instant;

use super::sql::{SqlState, StatementMatch};
use super::wire::{Awaited, Cursor, Deciders, Decision, Frames, Outgoing, Step, Texts, WireFault};
use super::{Kind, MessageFault, Session, Sink};
use crate::chance::Chance;
use crate::stream::{Direction, End, Latency};

use frame::Startup;

/// A fault on some of the statements of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct PostgresFault {
    pub matching: StatementMatch,
    pub action: PostgresAction,
}

/// What becomes of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum PostgresAction {
    /// It goes on later, and what comes behind it too.
    Delay(Latency),
    /// It does not go on: this error is its answer.
    Error(PostgresError),
    /// The connection ends with this, when the client has said who it is.
    Refuse(PostgresError),
}

/// An error as the server gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresError {
    pub state: SqlState,
    pub message: String,
}

impl PostgresError {
    /// What a statement gets if nothing else is said: it failed for reasons outside the database.
    #[must_use]
    pub fn of_statements() -> Self {
        Self {
            state: SqlState::of(*b"58000"),
            message: "injected by firedrill".into(),
        }
    }

    /// What a connection gets if nothing else is said.
    #[must_use]
    pub fn of_connections() -> Self {
        Self {
            state: SqlState::of(*b"57P03"),
            message: "the database system is starting up".into(),
        }
    }
}

impl WireFault for PostgresFault {
    type Error = PostgresError;

    fn of(kind: &Kind) -> Option<&Self> {
        match kind {
            Kind::Postgres(fault) => Some(fault),
            _ => None,
        }
    }

    fn delay(&self) -> Option<Latency> {
        match self.action {
            PostgresAction::Delay(latency) => Some(latency),
            _ => None,
        }
    }

    fn error(&self) -> Option<&PostgresError> {
        match &self.action {
            PostgresAction::Error(error) => Some(error),
            _ => None,
        }
    }

    fn refusal(&self) -> Option<&PostgresError> {
        match &self.action {
            PostgresAction::Refuse(error) => Some(error),
            _ => None,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Postgres {
    deciders: Deciders<PostgresFault>,
    /// Of the next request.
    number: u64,
    phase: Phase,
    requests: Frames,
    /// Whether the request that is coming goes on.
    goes: bool,
    statements: Texts<Box<[u8]>>,
    portals: Texts<Box<[u8]>>,
    outgoing: Outgoing,
    awaited: Awaited<Reply>,
    replies: Frames,
    /// Whether the reply that is coming goes on.
    passes: bool,
    /// The state of the transaction, as the server told it.
    status: u8,
    /// The server drops what comes before the next `Sync`.
    skips: bool,
    /// The server takes rows, and no `Sync`.
    copies: bool,
    /// Replies are not looked at any more.
    blind: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Startup,
    /// The server says with one byte whether the connection is to be secured.
    Asked,
    Session,
    /// Only bytes.
    Blind,
    /// We have ended it.
    Over,
}

/// What the upstream will say, in the order of what it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    Parse,
    Bind,
    Close,
    Describe,
    Execute,
    /// An error, in place of which the client gets ours.
    Provoked(Vec<u8>),
    /// Whatever comes until it is ready again.
    Query,
    Sync,
    /// Nothing: here the client had sent all its rows.
    CopyEnd,
}

/// The portal of this name does not exist, so its execution fails and nothing else happens. The
/// server's log has the name.
const PROVOCATION: &[u8] = b"firedrill: an error was put in place of this request\0\0\0\0\0";

impl Postgres {
    /// `chance` is the connection's.
    #[must_use]
    pub fn new(chance: Chance, faults: &[MessageFault]) -> Self {
        Self {
            deciders: Deciders::new(chance, faults),
            number: 0,
            phase: Phase::Startup,
            requests: Frames::default(),
            goes: true,
            statements: Texts::default(),
            portals: Texts::default(),
            outgoing: Outgoing::default(),
            awaited: Awaited::default(),
            replies: Frames::default(),
            passes: true,
            status: b'I',
            skips: false,
            copies: false,
            blind: false,
        }
    }

    fn take_requests(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        let mut cursor = Cursor::new(bytes);
        loop {
            let shape = match self.phase {
                Phase::Startup => frame::startup_shape,
                Phase::Session => frame::client_shape,
                Phase::Asked if cursor.rest().is_empty() => break,
                Phase::Asked | Phase::Blind => {
                    self.follow_no_more(now, out);
                    cursor.pass_rest(|bytes| self.outgoing.send(bytes, now, out));
                    return;
                }
                Phase::Over => return,
            };
            let outgoing = &mut self.outgoing;
            let step = self
                .requests
                .next(&mut cursor, shape, |bytes| outgoing.send(bytes, now, out));
            match step {
                Step::Begin(head) => {
                    self.goes = self.take_request(&head, &mut cursor, now, out);
                    let send = |bytes: &[u8]| self.outgoing.send(bytes, now, out);
                    if self.goes {
                        cursor.pass_head(&head, send);
                    } else {
                        cursor.skip_head(&head, send);
                    }
                }
                Step::Within(length) if self.goes => cursor.pass(length),
                Step::Within(length) => {
                    cursor.skip(length, |bytes| self.outgoing.send(bytes, now, out));
                }
                Step::More => return,
                Step::Garbage(held) => {
                    cursor.flush(|bytes| self.outgoing.send(bytes, now, out));
                    self.outgoing.send(&held, now, out);
                    self.follow_no_more(now, out);
                }
            }
        }
        cursor.flush(|bytes| self.outgoing.send(bytes, now, out));
    }

    /// A request begins; whether it goes on.
    fn take_request(
        &mut self,
        head: &[u8],
        cursor: &mut Cursor<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> bool {
        if self.phase == Phase::Startup {
            match frame::startup(head) {
                Startup::Secure => self.phase = Phase::Asked,
                Startup::Session => {
                    self.phase = Phase::Session;
                    // It is ready when the client has said who it is.
                    self.expect(Reply::Sync, now);
                }
                Startup::Other => self.follow_no_more(now, out),
            }
            return true;
        }
        let content = &head[5..];
        match head[0] {
            b'Q' => return self.decide(head[0], Some(frame::text(content)), cursor, now, out),
            b'E' => {
                let portal = frame::text(content);
                let text = self.portals.get(&portal.into()).map(Arc::clone);
                return self.decide(head[0], text.as_deref(), cursor, now, out);
            }
            b'P' => {
                if let Some((name, text)) = frame::string(content) {
                    self.statements.set(name.into(), frame::text(text).into());
                }
                self.expect(Reply::Parse, now);
            }
            b'B' => {
                self.bind(content);
                self.expect(Reply::Bind, now);
            }
            b'C' => {
                self.close(content);
                self.expect(Reply::Close, now);
            }
            b'D' => self.expect(Reply::Describe, now),
            b'F' => self.expect(Reply::Query, now),
            b'S' if self.copies => {}
            b'S' => {
                self.skips = false;
                self.expect(Reply::Sync, now);
            }
            b'c' | b'f' => {
                self.copies = false;
                self.expect(Reply::CopyEnd, now);
            }
            _ => {}
        }
        true
    }

    fn bind(&mut self, content: &[u8]) {
        let Some((portal, rest)) = frame::string(content) else {
            return;
        };
        let statement = frame::string(rest).map(|(name, _)| Box::from(name));
        match statement.and_then(|name| self.statements.get(&name)) {
            Some(text) => self.portals.set(portal.into(), Arc::clone(text)),
            None => self.portals.remove(&portal.into()),
        }
    }

    fn close(&mut self, content: &[u8]) {
        let Some((kind, name)) = content.split_first() else {
            return;
        };
        let name = frame::text(name).into();
        match kind {
            b'S' => self.statements.remove(&name),
            _ => self.portals.remove(&name),
        }
    }

    /// A request to decide on; whether it goes on.
    fn decide(
        &mut self,
        kind: u8,
        text: Option<&[u8]>,
        cursor: &mut Cursor<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> bool {
        let number = self.number;
        self.number += 1;
        let fits = |fault: &PostgresFault| fault.matching.fits(text);
        let Decision { delay, error } = self.deciders.decide(number, fits);
        if !delay.is_zero() || error.is_some() {
            // What is in front of it goes first.
            cursor.flush(|bytes| self.outgoing.send(bytes, now, out));
            self.outgoing.delay(now + delay);
        }
        match error {
            Some(error) if !self.skips => {
                self.answer(kind, &error, now, out);
                false
            }
            _ => {
                let reply = match kind {
                    b'Q' => Reply::Query,
                    _ => Reply::Execute,
                };
                self.expect(reply, now);
                true
            }
        }
    }

    /// A request that gets an error of ours.
    fn answer(&mut self, kind: u8, error: &PostgresError, now: Instant, out: &mut dyn Sink) {
        let mut ours = frame::error("ERROR", error);
        if kind == b'Q' && self.awaited.is_empty() && self.status == b'I' {
            ours.extend(frame::message(b'Z', b"I"));
            let due = self.outgoing.turn(now);
            self.awaited.push_ours(ours, now, due);
            self.give_ours(now, out);
            return;
        }
        let provocation = frame::message(b'E', PROVOCATION);
        self.outgoing.send(&provocation, now, out);
        self.expect(Reply::Provoked(ours), now);
        if kind == b'Q' {
            self.outgoing.send(&frame::message(b'S', b""), now, out);
            self.expect(Reply::Sync, now);
        }
    }

    fn expect(&mut self, reply: Reply, now: Instant) {
        if !self.skips {
            self.awaited.push(reply, now);
        }
    }

    /// From here on the client's stream is bytes. Replies are, too, when those before it have come.
    fn follow_no_more(&mut self, now: Instant, out: &mut dyn Sink) {
        let held = self.requests.take_held();
        if self.phase != Phase::Over {
            self.phase = Phase::Blind;
            self.outgoing.send(&held, now, out);
        }
        self.give_ours(now, out);
    }

    fn give_ours(&mut self, now: Instant, out: &mut dyn Sink) {
        if self.replies.is_between() {
            self.awaited.give_ours(now, out);
            self.blind |= self.phase == Phase::Blind && self.awaited.is_empty();
        }
    }
}

impl Session for Postgres {
    fn receive(&mut self, direction: Direction, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        match direction {
            Direction::Upstream => self.take_requests(bytes, now, out),
            Direction::Downstream => self.take_replies(bytes, now, out),
        }
    }

    fn end(&mut self, direction: Direction, now: Instant, out: &mut dyn Sink) {
        if self.phase == Phase::Over {
            return;
        }
        match direction {
            Direction::Upstream => {
                self.follow_no_more(now, out);
                self.outgoing.end(now, out);
            }
            Direction::Downstream => {
                out.send(Direction::Downstream, &self.replies.take_held());
                out.end(Direction::Downstream, End::Fin);
            }
        }
    }

    fn wake(&mut self, now: Instant, out: &mut dyn Sink) {
        self.outgoing.wake(now, out);
        self.give_ours(now, out);
    }

    fn due(&self) -> Option<Instant> {
        let ours = self.awaited.due().filter(|_| self.replies.is_between());
        ours.into_iter().chain(self.outgoing.due()).min()
    }

    fn has_room(&self, direction: Direction) -> bool {
        match direction {
            Direction::Upstream => {
                let asked = self.phase == Phase::Asked;
                !asked && self.outgoing.has_room() && self.awaited.has_room()
            }
            Direction::Downstream => true,
        }
    }

    fn change(&mut self, faults: &[MessageFault]) {
        self.deciders.change(faults);
    }
}

#[cfg(test)]
mod tests;
