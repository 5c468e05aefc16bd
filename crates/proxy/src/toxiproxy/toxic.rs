//! Toxics as Toxiproxy writes them, and the faults that they are.

mod asked;
mod grpc;
pub(super) mod http;
mod kafka;
mod messages;
mod redis;
mod sql;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use firedrill_worker::queue::distribution::Distribution;
use firedrill_worker::queue::loss::Loss;
use firedrill_worker::queue::random::Share;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::ApiError;
use super::split::is_true;
use super::tls::HandshakeEnd;
use crate::arms::Arm;
use crate::datagram::{self, DatagramFault};
use crate::message::{self, MessageFault};
use crate::route::Faults;
use crate::stream::{
    Bandwidth, Corrupt, Direction, Hang, Kind, Latency, Limit, Reset, Slicer, SlowClose, Stalls,
    StreamFault, Timeout,
};
use crate::tls::flaw::{self, Flaw, HandshakeFault};
pub use asked::{NewToxic, ToxicChange};
use grpc::{GrpcAbort, GrpcCut, GrpcDelay};
use http::{HttpAbort, HttpBody, HttpDelay, HttpHeader, HttpReset};
use kafka::{KafkaDelay, KafkaErrorToxic};
use messages::OnMessages;
use redis::{RedisDelay, RedisErrorToxic};
use sql::{
    MysqlDelay, MysqlErrorToxic, MysqlRefuse, PostgresDelay, PostgresErrorToxic, PostgresRefuse,
};
use websocket::{WebSocketClose, WebSocketDelay, WebSocketDrop, WebSocketMessageToxic};

/// A toxic on a proxy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Toxic {
    #[serde(flatten)]
    pub attributes: Attributes,
    pub name: String,
    pub stream: Stream,
    pub toxicity: f64,
    /// Ours: only those in this arm meet it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arm: Option<Arm>,
    /// Ours: whether a state file keeps it for the proxy's next start.
    #[serde(skip_serializing_if = "is_true")]
    pub kept: bool,
}

/// Toxiproxy's names of the directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Upstream,
    Downstream,
}

/// What a toxic does. Milliseconds where nothing else is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "attributes", rename_all = "snake_case")]
pub enum Attributes {
    Latency(LatencyToxic),
    Bandwidth {
        /// Kilobytes (of 1000) a second.
        #[serde(default)]
        rate: u64,
    },
    SlowClose {
        #[serde(default)]
        delay: u64,
    },
    Timeout {
        #[serde(default)]
        timeout: u64,
    },
    ResetPeer {
        #[serde(default)]
        timeout: u64,
    },
    Slicer {
        /// Bytes.
        #[serde(default)]
        average_size: u64,
        /// Bytes.
        #[serde(default)]
        size_variation: u64,
        /// Microseconds.
        #[serde(default)]
        delay: u64,
    },
    LimitData {
        #[serde(default)]
        bytes: u64,
    },
    Noop {},
    /// Ours: segments that come late, with everything behind them.
    Loss {
        /// Of segments, 0 to 1.
        #[serde(default)]
        share: f64,
        #[serde(default = "retransmission")]
        stall: u64,
    },
    /// Ours: a flipped bit in a share of the segments.
    Corrupt {
        /// Of segments, 0 to 1.
        #[serde(default)]
        share: f64,
    },
    /// Ours: the peer says nothing, and loses nothing.
    Hang {},
    /// Ours: clients are shown a certificate with a flaw.
    TlsCertificate {
        #[serde(default)]
        flaw: Flaw,
    },
    /// Ours: handshakes of clients come to nothing.
    TlsHandshake {
        #[serde(default)]
        fail: HandshakeEnd,
    },
    /// Ours: datagrams that come twice.
    Duplicate {
        /// Of datagrams, 0 to 1.
        #[serde(default)]
        share: f64,
    },
    /// Ours: datagrams that others overtake.
    Reorder {
        /// Of datagrams, 0 to 1.
        #[serde(default)]
        share: f64,
        #[serde(default = "late")]
        delay: u64,
    },
    HttpDelay(HttpDelay),
    HttpAbort(HttpAbort),
    HttpReset(HttpReset),
    HttpBody(HttpBody),
    HttpHeader(HttpHeader),
    GrpcDelay(GrpcDelay),
    GrpcAbort(GrpcAbort),
    GrpcCut(GrpcCut),
    RedisDelay(RedisDelay),
    RedisError(RedisErrorToxic),
    PostgresDelay(PostgresDelay),
    PostgresError(PostgresErrorToxic),
    PostgresRefuse(PostgresRefuse),
    MysqlDelay(MysqlDelay),
    MysqlError(MysqlErrorToxic),
    MysqlRefuse(MysqlRefuse),
    KafkaDelay(KafkaDelay),
    KafkaError(KafkaErrorToxic),
    #[serde(rename = "websocket_delay")]
    WebSocketDelay(WebSocketDelay),
    #[serde(rename = "websocket_drop")]
    WebSocketDrop(WebSocketDrop),
    #[serde(rename = "websocket_close")]
    WebSocketClose(WebSocketClose),
    #[serde(rename = "websocket_message")]
    WebSocketMessage(WebSocketMessageToxic),
}

