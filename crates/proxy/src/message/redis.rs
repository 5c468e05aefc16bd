//! Redis, in both versions of its protocol (RESP2 and RESP3), with pipelines.
//!
//! A connection that becomes something else than requests with one answer each (subscriptions,
//! `MONITOR`, replication, `CLIENT REPLY`) passes as bytes from there on.

mod command;
mod value;

use std::time::Instant;

use super::wire::{Awaited, Cursor, Deciders, Decision, Outgoing, WireFault};
use super::{Kind, MessageFault, Pattern, Session, Sink};
use crate::chance::Chance;
use crate::stream::{Direction, Latency};

use command::{Command, Found, Turn};
use value::{Scanned, Scanner};

/// A fault on some of the commands of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct RedisFault {
    pub matching: RedisMatch,
    pub action: RedisAction,
}

/// Which commands a fault is meant for: all that fit every part that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisMatch {
    /// Any of these, in any case (`GET`); empty for all.
    pub commands: Vec<String>,
    /// What the first key is like. A command without a key does not fit.
    pub key: Option<Pattern>,
}

/// What becomes of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum RedisAction {
    /// It goes on later, and what comes behind it too.
    Delay(Latency),
    /// It does not go on: this error is its answer.
    Error(RedisError),
}

/// The text of an error reply: a word in capitals, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisError(String);

/// This cannot be said in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an error of Redis is one line of text, not {0:?}")]
pub struct NotOneLine(String);

impl RedisError {
    /// An error of this text (`LOADING Redis is loading the dataset in memory`).
    ///
    /// # Errors
    /// The text is empty, or has control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, NotOneLine> {
        let text = text.into();
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(NotOneLine(text));
        }
        Ok(Self(text))
    }

    fn reply(&self) -> Vec<u8> {
        format!("-{}\r\n", self.0).into_bytes()
    }
}

impl Default for RedisError {
    fn default() -> Self {
        Self("ERR injected by firedrill".into())
    }
}

impl RedisMatch {
    fn fits(&self, command: &Command) -> bool {
        let name = |one: &String| command.name.eq_ignore_ascii_case(one.as_bytes());
        let named = self.commands.is_empty() || self.commands.iter().any(name);
        let key = |one: &Pattern| command.key.is_some_and(|key| one.matches(key));
        named && self.key.as_ref().is_none_or(key)
    }
}

impl WireFault for RedisFault {
    type Error = RedisError;

    fn of(kind: &Kind) -> Option<&Self> {
        match kind {
            Kind::Redis(fault) => Some(fault),
            _ => None,
        }
    }

    fn delay(&self) -> Option<Latency> {
        match self.action {
            RedisAction::Delay(latency) => Some(latency),
            RedisAction::Error(_) => None,
        }
    }

    fn error(&self) -> Option<&RedisError> {
        match &self.action {
            RedisAction::Delay(_) => None,
            RedisAction::Error(error) => Some(error),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Redis {
    deciders: Deciders<RedisFault>,
    /// Of the next command.
    number: u64,
    reading: Reading,
    transaction: Transaction,
    outgoing: Outgoing,
    awaited: Awaited<Reply>,
    reply: Option<Current>,
    /// Replies are not looked at any more.
    blind: bool,
}

/// Where the client's stream is.
#[derive(Debug)]
enum Reading {
    /// A command begins; what has come of it.
    Head(Vec<u8>),
    /// The rest of a command that is decided on.
    Rest { scanner: Scanner, goes: bool },
    /// Only bytes.
    Blind,
}

/// A reply that has begun.
#[derive(Debug)]
struct Current {
    scanner: Scanner,
    /// Not something that nobody asked for.
    is_answer: bool,
}

/// What the upstream's reply is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    Passes,
    /// The upstream was asked something else; the client gets this.
    Replaced(Vec<u8>),
}

/// Where `MULTI` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    /// A command in it had an error, so it cannot be executed.
    Spoilt,
}

const DISCARD: &[u8] = b"*1\r\n$7\r\nDISCARD\r\n";
const ABORTED: &str = "EXECABORT Transaction discarded because of previous errors.";

impl Redis {
    /// `chance` is the connection's.
    #[must_use]
    pub fn new(chance: Chance, faults: &[MessageFault]) -> Self {
        Self {
            deciders: Deciders::new(chance, faults),
            number: 0,
            reading: Reading::Head(Vec::new()),
            transaction: Transaction::None,
            outgoing: Outgoing::default(),
            awaited: Awaited::default(),
            reply: None,
            blind: false,
        }
    }

