//! The protocol of MySQL and MariaDB: statements as text, prepared ones, results in rows.
//!
//! A request is a query, or a statement that is prepared or executed. A connection that is secured
//! after the handshake, that is compressed, or that becomes one of replication passes as bytes.

mod capabilities;
mod packet;
mod reply;

use std::sync::Arc;

use super::sql::{SqlAction, SqlError, SqlFault, SqlState};
use super::wire::{Answering, Asking, Becomes, Conversation, Dialect, Shape, Texts};
use super::{Kind, MessageFault, Session};
use crate::chance::Chance;

use capabilities::Capabilities;
use reply::{Means, Place, Reply};

/// A fault on some of the statements of a route, or on its connections.
pub type MysqlFault = SqlFault<MysqlError>;

/// What becomes of a statement, or of a connection.
pub type MysqlAction = SqlAction<MysqlError>;

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

impl SqlError for MysqlError {
    fn fault(kind: &Kind) -> Option<&MysqlFault> {
        match kind {
            Kind::Mysql(fault) => Some(fault),
            _ => None,
        }
    }
}

/// One connection; `chance` is its own.
#[must_use]
pub fn session(chance: Chance, faults: &[MessageFault]) -> impl Session + use<> {
    Conversation::new(Mysql::default(), chance, faults)
}

#[derive(Debug, Default)]
struct Mysql {
    phase: Phase,
    agreed: Capabilities,
    /// The packet before this one, the client's and the server's, was not the last of what it is
    /// part of.
    continues: [bool; 2],
    statements: Texts<u32>,
    last: Last,
    place: Place,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// The server speaks first.
    #[default]
    Greeting,
    /// The client says what it can, and who it is.
    Answer,
    /// They talk about that until the server is content.
    Login,
    Commands,
    /// The client sends a file.
    File,
}

/// What was prepared last, which MariaDB's clients execute before they know its number.
#[derive(Debug, Clone, Default)]
enum Last {
    #[default]
    Unknown,
    Text(Arc<[u8]>),
    /// It got an error of ours, and so does its execution.
    Failed(MysqlError),
}

/// In place of a number: what was prepared last.
const LAST: u32 = u32::MAX;

impl Mysql {
    /// A command begins; whether it goes on.
    fn command(&mut self, head: &[u8], asking: &mut Asking<'_, '_, Self>) -> bool {
        let content = &head[4..];
        let Some((kind, rest)) = content.split_first() else {
            asking.follow_no_more();
            return true;
        };
        let reply = match kind {
            3 => {
                let text = self.text(rest);
                return self.decide(Reply::Results, text, head, asking);
            }
            22 => {
                let reply = Reply::Prepared(rest.into());
                return self.decide(reply, Some(rest), head, asking);
            }
            // Executed: one, or with many values.
            23 | 250 => return self.execute(rest, head, asking),
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
                asking.follow_no_more();
                return true;
            }
        };
        asking.expect(reply);
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

    fn execute(&mut self, rest: &[u8], head: &[u8], asking: &mut Asking<'_, '_, Self>) -> bool {
        let text = match (packet::double_word(rest, 0), &self.last) {
            (Some(LAST), Last::Failed(error)) => {
                asking.count();
                asking.answer(packet::error(head[3].wrapping_add(1), error));
                return false;
            }
            (Some(LAST), Last::Text(text)) => Some(Arc::clone(text)),
            (Some(LAST), Last::Unknown) | (None, _) => None,
            (Some(number), _) => self.statements.get(&number).map(Arc::clone),
        };
        self.decide(Reply::Results, text.as_deref(), head, asking)
    }

    /// A request to decide on; whether it goes on.
    fn decide(
        &mut self,
        reply: Reply,
        text: Option<&[u8]>,
        head: &[u8],
        asking: &mut Asking<'_, '_, Self>,
    ) -> bool {
        let mut error = asking.decide(|fault| fault.matching.fits(text));
        if packet::length(head) == Some(packet::FULL) {
            // Its answer's number depends on how many packets it has.
            error = None;
        }
        if let Reply::Prepared(text) = &reply {
            self.last = match &error {
                Some(error) => Last::Failed(error.clone()),
                None => Last::Text(Arc::clone(text)),
            };
        }
        match error {
            Some(error) => {
                asking.answer(packet::error(head[3].wrapping_add(1), &error));
                false
            }
            None => {
                asking.expect(reply);
                true
            }
        }
    }