/// What a toxic is a fault on.
enum Effect {
    Stream(Kind),
    Message(message::Kind),
    Handshake(flaw::Kind),
    /// On datagrams, and on nothing else.
    Datagram,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyToxic {
    #[serde(default)]
    pub latency: u64,
    #[serde(default)]
    pub jitter: u64,
    /// Ours: how the jitter is spread.
    #[serde(default, skip_serializing_if = "is_default")]
    pub distribution: Distribution,
    /// Ours: how much of each draw is the one before, 0 to below 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub correlation: f64,
}

impl LatencyToxic {
    fn latency(&self) -> Latency {
        Latency {
            delay: Duration::from_millis(self.latency),
            jitter: Duration::from_millis(self.jitter),
            distribution: self.distribution,
            correlation: self.correlation,
        }
    }
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Long enough that what was sent a little later comes before, in milliseconds.
fn late() -> u64 {
    10
}

/// The least time after which Linux sends a segment again, in milliseconds.
fn retransmission() -> u64 {
    200
}

impl Toxic {
    /// The toxic with these changes; attributes that are not named stay.
    pub(super) fn changed(&self, change: ToxicChange) -> Result<Self, ApiError> {
        let mut changed = self.clone();
        if let Some(toxicity) = change.toxicity {
            changed.toxicity = toxicity;
        }
        if let Some(new) = change.attributes {
            let (kind, mut attributes) = self.attributes.written();
            attributes.extend(new);
            changed.attributes = Attributes::read(&kind, &attributes)?;
        }
        changed.check()
    }

    fn check(self) -> Result<Self, ApiError> {
        let share = |what: &str, value: f64| {
            let within = (0.0..=1.0).contains(&value);
            let wrong = || ApiError::body(format!("{what} is {value}; it is a share from 0 to 1"));
            within.then_some(()).ok_or_else(wrong)
        };
        share("toxicity", self.toxicity)?;
        match &self.attributes {
            Attributes::Loss { share: lost, .. } => share("share", *lost)?,
            Attributes::Corrupt { share: hit }
            | Attributes::Duplicate { share: hit }
            | Attributes::Reorder { share: hit, .. } => share("share", *hit)?,
            _ => {}
        }
        if let Some(why) = self.attributes.wrong() {
            return Err(ApiError::body(why));
        }
        let longest = self
            .attributes
            .times()
            .into_iter()
            .max()
            .unwrap_or_default();
        if longest > YEAR_MS {
            let why = format!("{longest} ms is longer than a year");
            return Err(ApiError::body(why));
        }
        Ok(self)
    }

    /// What it is on messages, if that is what it is on.
    pub(super) fn message(&self) -> Option<message::Kind> {
        match self.effect() {
            Effect::Stream(_) | Effect::Handshake(_) | Effect::Datagram => None,
            Effect::Message(kind) => Some(kind),
        }
    }

    pub(super) fn is_on_handshakes(&self) -> bool {
        matches!(self.effect(), Effect::Handshake(_))
    }

    fn effect(&self) -> Effect {
        self.attributes.effect(self.stream.direction())
    }
}

/// The faults that these toxics are.
pub(super) fn faults(toxics: &[Toxic]) -> Faults {
    let mut faults = Faults::default();
    for toxic in toxics {
        let name: Arc<str> = toxic.name.as_str().into();
        if let Some(kind) = toxic.attributes.on_datagrams() {
            faults.datagrams.push(DatagramFault {
                name: Arc::clone(&name),
                direction: toxic.stream.direction(),
                toxicity: toxic.toxicity,
                arm: toxic.arm,
                kind,
            });
        }
        match toxic.effect() {
            Effect::Stream(kind) => faults.stream.push(StreamFault {
                name,
                direction: toxic.stream.direction(),
                toxicity: toxic.toxicity,
                arm: toxic.arm,
                kind,
            }),
            Effect::Message(kind) => faults.messages.push(MessageFault {
                name,
                share: toxic.toxicity,
                arm: toxic.arm,
                kind,
            }),
            Effect::Handshake(kind) => faults.handshakes.push(HandshakeFault {
                name,
                direction: toxic.stream.direction(),
                toxicity: toxic.toxicity,
                arm: toxic.arm,
                kind,
            }),
            Effect::Datagram => {}
        }
    }
    faults
}

/// Times that are added to others have to stay times.
const YEAR_MS: u64 = 365 * 86_400_000;

impl Stream {
    fn direction(self) -> Direction {
        match self {
            Self::Upstream => Direction::Upstream,
            Self::Downstream => Direction::Downstream,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }
}

impl Attributes {
    fn read(kind: &str, attributes: &Map<String, Value>) -> Result<Self, ApiError> {
        let known = KINDS.contains(&kind);
        messages::check_names(kind, attributes)?;
        let whole = serde_json::json!({ "type": kind, "attributes": attributes });
        match serde_json::from_value(whole) {
            Ok(read) => Ok(read),
            Err(_) if !known => Err(ApiError::InvalidType),
            Err(error) => Err(ApiError::body(error.to_string())),
        }
    }

