//! The protocol of MySQL and MariaDB: statements as text, prepared ones, results in rows.
//!
//! A request is a query, or a statement that is prepared or executed. A connection that is secured
//! after the handshake, that is compressed, or that becomes one of replication passes as bytes.

mod capabilities;
mod packet;
mod reply;

use std::sync::Arc;
use std::time::Instant;

use super::sql::{SqlState, StatementMatch};
use super::wire::{Awaited, Cursor, Deciders, Decision, Frames, Outgoing, Step, Texts, WireFault};
use super::{Kind, MessageFault, Session, Sink};
use crate::chance::Chance;
use crate::stream::{Direction, End, Latency};

use capabilities::Capabilities;
use reply::{Means, Place, Reply};

/// A fault on some of the statements of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct MysqlFault {
    pub matching: StatementMatch,
    pub action: MysqlAction,
}

/// What becomes of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum MysqlAction {
    /// It goes on later, and what comes behind it too.
    Delay(Latency),
    /// It does not go on: this error is its answer.
    Error(MysqlError),
    /// The connection ends with this, when the client has said who it is.
    Refuse(MysqlError),
}

/// An error as the server gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MysqlError {
    pub code: u16,
    pub state: SqlState,
    pub message: String,
}

impl MysqlError {
    /// What a statement gets if nothing else is said.
    #[must_use]
    pub fn of_statements() -> Self {
        Self {
            code: 1105,
            state: SqlState::of(*b"HY000"),
            message: "injected by firedrill".into(),
        }
    }

    /// What a connection gets if nothing else is said.
    #[must_use]
    pub fn of_connections() -> Self {
        Self {
            code: 1040,
            state: SqlState::of(*b"08004"),
            message: "Too many connections".into(),
        }
    }
}

impl WireFault for MysqlFault {
    type Error = MysqlError;

    fn of(kind: &Kind) -> Option<&Self> {
        match kind {
            Kind::Mysql(fault) => Some(fault),
            _ => None,
        }
    }

    fn delay(&self) -> Option<Latency> {
        match self.action {
            MysqlAction::Delay(latency) => Some(latency),
            _ => None,
        }
    }

    fn error(&self) -> Option<&MysqlError> {
        match &self.action {
            MysqlAction::Error(error) => Some(error),
            _ => None,
        }
    }

