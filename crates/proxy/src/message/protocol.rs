//! Which protocol a route speaks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Http2, MessageFault, Session, http, kafka, mysql, postgres, redis};
use crate::chance::Chance;

/// What the proxy understands of a route's connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Nothing but bytes.
    #[default]
    Tcp,
    Http,
    /// With prior knowledge, or behind TLS; gRPC too.
    Http2,
    Kafka,
    Mysql,
    Postgres,
    Redis,
    /// Datagrams, each for itself.
    Udp,
}

impl Protocol {
    pub const ALL: [Self; 8] = [
        Self::Tcp,
        Self::Http,
        Self::Http2,
        Self::Kafka,
        Self::Mysql,
        Self::Postgres,
        Self::Redis,
        Self::Udp,
    ];

    /// As it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Kafka => "kafka",
            Self::Mysql => "mysql",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Udp => "udp",
        }
    }

    /// What is spoken where TLS agreed on this (RFC 7301): of HTTP, which version.
    pub(crate) fn agreed(self, alpn: Option<&[u8]>) -> Self {
        match (self, alpn) {
            (Self::Http, Some(b"h2")) => Self::Http2,
            (Self::Http2, Some(b"http/1.1" | b"http/1.0")) => Self::Http,
            _ => self,
        }
    }

    /// The names under which TLS agrees on it.
    pub(crate) fn alpn(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http => vec![b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec()],
            Self::Tcp | Self::Kafka | Self::Mysql | Self::Postgres | Self::Redis | Self::Udp => {
                Vec::new()
            }
        }
    }

    /// What understands a connection; nothing where there is nothing to understand.
    pub(crate) fn session(
        self,
        chance: Chance,
        faults: &[MessageFault],
    ) -> Option<Box<dyn Session>> {
        match self {
            Self::Tcp | Self::Udp => None,
            Self::Http => Some(Box::new(http::Version1::new(chance, faults))),
            Self::Http2 => Some(Box::new(Http2::new(chance, faults))),
            Self::Kafka => Some(Box::new(kafka::session(chance, faults))),
            Self::Mysql => Some(Box::new(mysql::session(chance, faults))),
            Self::Postgres => Some(Box::new(postgres::session(chance, faults))),
            Self::Redis => Some(Box::new(redis::session(chance, faults))),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// There is no such protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given} is no protocol that the proxy knows; it is one of {}",
    words()
)]
pub struct UnknownProtocol {
    given: String,
}

fn words() -> String {
    Protocol::ALL.map(Protocol::word).join(", ")
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.word() == text)
            .ok_or_else(|| UnknownProtocol { given: text.into() })
    }
}