    /// Its type and its attributes, as they are written.
    fn written(&self) -> (String, Map<String, Value>) {
        let whole = serde_json::to_value(self).unwrap_or_default();
        let kind = whole["type"].as_str().unwrap_or_default().to_owned();
        let attributes = whole["attributes"].as_object().cloned();
        (kind, attributes.unwrap_or_default())
    }

    /// What it is on messages, if it is that.
    fn on_messages(&self) -> Option<&dyn OnMessages> {
        match self {
            Self::HttpDelay(toxic) => Some(toxic),
            Self::HttpAbort(toxic) => Some(toxic),
            Self::HttpReset(toxic) => Some(toxic),
            Self::HttpBody(toxic) => Some(toxic),
            Self::HttpHeader(toxic) => Some(toxic),
            Self::GrpcDelay(toxic) => Some(toxic),
            Self::GrpcAbort(toxic) => Some(toxic),
            Self::GrpcCut(toxic) => Some(toxic),
            Self::RedisDelay(toxic) => Some(toxic),
            Self::RedisError(toxic) => Some(toxic),
            Self::PostgresDelay(toxic) => Some(toxic),
            Self::PostgresError(toxic) => Some(toxic),
            Self::PostgresRefuse(toxic) => Some(toxic),
            Self::MysqlDelay(toxic) => Some(toxic),
            Self::MysqlError(toxic) => Some(toxic),
            Self::MysqlRefuse(toxic) => Some(toxic),
            Self::KafkaDelay(toxic) => Some(toxic),
            Self::KafkaError(toxic) => Some(toxic),
            Self::WebSocketDelay(toxic) => Some(toxic),
            Self::WebSocketDrop(toxic) => Some(toxic),
            Self::WebSocketClose(toxic) => Some(toxic),
            Self::WebSocketMessage(toxic) => Some(toxic),
            Self::Latency(_)
            | Self::Bandwidth { .. }
            | Self::SlowClose { .. }
            | Self::Timeout { .. }
            | Self::ResetPeer { .. }
            | Self::Slicer { .. }
            | Self::LimitData { .. }
            | Self::Noop {}
            | Self::Loss { .. }
            | Self::Corrupt { .. }
            | Self::Hang {}
            | Self::TlsCertificate { .. }
            | Self::TlsHandshake { .. }
            | Self::Duplicate { .. }
            | Self::Reorder { .. } => None,
        }
    }

    /// How it delays, where its delays are drawn.
    fn latency(&self) -> Option<&LatencyToxic> {
        match self {
            Self::Latency(latency) => Some(latency),
            other => other.on_messages()?.latency(),
        }
    }

    /// What is wrong with it, beyond its form.
    fn wrong(&self) -> Option<String> {
        if let Some(latency) = self.latency() {
            let given = latency.correlation;
            let within = (0.0..1.0).contains(&given);
            return (!within).then(|| format!("correlation is {given}; it is from 0 to below 1"));
        }
        // What is wrong does not depend on the direction.
        self.on_messages()?.fault(Direction::Downstream).err()
    }

    /// Every time in it, in milliseconds.
    fn times(&self) -> Vec<u64> {
        if let Some(latency) = self.latency() {
            return vec![latency.latency, latency.jitter];
        }
        match self {
            Self::SlowClose { delay } => vec![*delay],
            Self::Timeout { timeout } | Self::ResetPeer { timeout } => vec![*timeout],
            Self::Slicer { delay, .. } => vec![*delay / 1000],
            Self::Loss { stall, .. } => vec![*stall],
            Self::Reorder { delay, .. } => vec![*delay],
            _ => vec![],
        }
    }

