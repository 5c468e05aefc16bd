//! Redis, in both versions of its protocol (RESP2 and RESP3), with pipelines.
//!
//! A connection that becomes something else than requests with one answer each (subscriptions,
//! `MONITOR`, replication, `CLIENT REPLY`) passes as bytes from there on.

mod command;
mod value;

use super::wire::{
    Answering, Asking, Becomes, Conversation, Dialect, Does, Kept, Shape, WireFault,
};
use super::{Kind, MessageFault, Pattern, Session};
use crate::chance::Chance;
use crate::stream::Latency;

use command::{Command, Turn};
use value::Values;

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
    fn fits(&self, name: &[u8], key: Option<&[u8]>) -> bool {
        let is_name = |one: &String| name.eq_ignore_ascii_case(one.as_bytes());
        let named = self.commands.is_empty() || self.commands.iter().any(is_name);
        let is_key = |one: &Pattern| key.is_some_and(|key| one.matches(key));
        named && self.key.as_ref().is_none_or(is_key)
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

    fn does(&self) -> Does<'_, RedisError> {
        match &self.action {
            RedisAction::Delay(latency) => Does::Delay(*latency),
            RedisAction::Error(error) => Does::Error(error),
        }
    }
}

/// One connection; `chance` is its own.
#[must_use]
pub fn session(chance: Chance, faults: &[MessageFault]) -> impl Session + use<> {
    Conversation::new(Redis::default(), chance, faults)
}

#[derive(Debug, Default)]
struct Redis {
    transaction: Transaction,
}

/// What the upstream's reply is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    Passes,
    /// The upstream was asked something else; the client gets this.
    Replaced(Vec<u8>),
}

impl Kept for Reply {
    fn bytes(&self) -> usize {
        match self {
            Self::Passes => 0,
            Self::Replaced(instead) => instead.len(),
        }
    }
}

/// Where `MULTI` stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Transaction {
    #[default]
    None,
    Open,
    /// A command in it had an error, so it cannot be executed.
    Spoilt,
}

/// What nobody asked for begins with this.
const PUSH: &[u8] = b">";

const DISCARD: &[u8] = b"*1\r\n$7\r\nDISCARD\r\n";
const ABORTED: &str = "-EXECABORT Transaction discarded because of previous errors.\r\n";

impl Redis {
    /// A command that goes on; not itself, if its transaction cannot be executed.
    fn forward(&mut self, turn: Turn, asking: &mut Asking<'_, '_, Self>) -> bool {
        match turn {
            Turn::Away => {
                asking.follow_no_more();
                return true;
            }
            Turn::Execute if self.transaction == Transaction::Spoilt => {
                self.discard(ABORTED.into(), asking);
                return false;
            }
            Turn::Begin if self.transaction == Transaction::None => {
                self.transaction = Transaction::Open;
            }
            Turn::Execute | Turn::Discard => self.transaction = Transaction::None,
            Turn::Begin | Turn::Plain => {}
        }
        asking.expect(Reply::Passes);
        true
    }

    /// A command that gets an error of ours, and does not go on.
    fn answer(&mut self, turn: Turn, error: &RedisError, asking: &mut Asking<'_, '_, Self>) {
        match (self.transaction, turn) {
            (Transaction::None, _) => {}
            // The upstream would go on queueing.
            (_, Turn::Execute | Turn::Discard) => return self.discard(error.reply(), asking),
            // As the server does with a command that it cannot queue.
            _ => self.transaction = Transaction::Spoilt,
        }
        asking.answer(error.reply());
    }

    /// Ends the upstream's transaction; the client gets this.
    fn discard(&mut self, instead: Vec<u8>, asking: &mut Asking<'_, '_, Self>) {
        self.transaction = Transaction::None;
        asking.say(DISCARD);
        asking.expect(Reply::Replaced(instead));
    }
}

impl Dialect for Redis {
    type Fault = RedisFault;
    type Reply = Reply;
    type Rest = Values;
    type About = Option<Command>;

    fn request_shape(&self, bytes: &[u8], is_watched: bool) -> Shape<Values, Option<Command>> {
        command::find(bytes, is_watched)
    }

    fn take_request(
        &mut self,
        head: &[u8],
        command: Option<Command>,
        asking: &mut Asking<'_, '_, Self>,
    ) -> bool {
        let Some(command) = command else {
            return true;
        };
        let (name, key) = (command.name(head), command.key(head));
        match asking.decide(|fault| fault.matching.fits(name, key)) {
            None => self.forward(command.turn, asking),
            Some(error) => {
                self.answer(command.turn, &error, asking);
                false
            }
        }
    }

    fn reply_shape(&self, bytes: &[u8]) -> Shape<Values> {
        match Values::begun(bytes[0]) {
            Some(rest) => Shape::Known {
                head: 1,
                rest,
                about: (),
            },
            None => Shape::Garbage,
        }
    }

    fn take_reply(&mut self, head: &[u8], answering: &mut Answering<'_, Self>) -> Becomes {
        let instead = match answering.awaited() {
            Some(_) if head == PUSH => return Becomes::Passes,
            None => return Becomes::Passes,
            Some(Reply::Passes) => {
                let well = !matches!(head, b"-" | b"!");
                return Becomes::Answers { well };
            }
            Some(Reply::Replaced(instead)) => instead.clone(),
        };
        answering.replace(instead)
    }
}

#[cfg(test)]
mod tests;