    fn take_commands(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        let mut cursor = Cursor::new(bytes);
        while !cursor.rest().is_empty() {
            match &mut self.reading {
                Reading::Blind => {
                    cursor.pass_rest(|bytes| self.outgoing.send(bytes, now, out));
                    return;
                }
                Reading::Rest { scanner, goes } => {
                    let scanned = scanner.scan(cursor.rest());
                    let (Scanned::Part(length) | Scanned::Whole(length)) = scanned else {
                        self.follow_no_more(now, out);
                        continue;
                    };
                    if *goes {
                        cursor.pass(length);
                    } else {
                        cursor.skip(length, |bytes| self.outgoing.send(bytes, now, out));
                    }
                    if matches!(scanned, Scanned::Whole(_)) {
                        self.reading = Reading::Head(Vec::new());
                    }
                }
                Reading::Head(held) if held.is_empty() => {
                    let rest = cursor.rest();
                    match command::find(rest) {
                        Found::NotYet => {
                            held.extend_from_slice(rest);
                            cursor.skip(rest.len(), |bytes| self.outgoing.send(bytes, now, out));
                        }
                        Found::Garbage => self.follow_no_more(now, out),
                        Found::Nothing(length) => cursor.pass(length),
                        Found::Command(command) => {
                            let length = command.length;
                            if self.decide(&command, &mut cursor, now, out) {
                                cursor.pass(length);
                            } else {
                                cursor.skip(length, |bytes| self.outgoing.send(bytes, now, out));
                            }
                        }
                    }
                }
                Reading::Head(_) => self.take_held(&mut cursor, now, out),
            }
        }
        cursor.flush(|bytes| self.outgoing.send(bytes, now, out));
    }

    /// Goes on with a command whose beginning is held.
    fn take_held(&mut self, cursor: &mut Cursor<'_>, now: Instant, out: &mut dyn Sink) {
        let Reading::Head(held) = &mut self.reading else {
            return;
        };
        let mut held = std::mem::take(held);
        let before = held.len();
        // A head is never longer than this; what is behind it stays where it is.
        let rest = cursor.rest();
        let part = &rest[..rest.len().min(command::HEAD_ROOM)];
        held.extend_from_slice(part);
        let used = match command::find(&held) {
            Found::NotYet => {
                self.reading = Reading::Head(held);
                part.len()
            }
            Found::Garbage => {
                held.truncate(before);
                self.outgoing.send(&held, now, out);
                self.follow_no_more(now, out);
                0
            }
            Found::Nothing(length) => {
                self.outgoing.send(&held[..length], now, out);
                length - before
            }
            Found::Command(command) => {
                let length = command.length;
                if self.decide(&command, cursor, now, out) {
                    self.outgoing.send(&held[..length], now, out);
                }
                length - before
            }
        };
        cursor.skip(used, |_| {});
    }