    pub(super) fn is_on_datagrams_only(&self) -> bool {
        matches!(self, Self::Duplicate { .. } | Self::Reorder { .. })
    }

    /// What it is on datagrams, if it is anything there.
    pub(super) fn on_datagrams(&self) -> Option<datagram::Kind> {
        use datagram::Kind;
        Some(match *self {
            Self::Latency(ref latency) => Kind::Latency(latency.latency()),
            Self::Bandwidth { rate } => Kind::Bandwidth(Bandwidth {
                bytes_per_second: rate.saturating_mul(1000),
            }),
            Self::Loss { share, .. } => Kind::Loss { share },
            Self::Corrupt { share } => Kind::Corrupt { share },
            Self::Duplicate { share } => Kind::Duplicate { share },
            Self::Reorder { share, delay } => Kind::Reorder {
                share,
                late: Duration::from_millis(delay),
            },
            Self::LimitData { bytes } => Kind::Limit { bytes },
            Self::Timeout { .. } => Kind::Blackhole,
            Self::Noop {} => Kind::Noop,
            _ => return None,
        })
    }

    fn effect(&self, direction: Direction) -> Effect {
        let ms = Duration::from_millis;
        // One that is wrong was refused before.
        if let Some(Ok(kind)) = self.on_messages().map(|toxic| toxic.fault(direction)) {
            return Effect::Message(kind);
        }
        Effect::Stream(match *self {
            Self::Duplicate { .. } | Self::Reorder { .. } => return Effect::Datagram,
            Self::TlsCertificate { flaw } => {
                return Effect::Handshake(flaw::Kind::Certificate(flaw));
            }
            Self::TlsHandshake { fail } => return Effect::Handshake(fail.into()),
            Self::Latency(ref latency) => Kind::Latency(latency.latency()),
            Self::Bandwidth { rate } => Kind::Bandwidth(Bandwidth {
                bytes_per_second: rate.saturating_mul(1000),
            }),
            Self::SlowClose { delay } => Kind::SlowClose(SlowClose { delay: ms(delay) }),
            Self::Timeout { timeout } => Kind::Timeout(Timeout {
                after: (timeout > 0).then(|| ms(timeout)),
            }),
            Self::ResetPeer { timeout } => Kind::Reset(Reset { after: ms(timeout) }),
            Self::Slicer {
                average_size,
                size_variation,
                delay,
            } => Kind::Slicer(Slicer {
                size: average_size,
                variation: size_variation,
                delay: Duration::from_micros(delay),
            }),
            Self::LimitData { bytes } => Kind::Limit(Limit { bytes }),
            Self::Noop {} => Kind::Noop,
            Self::Loss { share, stall } => Kind::Loss(Stalls {
                loss: Loss::Random(Share::of(share)),
                stall: ms(stall),
            }),
            Self::Corrupt { share } => Kind::Corrupt(Corrupt { share }),
            Self::Hang {} => Kind::Hang(Hang),
            Self::HttpDelay(_)
            | Self::HttpAbort(_)
            | Self::HttpReset(_)
            | Self::HttpBody(_)
            | Self::HttpHeader(_)
            | Self::GrpcDelay(_)
            | Self::GrpcAbort(_)
            | Self::GrpcCut(_)
            | Self::RedisDelay(_)
            | Self::RedisError(_)
            | Self::PostgresDelay(_)
            | Self::PostgresError(_)
            | Self::PostgresRefuse(_)
            | Self::MysqlDelay(_)
            | Self::MysqlError(_)
            | Self::MysqlRefuse(_)
            | Self::KafkaDelay(_)
            | Self::KafkaError(_)
            | Self::WebSocketDelay(_)
            | Self::WebSocketDrop(_)
            | Self::WebSocketClose(_)
            | Self::WebSocketMessage(_) => Kind::Noop,
        })
    }
}

const KINDS: [&str; 37] = [
    "latency",
    "bandwidth",
    "slow_close",
    "timeout",
    "reset_peer",
    "slicer",
    "limit_data",
    "noop",
    "loss",
    "corrupt",
    "hang",
    "http_delay",
    "http_abort",
    "http_reset",
    "http_body",
    "http_header",
    "grpc_delay",
    "grpc_abort",
    "grpc_cut",
    "redis_delay",
    "redis_error",
    "postgres_delay",
    "postgres_error",
    "postgres_refuse",
    "mysql_delay",
    "mysql_error",
    "mysql_refuse",
    "kafka_delay",
    "kafka_error",
    "websocket_delay",
    "websocket_drop",
    "websocket_close",
    "websocket_message",
    "duplicate",
    "reorder",
    "tls_certificate",
    "tls_handshake",
];

#[cfg(test)]
mod tests;
