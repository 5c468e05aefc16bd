//! DNS by name: queries dropped or delayed, answers rewritten in place. Pure.
//!
//! Map: [`pattern`]: which names; `message`: DNS messages (RFC 1035); `datagram`: the IP packets
//! around them.
//!
//! Both directions are to be sent to the queue: what leaves for port 53, and what comes from it.
//! Over TCP a question is read when its first segment holds it; then it is dropped or delayed,
//! never answered. Encrypted DNS is not seen at all.

mod datagram;
mod message;
pub mod pattern;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use datagram::{Datagram, Direction, Transport};
use message::Question;
pub use pattern::{Pattern, PatternError};

/// What to do with which names; the first rule that matches counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DnsProgram {
    pub rules: Vec<DnsRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DnsRule {
    pub pattern: Pattern,
    pub what: DnsAction,
}

/// What happens to a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnsAction {
    /// The query does not reach its server.
    Block,
    /// The server answers, and the answer is lost. Over TCP as `Block`.
    Timeout,
    /// The server's answer becomes a refusal. Over TCP the query is dropped.
    Error(DnsError),
    /// The server's answer becomes these addresses; a question for another type of record gets an
    /// empty answer, so that the true address does not come another way. Over TCP the query is
    /// dropped.
    Spoof {
        #[serde(default)]
        v4: Vec<Ipv4Addr>,
        #[serde(default)]
        v6: Vec<Ipv6Addr>,
        /// Seconds.
        ttl: u32,
    },
    /// The query is held back.
    Delay(Duration),
}

/// Response codes of RFC 1035, section 4.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DnsError {
    ServFail = 2,
    NxDomain = 3,
    Refused = 5,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsFate {
    /// No rule names it.
    Pass,
    /// It could not be read, and passes.
    Unreadable,
    Drop,
    Delay(Duration),
    /// The whole packet, rewritten.
    Replace(Vec<u8>),
}

impl DnsProgram {
    /// Decides about an IP packet.
    #[must_use]
    pub fn treat(&self, packet: &[u8]) -> DnsFate {
        let Some(datagram) = Datagram::parse(packet) else {
            return DnsFate::Unreadable;
        };
        if datagram.transport == Transport::Tcp && datagram.payload.is_empty() {
            // A handshake or an acknowledgement.
            return DnsFate::Pass;
        }
        let Some(question) = Question::parse(datagram.payload) else {
            return DnsFate::Unreadable;
        };
        let asked = matches!(datagram.direction, Direction::Query);
        if question.is_response == asked {
            return DnsFate::Unreadable;
        }
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.pattern.matches(&question.name));
        rule.map_or(DnsFate::Pass, |rule| act(&rule.what, &datagram, &question))
    }
}

fn act(action: &DnsAction, datagram: &Datagram<'_>, question: &Question<'_>) -> DnsFate {
    let over_tcp = datagram.transport == Transport::Tcp;
    match (action, datagram.direction) {
        (DnsAction::Delay(delay), Direction::Query) => DnsFate::Delay(*delay),
        (DnsAction::Delay(_), Direction::Response) => DnsFate::Pass,
        (DnsAction::Block, _) => DnsFate::Drop,
        (_, Direction::Query) if over_tcp => DnsFate::Drop,
        (_, Direction::Query) => DnsFate::Pass,
        // Of a question that came before the fault did.
        (_, Direction::Response) if over_tcp => DnsFate::Pass,
        (DnsAction::Timeout, Direction::Response) => DnsFate::Drop,
        (DnsAction::Error(error), Direction::Response) => {
            rewritten(datagram, question.refusal(*error as u8))
        }
        (DnsAction::Spoof { v4, v6, ttl }, Direction::Response) => {
            rewritten(datagram, question.answer(v4, v6, *ttl))
        }
    }
}

fn rewritten(datagram: &Datagram<'_>, message: Option<Vec<u8>>) -> DnsFate {
    let packet = message.and_then(|message| datagram.with_payload(&message));
    packet.map_or(DnsFate::Unreadable, DnsFate::Replace)
}

#[cfg(test)]
mod tests;