    fn refusal(&self) -> Option<&MysqlError> {
        match &self.action {
            MysqlAction::Refuse(error) => Some(error),
            _ => None,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Mysql {
    deciders: Deciders<MysqlFault>,
    /// Of the next request.
    number: u64,
    phase: Phase,
    agreed: Capabilities,
    requests: Frames,
    /// Whether the packet that is coming goes on.
    goes: bool,
    /// The packet before this one was not the last of what it is part of.
    continues: [bool; 2],
    statements: Texts<u32>,
    last: Last,
    outgoing: Outgoing,
    awaited: Awaited<Reply>,
    replies: Frames,
    place: Place,
    /// Replies are not looked at any more.
    blind: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The server speaks first.
    Greeting,
    /// The client says what it can, and who it is.
    Answer,
    /// They talk about that until the server is content.
    Login,
    Commands,
    /// The client sends a file.
    File,
    /// Only bytes.
    Blind,
    /// We have ended it.
    Over,
}

/// What was prepared last, which MariaDB's clients execute before they know its number.
#[derive(Debug, Clone)]
enum Last {
    Unknown,
    Text(Arc<[u8]>),
    /// It got an error of ours, and so does its execution.
    Failed(MysqlError),
}

/// In place of a number: what was prepared last.
const LAST: u32 = u32::MAX;

impl Mysql {
    /// `chance` is the connection's.
    #[must_use]
    pub fn new(chance: Chance, faults: &[MessageFault]) -> Self {
        Self {
            deciders: Deciders::new(chance, faults),
            number: 0,
            phase: Phase::Greeting,
            agreed: Capabilities::default(),
            requests: Frames::default(),
            goes: true,
            continues: [false; 2],
            statements: Texts::default(),
            last: Last::Unknown,
            outgoing: Outgoing::default(),
            awaited: Awaited::default(),
            replies: Frames::default(),
            place: Place::First,
            blind: false,
        }
    }

    fn take_requests(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        let mut cursor = Cursor::new(bytes);
        loop {
            let shape = match self.phase {
                Phase::Answer => packet::of_greetings,
                Phase::Login | Phase::Commands | Phase::File => packet::of_statements,
                Phase::Greeting | Phase::Blind => {
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
    }

    /// A packet of the client's begins; whether it goes on.
    fn take_request(
        &mut self,
        head: &[u8],
        cursor: &mut Cursor<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> bool {
        let length = packet::length(head).unwrap_or(0);
        let (number, content) = (head[3], &head[4..]);
        let is_rest = std::mem::replace(&mut self.continues[0], length == packet::FULL);
        match self.phase {
            Phase::Answer => match self.agreed.agreed(content, length) {
                Some(agreed) => {
                    self.agreed = agreed;
                    self.phase = Phase::Login;
                }
                None => self.follow_no_more(now, out),
            },
            Phase::File if length == 0 => self.phase = Phase::Commands,
            _ if is_rest => return self.goes,
            Phase::Commands if number == 0 => return self.command(head, cursor, now, out),
            // Part of a talk about who the client is.
            Phase::Commands if self.awaited.front() != Some(&Reply::Talk) => {
                self.follow_no_more(now, out);
            }
            _ => {}
        }
        true
    }

    /// A command begins; whether it goes on.
    fn command(
        &mut self,
        head: &[u8],
        cursor: &mut Cursor<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> bool {
        let content = &head[4..];
        let Some((kind, rest)) = content.split_first() else {
            self.follow_no_more(now, out);
            return true;
        };
        let reply = match kind {
            3 => {
                let text = self.text(rest).map(Arc::from);
                return self.decide(Reply::Results, text, head, cursor, now, out);
            }
            22 => {
                let text: Arc<[u8]> = rest.into();
                let reply = Reply::Prepared(Arc::clone(&text));
                return self.decide(reply, Some(text), head, cursor, now, out);
            }
            // Executed: one, or with many values.
            23 | 250 => return self.execute(rest, head, cursor, now, out),
            // The client leaves; a value is sent in parts.
            1 | 24 => return true,
            25 => {
                if let Some(number) = packet::double_word(rest, 0) {
                    self.statements.remove(&number);
                }
                return true;
            }
            2 | 7..=10 | 13 | 14 | 26 | 27 => Reply::One,
            31 => {
                self.statements.clear();
                Reply::One
            }
            17 => {
                self.statements.clear();
                Reply::Talk
            }
            4 | 28 => Reply::List,
            _ => {
                self.follow_no_more(now, out);
                return true;
            }
        };
        self.awaited.push(reply, now);
        true
    }

    /// The text of a query.
    fn text<'a>(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        if !self.agreed.has_attributes() {
            return Some(rest);
        }
        // Without values there is nothing before the text but how many they are.
        match packet::number(rest)? {
            (0, used) => rest.get(used + packet::number(rest.get(used..)?)?.1..),
            _ => None,
        }
    }

    fn execute(
        &mut self,
        rest: &[u8],
        head: &[u8],
        cursor: &mut Cursor<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> bool {
        let number = packet::double_word(rest, 0);
        if number != Some(LAST) {
            let text = number.and_then(|number| self.statements.get(&number).map(Arc::clone));
            return self.decide(Reply::Results, text, head, cursor, now, out);
        }
        match self.last.clone() {
            Last::Failed(error) => {
                cursor.flush(|bytes| self.outgoing.send(bytes, now, out));
                self.number += 1;
                self.answer(head[3], &error, now, out);
                false
            }
            Last::Text(text) => self.decide(Reply::Results, Some(text), head, cursor, now, out),
            Last::Unknown => self.decide(Reply::Results, None, head, cursor, now, out),
        }
    }

    /// A request to decide on; whether it goes on.
    fn decide(
        &mut self,
        reply: Reply,
        text: Option<Arc<[u8]>>,
        head: &[u8],
        cursor: &mut Cursor<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> bool {
        let number = self.number;
        self.number += 1;
        let fits = |fault: &MysqlFault| fault.matching.fits(text.as_deref());
        let Decision { delay, mut error } = self.deciders.decide(number, fits);
        if packet::length(head) == Some(packet::FULL) {
            // Its answer's number depends on how many packets it has.
            error = None;
        }
        if !delay.is_zero() || error.is_some() {
            // What is in front of it goes first.
            cursor.flush(|bytes| self.outgoing.send(bytes, now, out));
            self.outgoing.delay(now + delay);
        }
        if matches!(reply, Reply::Prepared(_)) {
            self.last = match (&error, text) {
                (Some(error), _) => Last::Failed(error.clone()),
                (None, Some(text)) => Last::Text(text),
                (None, None) => Last::Unknown,
            };
        }
        match error {
            Some(error) => {
                self.answer(head[3], &error, now, out);
                false
            }
            None => {
                self.awaited.push(reply, now);
                true
            }
        }
    }

    fn answer(&mut self, number: u8, error: &MysqlError, now: Instant, out: &mut dyn Sink) {
        let ours = packet::error(number.wrapping_add(1), error);
        let due = self.outgoing.turn(now);
        self.awaited.push_ours(ours, now, due);
        self.give_ours(now, out);
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

    /// Whether no reply has begun, and no packet.
    fn is_between(&self) -> bool {
        self.replies.is_between() && self.place == Place::First && !self.continues[1]
    }

    fn give_ours(&mut self, now: Instant, out: &mut dyn Sink) {
        if self.is_between() {
            self.awaited.give_ours(now, out);
            self.blind |= self.phase == Phase::Blind && self.awaited.is_empty();
        }
    }

    fn take_replies(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        let mut cursor = Cursor::new(bytes);
        while !self.blind && self.phase != Phase::Over {
            let shape = match self.phase {
                Phase::Greeting => packet::of_greetings,
                _ => packet::of_replies,
            };
            let send = |bytes: &[u8]| out.send(Direction::Downstream, bytes);
            let step = self.replies.next(&mut cursor, shape, send);
            match step {
                Step::Begin(head) => {
                    let refused = self.take_reply(&head, now, out);
                    let send = |bytes: &[u8]| out.send(Direction::Downstream, bytes);
                    if let Some(ours) = refused {
                        cursor.skip_head(&head, send);
                        out.send(Direction::Downstream, &ours);
                        out.end(Direction::Downstream, End::Close);
                        self.phase = Phase::Over;
                        return;
                    }
                    cursor.pass_head(&head, send);
                }
                Step::Within(length) => cursor.pass(length),
                Step::More => return,
                Step::Garbage(held) => {
                    cursor.flush(|bytes| out.send(Direction::Downstream, bytes));
                    out.send(Direction::Downstream, &held);
                    self.give_up(now, out);
                }
            }
            if self.awaited.due().is_some() && self.is_between() {
                cursor.flush(|bytes| out.send(Direction::Downstream, bytes));
            }
            self.give_ours(now, out);
        }
        if self.phase != Phase::Over {
            cursor.pass_rest(|bytes| out.send(Direction::Downstream, bytes));
        }
    }

    /// Cannot be followed. What was promised is given, and nothing more is.
    fn give_up(&mut self, now: Instant, out: &mut dyn Sink) {
        self.awaited.give_up(out);
        self.blind = true;
        self.follow_no_more(now, out);
    }

    /// A packet of the server's begins. What the client gets instead, if that ends the connection.
    fn take_reply(&mut self, head: &[u8], now: Instant, out: &mut dyn Sink) -> Option<Vec<u8>> {
        let length = packet::length(head).unwrap_or(0);
        let content = &head[4..];
        if std::mem::replace(&mut self.continues[1], length == packet::FULL) {
            return None;
        }
        match self.phase {
            Phase::Greeting => match Capabilities::of_server(content) {
                Some(can) => {
                    self.agreed = can;
                    self.phase = Phase::Answer;
                }
                None => self.follow_no_more(now, out),
            },
            Phase::Login if content.first() == Some(&0) => {
                if let Some(error) = self.deciders.refusal() {
                    return Some(packet::error(head[3], &error));
                }
                self.phase = Phase::Commands;
            }
            Phase::Answer | Phase::Login => {}
            _ => self.go_on(content, length, now, out),
        }
        None
    }

    /// A packet of a reply to a command.
    fn go_on(&mut self, content: &[u8], length: u64, now: Instant, out: &mut dyn Sink) {
        let Some(reply) = self.awaited.front() else {
            return;
        };
        let mut means = reply.read(self.place, content, length, self.agreed);
        if let Means::PreparedAs(number) = means {
            if let Reply::Prepared(text) = reply {
                self.statements.set(number, Arc::clone(text));
            }
            means = Reply::after_prepared(content);
        }
        match means {
            Means::More(place) => self.place = place,
            Means::File => {
                if self.phase == Phase::Commands {
                    self.phase = Phase::File;
                }
            }
            Means::Last { well } => {
                self.place = Place::First;
                self.awaited.begin(well);
                self.awaited.pop(now, out);
            }
            Means::PreparedAs(_) | Means::Garbage => {
                self.place = Place::First;
                self.give_up(now, out);
            }
        }
    }
}

impl Session for Mysql {
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
        let ours = self.awaited.due().filter(|_| self.is_between());
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
