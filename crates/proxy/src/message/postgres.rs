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

use super::sql::{SqlAction, SqlError, SqlFault, SqlState};
use super::wire::{Answering, Asking, Becomes, Conversation, Dialect, Kept, Shape, Texts};
use super::{Kind, MessageFault, Session};
use crate::chance::Chance;

use frame::Startup;

/// A fault on some of the statements of a route, or on its connections.
pub type PostgresFault = SqlFault<PostgresError>;

/// What becomes of a statement, or of a connection.
pub type PostgresAction = SqlAction<PostgresError>;

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

impl SqlError for PostgresError {
    fn fault(kind: &Kind) -> Option<&PostgresFault> {
        match kind {
            Kind::Postgres(fault) => Some(fault),
            _ => None,
        }
    }
}

/// One connection; `chance` is its own.
#[must_use]
pub fn session(chance: Chance, faults: &[MessageFault]) -> impl Session + use<> {
    Conversation::new(Postgres::default(), chance, faults)
}

#[derive(Debug, Default)]
struct Postgres {
    phase: Phase,
    statements: Texts<Box<[u8]>>,
    portals: Texts<Box<[u8]>>,
    /// The state of the transaction, as the server told it last.
    state: State,
    /// The server drops what comes before the next `Sync`.
    skips: bool,
    /// The server takes rows, and no `Sync`.
    copies: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Startup,
    /// The server says with one byte whether the connection is to be secured.
    Asked,
    Session,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// In a transaction, which may have failed.
    Within,
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

impl Kept for Reply {
    fn bytes(&self) -> usize {
        match self {
            Self::Provoked(ours) => ours.len(),
            _ => 0,
        }
    }
}

/// The portal of this name does not exist, so its execution fails and nothing else happens. The
/// server's log has the name.
const PROVOCATION: &[u8] = b"firedrill: an error was put in place of this request\0\0\0\0\0";

impl Postgres {
    /// The first thing a client says.
    fn start(&mut self, head: &[u8], asking: &mut Asking<'_, '_, Self>) {
        match frame::startup(head) {
            Startup::Secure => self.phase = Phase::Asked,
            Startup::Session => {
                self.phase = Phase::Session;
                // It is ready when the client has said who it is.
                asking.expect(Reply::Sync);
            }
            Startup::Other => asking.follow_no_more(),
        }
    }

    fn bind(&mut self, content: &[u8]) {
        let Some((portal, rest)) = frame::string(content) else {
            return;
        };
        let statement = frame::string(rest).map(|(name, _)| name);
        match statement.and_then(|name| self.statements.get(name)) {
            Some(text) => self.portals.set(portal.into(), Arc::clone(text)),
            None => self.portals.remove(portal),
        }
    }

    fn close(&mut self, content: &[u8]) {
        let Some((kind, name)) = content.split_first() else {
            return;
        };
        let name = frame::text(name);
        match kind {
            b'S' => self.statements.remove(name),
            _ => self.portals.remove(name),
        }
    }

    /// A request to decide on; whether it goes on.
    fn decide(&mut self, kind: u8, text: Option<&[u8]>, asking: &mut Asking<'_, '_, Self>) -> bool {
        match asking.decide(|fault| fault.matching.fits(text)) {
            Some(error) if !self.skips => {
                self.answer(kind, &error, asking);
                false
            }
            _ => {
                let reply = match kind {
                    b'Q' => Reply::Query,
                    _ => Reply::Execute,
                };
                self.expect(reply, asking);
                true
            }
        }
    }

    /// A request that gets an error of ours.
    fn answer(&mut self, kind: u8, error: &PostgresError, asking: &mut Asking<'_, '_, Self>) {
        let mut ours = frame::error("ERROR", error);
        if kind == b'Q' && asking.awaits_nothing() && self.state == State::Idle {
            ours.extend(frame::message(b'Z', b"I"));
            asking.answer(ours);
            return;
        }
        asking.say(&frame::message(b'E', PROVOCATION));
        asking.expect(Reply::Provoked(ours));
        if kind == b'Q' {
            asking.say(&frame::message(b'S', b""));
            asking.expect(Reply::Sync);
        }
    }

    fn expect(&self, reply: Reply, asking: &mut Asking<'_, '_, Self>) {
        if !self.skips {
            asking.expect(reply);
        }
    }
}

impl Dialect for Postgres {
    type Fault = PostgresFault;
    type Reply = Reply;
    type Rest = u64;
    type About = ();

    fn request_shape(&self, bytes: &[u8], _is_watched: bool) -> Shape<u64> {
        match self.phase {
            Phase::Startup => frame::startup_shape(bytes),
            Phase::Asked => Shape::Garbage,
            Phase::Session => frame::client_shape(bytes),
        }
    }

    fn take_request(&mut self, head: &[u8], (): (), asking: &mut Asking<'_, '_, Self>) -> bool {
        if self.phase == Phase::Startup {
            self.start(head, asking);
            return true;
        }
        let content = &head[5..];
        match head[0] {
            b'Q' => return self.decide(head[0], Some(frame::text(content)), asking),
            b'E' => {
                let portal = frame::text(content);
                let text = self.portals.get(portal).map(Arc::clone);
                return self.decide(head[0], text.as_deref(), asking);
            }
            b'P' => {
                if let Some((name, text)) = frame::string(content) {
                    self.statements.set(name.into(), frame::text(text).into());
                }
                self.expect(Reply::Parse, asking);
            }
            b'B' => {
                self.bind(content);
                self.expect(Reply::Bind, asking);
            }
            b'C' => {
                self.close(content);
                self.expect(Reply::Close, asking);
            }
            b'D' => self.expect(Reply::Describe, asking),
            b'F' => self.expect(Reply::Query, asking),
            b'S' if self.copies => {}
            b'S' => {
                self.skips = false;
                self.expect(Reply::Sync, asking);
            }
            b'c' | b'f' => {
                self.copies = false;
                self.expect(Reply::CopyEnd, asking);
            }
            _ => {}
        }
        true
    }

    fn reply_shape(&self, bytes: &[u8]) -> Shape<u64> {
        match self.phase {
            // A connection that is not secured goes on to be followed.
            Phase::Asked if bytes[0] == b'N' => Shape::of_length(1, 1, ()),
            Phase::Asked => Shape::Garbage,
            Phase::Startup | Phase::Session => frame::server_shape(bytes),
        }
    }

    fn take_reply(&mut self, head: &[u8], answering: &mut Answering<'_, Self>) -> Becomes {
        if self.phase == Phase::Asked {
            self.phase = Phase::Startup;
            return Becomes::Passes;
        }
        self.take_answer(head, answering)
    }

    /// Who asks whether the connection may be secured waits for the answer.
    fn hears_client(&self) -> bool {
        self.phase != Phase::Asked
    }
}

#[cfg(test)]
mod tests;