    /// Decides on a command; whether it goes on. The rest of it follows.
    fn decide(
        &mut self,
        command: &Command<'_>,
        cursor: &mut Cursor<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> bool {
        let number = self.number;
        self.number += 1;
        let fits = |fault: &RedisFault| fault.matching.fits(command);
        let Decision { delay, error } = self.deciders.decide(number, fits);
        if !delay.is_zero() || error.is_some() || self.transaction == Transaction::Spoilt {
            // What is in front of it goes first.
            cursor.flush(|bytes| self.outgoing.send(bytes, now, out));
        }
        if !delay.is_zero() {
            self.outgoing.delay(now + delay);
        }
        let goes = match error {
            Some(error) => self.answer(command.turn, &error, now, out),
            None => self.forward(command.turn, now, out),
        };
        self.reading = match command.rest {
            _ if matches!(self.reading, Reading::Blind) => Reading::Blind,
            Some(scanner) => Reading::Rest { scanner, goes },
            None => Reading::Head(Vec::new()),
        };
        goes
    }

    /// A command that goes on; not itself, if its transaction cannot be executed.
    fn forward(&mut self, turn: Turn, now: Instant, out: &mut dyn Sink) -> bool {
        match turn {
            Turn::Away => {
                self.follow_no_more(now, out);
                return true;
            }
            Turn::Execute if self.transaction == Transaction::Spoilt => {
                self.discard(format!("-{ABORTED}\r\n").into_bytes(), now, out);
                return false;
            }
            Turn::Begin if self.transaction == Transaction::None => {
                self.transaction = Transaction::Open;
            }
            Turn::Execute | Turn::Discard => self.transaction = Transaction::None,
            Turn::Begin | Turn::Plain => {}
        }
        self.awaited.push(Reply::Passes, now);
        true
    }

    /// A command that gets an error of ours; never goes on.
    fn answer(&mut self, turn: Turn, error: &RedisError, now: Instant, out: &mut dyn Sink) -> bool {
        if self.transaction != Transaction::None {
            match turn {
                // The upstream would go on queueing.
                Turn::Execute | Turn::Discard => {
                    self.discard(error.reply(), now, out);
                    return false;
                }
                // As the server does with a command that it cannot queue.
                _ => self.transaction = Transaction::Spoilt,
            }
        }
        let due = self.outgoing.turn(now);
        self.awaited.push_ours(error.reply(), now, due);
        self.give_ours(now, out);
        false
    }

    /// Ends the upstream's transaction; the client gets this.
    fn discard(&mut self, instead: Vec<u8>, now: Instant, out: &mut dyn Sink) {
        self.transaction = Transaction::None;
        self.outgoing.send(DISCARD, now, out);
        self.awaited.push(Reply::Replaced(instead), now);
    }

    /// From here on the client's stream is bytes. Replies are, too, when those before it have come.
    fn follow_no_more(&mut self, now: Instant, out: &mut dyn Sink) {
        if let Reading::Head(held) = &self.reading {
            self.outgoing.send(held, now, out);
        }
        self.reading = Reading::Blind;
        self.give_ours(now, out);
    }

    fn give_ours(&mut self, now: Instant, out: &mut dyn Sink) {
        if self.reply.is_none() {
            self.awaited.give_ours(now, out);
            self.blind |= matches!(self.reading, Reading::Blind) && self.awaited.is_empty();
        }
    }

    fn take_replies(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        let mut cursor = Cursor::new(bytes);
        while !self.blind && !cursor.rest().is_empty() {
            let current = match self.reply.take() {
                Some(current) => current,
                None => self.begin_reply(cursor.rest()[0]),
            };
            self.take_reply(current, &mut cursor, now, out);
        }
        if self.blind {
            cursor.pass_rest(|bytes| out.send(Direction::Downstream, bytes));
        }
        cursor.flush(|bytes| out.send(Direction::Downstream, bytes));
    }

    fn begin_reply(&mut self, first: u8) -> Current {
        let is_answer = first != b'>' && self.awaited.front().is_some();
        if is_answer {
            self.awaited.begin(!matches!(first, b'-' | b'!'));
        }
        Current {
            scanner: Scanner::of(1),
            is_answer,
        }
    }

    /// Takes what has come of a reply.
    fn take_reply(
        &mut self,
        mut current: Current,
        cursor: &mut Cursor<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) {
        let scanned = current.scanner.scan(cursor.rest());
        let (Scanned::Part(length) | Scanned::Whole(length)) = scanned else {
            // Not Redis. What was promised is given, and nothing more is.
            cursor.flush(|bytes| out.send(Direction::Downstream, bytes));
            self.awaited.give_up(out);
            self.follow_no_more(now, out);
            self.blind = true;
            return;
        };
        let instead = match self.awaited.front() {
            Some(Reply::Replaced(instead)) if current.is_answer => Some(instead),
            _ => None,
        };
        match instead {
            Some(_) => cursor.skip(length, |bytes| out.send(Direction::Downstream, bytes)),
            None => cursor.pass(length),
        }
        if matches!(scanned, Scanned::Part(_)) {
            self.reply = Some(current);
            return;
        }
        if let Some(instead) = instead {
            out.send(Direction::Downstream, instead);
            self.awaited.pop_replaced(now, out);
        } else if current.is_answer {
            self.awaited.pop(now, out);
        }
        if self.awaited.due().is_some() {
            cursor.flush(|bytes| out.send(Direction::Downstream, bytes));
        }
        self.give_ours(now, out);
    }
}

impl Session for Redis {
    fn receive(&mut self, direction: Direction, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        match direction {
            Direction::Upstream => self.take_commands(bytes, now, out),
            Direction::Downstream => self.take_replies(bytes, now, out),
        }
    }

    fn end(&mut self, direction: Direction, now: Instant, out: &mut dyn Sink) {
        match direction {
            Direction::Upstream => {
                self.follow_no_more(now, out);
                self.outgoing.end(now, out);
            }
            Direction::Downstream => out.end(Direction::Downstream, crate::stream::End::Fin),
        }
    }

    fn wake(&mut self, now: Instant, out: &mut dyn Sink) {
        self.outgoing.wake(now, out);
        self.give_ours(now, out);
    }

    fn due(&self) -> Option<Instant> {
        let ours = self.awaited.due().filter(|_| self.reply.is_none());
        ours.into_iter().chain(self.outgoing.due()).min()
    }

    fn has_room(&self, direction: Direction) -> bool {
        match direction {
            Direction::Upstream => self.outgoing.has_room() && self.awaited.has_room(),
            Direction::Downstream => true,
        }
    }

    fn change(&mut self, faults: &[MessageFault]) {
        self.deciders.change(faults);
    }
}

#[cfg(test)]
mod tests;
