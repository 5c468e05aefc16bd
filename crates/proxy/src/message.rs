//! Protocols that the proxy understands, so that a fault can be on one request. Pure: bytes and
//! times come from outside.
//!
//! ```text
//!              ┌──────────── session ────────────┐
//!   client ───▶│ parse ─▶ decide ─▶ pass, change │──▶ lane upstream ──▶ upstream
//!          ◀── │ answer ourselves       parse ◀─ │◀──
//!              └─────────────────────────────────┘
//! ```
//!
//! A session is one protocol on one connection. It sees the bytes of both sides in their order and
//! says what goes where; the faults of the stream ([`crate::stream`]) come behind it. Without a
//! fault it passes on every byte as it came.

pub mod grpc;
pub mod http;
pub mod http2;
pub mod kafka;
pub mod mysql;
mod outgoing;
mod passing;
mod pattern;
pub mod postgres;
mod protocol;
pub mod redis;
pub mod sql;
pub mod websocket;
mod wire;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use grpc::{GrpcAction, GrpcFault, GrpcMatch, GrpcStatus};
pub use http::{BodyChange, HeaderChange, HttpAction, HttpFault, HttpMatch};
pub use http2::Http2;
pub use kafka::{KafkaAction, KafkaFault, KafkaMatch};
pub use mysql::{MysqlAction, MysqlError, MysqlFault};
pub use pattern::Pattern;
pub use postgres::{PostgresAction, PostgresError, PostgresFault};
pub use protocol::{Protocol, UnknownProtocol};
pub use redis::{RedisAction, RedisError, RedisFault, RedisMatch};
pub use sql::{NoSqlState, SqlAction, SqlFault, SqlState, StatementMatch};
pub use websocket::{
    WebSocketAction, WebSocketChange, WebSocketFault, WebSocketMatch, WebSocketMessage,
};

use crate::arms::{Arm, Arms, Member};
use crate::chance::Chance;
use crate::stream::{Direction, End};

/// One protocol on one connection.
pub trait Session: Debug + Send {
    /// Takes what a side sent: bytes that go in this direction.
    fn receive(&mut self, direction: Direction, bytes: &[u8], now: Instant, out: &mut dyn Sink);

    /// The sender of this direction has nothing more to say.
    fn end(&mut self, direction: Direction, now: Instant, out: &mut dyn Sink);

    /// The connection broke off: what has no answer yet gets none. Nothing is sent any more.
    fn give_up(&mut self, _now: Instant, _out: &mut dyn Sink) {}

    /// Does what its time has come for.
    fn wake(&mut self, now: Instant, out: &mut dyn Sink);

    /// When [`Session::wake`] has something to do, if only time is missing.
    fn due(&self) -> Option<Instant>;

    /// Whether more is taken in this direction. What a session holds is bounded by this.
    fn has_room(&self, direction: Direction) -> bool;

    /// Makes these the faults of the connection; what is decided already stays so.
    fn change(&mut self, faults: &[MessageFault]);

    /// From now on requests are in these arms. Where a protocol's requests do not say who asks, only
    /// whole connections are in an arm, and the session need not know.
    fn divide(&mut self, _arms: Option<Arms>) {}
}

/// Where a session says what goes where.
pub trait Sink {
    /// These bytes go next in this direction.
    fn send(&mut self, direction: Direction, bytes: &[u8]);

    /// This is how the direction ends; of [`End::Reset`] and [`End::Close`], how the connection does.
    fn end(&mut self, direction: Direction, end: End);

    /// A request has its answer. To be counted; nothing depends on it.
    fn answered(&mut self, _answer: Answered) {}
}

/// What a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Whether the answer says that it went well, as far as the protocol has a word for that.
    pub well: bool,
    /// Whether the answer is a fault's, not the upstream's.
    pub ours: bool,
    /// From when the request was there to when its answer ended.
    pub took: Duration,
    /// Who asked, where the request says it and its connection is in no arm.
    pub member: Option<Member>,
}

/// A fault on the messages of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageFault {
    /// Unique on its route. Decisions follow the name: a fault that is edited keeps them.
    pub name: Arc<str>,
    /// The share of the messages that it is on, of those it is meant for; 0 to 1.
    pub share: f64,
    /// The arm that it is for; any if none is named.
    pub arm: Option<Arm>,
    pub kind: Kind,
}

impl MessageFault {
    /// Whether it is on the message of this number. `chance` is the connection's.
    #[must_use]
    pub fn falls_on(&self, chance: Chance, message: u64) -> bool {
        chance.named(&self.name).of(message).happens(self.share)
    }
}

/// What a fault does, by the protocol that it is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Http(HttpFault),
    Grpc(GrpcFault),
    Kafka(KafkaFault),
    Mysql(MysqlFault),
    Postgres(PostgresFault),
    Redis(RedisFault),
    WebSocket(WebSocketFault),
}

impl Kind {
    /// The protocol of the messages that it is on.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match self {
            Self::Http(_) | Self::WebSocket(_) => Protocol::Http,
            Self::Grpc(_) => Protocol::Http2,
            Self::Kafka(_) => Protocol::Kafka,
            Self::Mysql(_) => Protocol::Mysql,
            Self::Postgres(_) => Protocol::Postgres,
            Self::Redis(_) => Protocol::Redis,
        }
    }

    /// Whether it may be on a route that speaks this.
    #[must_use]
    pub fn suits(&self, protocol: Protocol) -> bool {
        let newer = matches!(self, Self::Http(_)) && protocol == Protocol::Http2;
        newer || self.protocol() == protocol
    }
}