    /// A packet of a reply to a command.
    fn go_on(
        &mut self,
        content: &[u8],
        length: u64,
        answering: &mut Answering<'_, Self>,
    ) -> Becomes {
        let Some(reply) = answering.awaited() else {
            return Becomes::Passes;
        };
        let mut means = reply.read(self.place, content, length, self.agreed);
        if let Means::PreparedAs(number) = means {
            if let Reply::Prepared(text) = reply {
                self.statements.set(number, Arc::clone(text));
            }
            means = Reply::after_prepared(content);
        }
        match means {
            Means::More(place) => {
                self.place = place;
                Becomes::Passes
            }
            Means::File => {
                if self.phase == Phase::Commands {
                    self.phase = Phase::File;
                }
                Becomes::Passes
            }
            Means::Last { well } => {
                self.place = Place::First;
                Becomes::Answers { well }
            }
            Means::PreparedAs(_) | Means::Garbage => Becomes::Lost,
        }
    }
}

impl Dialect for Mysql {
    type Fault = MysqlFault;
    type Reply = Reply;
    type Rest = u64;
    type About = ();

    fn request_shape(&self, bytes: &[u8], _is_watched: bool) -> Shape<u64> {
        match self.phase {
            Phase::Greeting => Shape::Garbage,
            Phase::Answer => packet::of_greetings(bytes),
            Phase::Login | Phase::Commands | Phase::File => packet::of_statements(bytes),
        }
    }

    fn take_request(&mut self, head: &[u8], (): (), asking: &mut Asking<'_, '_, Self>) -> bool {
        let length = packet::length(head).unwrap_or(0);
        let (number, content) = (head[3], &head[4..]);
        let is_rest = std::mem::replace(&mut self.continues[0], length == packet::FULL);
        match self.phase {
            Phase::Answer => match self.agreed.agreed(content, length) {
                Some(agreed) => {
                    self.agreed = agreed;
                    self.phase = Phase::Login;
                }
                None => asking.follow_no_more(),
            },
            Phase::File if length == 0 => self.phase = Phase::Commands,
            _ if is_rest => return asking.went(),
            Phase::Commands if number == 0 => return self.command(head, asking),
            // Part of a talk about who the client is.
            Phase::Commands if asking.awaited() != Some(&Reply::Talk) => asking.follow_no_more(),
            _ => {}
        }
        true
    }

    fn reply_shape(&self, bytes: &[u8]) -> Shape<u64> {
        match self.phase {
            Phase::Greeting => packet::of_greetings(bytes),
            _ => packet::of_replies(bytes),
        }
    }

    fn take_reply(&mut self, head: &[u8], answering: &mut Answering<'_, Self>) -> Becomes {
        let length = packet::length(head).unwrap_or(0);
        let content = &head[4..];
        if std::mem::replace(&mut self.continues[1], length == packet::FULL) {
            return Becomes::Passes;
        }
        match self.phase {
            Phase::Greeting => match Capabilities::of_server(content) {
                Some(can) => {
                    self.agreed = can;
                    self.phase = Phase::Answer;
                }
                None => answering.follow_no_more(),
            },
            Phase::Login if content.first() == Some(&0) => {
                if let Some(error) = answering.refusal() {
                    return Becomes::Refused(packet::error(head[3], &error));
                }
                self.phase = Phase::Commands;
            }
            Phase::Answer | Phase::Login => {}
            Phase::Commands | Phase::File => return self.go_on(content, length, answering),
        }
        Becomes::Passes
    }

    fn is_between(&self) -> bool {
        self.place == Place::First && !self.continues[1]
    }
}

#[cfg(test)]
mod tests;
