//! Kafka's protocol: requests and responses in the same order.
//!
//! Errors are given to requests that are understood: Produce (versions 0 to 13), Fetch (to 17),
//! Metadata (to 13), OffsetCommit (to 9), FindCoordinator (to 6) and ApiVersions (to 4). Others pass,
//! delays are for all. A connection that is secured, or that authenticates in the oldest way, passes
//! as bytes.

mod fields;
mod request;

use std::ops::RangeInclusive;

use super::wire::{
    Answering, Asking, Becomes, Conversation, Dialect, Does, HEAD_MOST, Kept, Shape, WireFault,
};
use super::{Kind, MessageFault, Pattern, Session};
use crate::chance::Chance;
use crate::stream::Latency;

use request::{Header, Request};

/// A fault on some of the requests of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaFault {
    pub matching: KafkaMatch,
    pub action: KafkaAction,
}

/// Which requests a fault is meant for: all that fit every part that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KafkaMatch {
    /// Numbers of what is asked for (0 is Produce, see [`api`]); empty for all.
    pub apis: Vec<i16>,
    /// What one of its topics is like; only requests that are understood and name topics fit.
    pub topic: Option<Pattern>,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum KafkaAction {
    /// It goes on later, and what comes behind it too.
    Delay(Latency),
    /// It does not go on: it is told this code (6 is NOT_LEADER_OR_FOLLOWER).
    Error(i16),
}

/// The number of what has this name (`Produce`, `Fetch`), in any case.
#[must_use]
pub fn api(name: &str) -> Option<i16> {
    const NAMES: [&str; 38] = [
        "Produce",
        "Fetch",
        "ListOffsets",
        "Metadata",
        "LeaderAndIsr",
        "StopReplica",
        "UpdateMetadata",
        "ControlledShutdown",
        "OffsetCommit",
        "OffsetFetch",
        "FindCoordinator",
        "JoinGroup",
        "Heartbeat",
        "LeaveGroup",
        "SyncGroup",
        "DescribeGroups",
        "ListGroups",
        "SaslHandshake",
        "ApiVersions",
        "CreateTopics",
        "DeleteTopics",
        "DeleteRecords",
        "InitProducerId",
        "OffsetForLeaderEpoch",
        "AddPartitionsToTxn",
        "AddOffsetsToTxn",
        "EndTxn",
        "WriteTxnMarkers",
        "TxnOffsetCommit",
        "DescribeAcls",
        "CreateAcls",
        "DeleteAcls",
        "DescribeConfigs",
        "AlterConfigs",
        "AlterReplicaLogDirs",
        "DescribeLogDirs",
        "SaslAuthenticate",
        "CreatePartitions",
    ];
    let place = NAMES
        .iter()
        .position(|one| one.eq_ignore_ascii_case(name))?;
    i16::try_from(place).ok()
}

impl KafkaMatch {
    fn fits(&self, api: i16, request: Option<&Request<'_>>) -> bool {
        let is_named = self.apis.is_empty() || self.apis.contains(&api);
        let topic = |like: &Pattern| {
            request.is_some_and(|request| request.has_topic(|name| like.matches(name)))
        };
        is_named && self.topic.as_ref().is_none_or(topic)
    }
}

impl WireFault for KafkaFault {
    type Error = i16;

    fn of(kind: &Kind) -> Option<&Self> {
        match kind {
            Kind::Kafka(fault) => Some(fault),
            _ => None,
        }
    }

    fn does(&self) -> Does<'_, i16> {
        match &self.action {
            KafkaAction::Delay(latency) => Does::Delay(*latency),
            KafkaAction::Error(code) => Does::Error(code),
        }
    }
}

/// One connection; `chance` is its own.
#[must_use]
pub fn session(chance: Chance, faults: &[MessageFault]) -> impl Session + use<> {
    Conversation::new(Kafka, chance, faults)
}

/// What says which request it is for is never looked at: answers come in their order.
#[derive(Debug)]
struct Kafka;

/// All that there is to know of one.
#[derive(Debug, PartialEq)]
struct Answer;

impl Kept for Answer {
    fn bytes(&self) -> usize {
        0
    }
}

/// Requests that are held whole, if a fault may be on them; longer ones pass.
const WHOLE_MOST: u64 = 4 << 20;

/// No request or answer is longer.
const LENGTH_MOST: u32 = 256 << 20;

/// The numbers of what may be asked for, and their versions, end far below this.
const API_MOST: i16 = 200;
const VERSION_MOST: i16 = 50;

/// The length of a frame's content that is one of these.
fn length<A>(bytes: &[u8], possible: RangeInclusive<u32>) -> Result<u64, Shape<u64, A>> {
    let length = bytes.first_chunk().ok_or(Shape::Unknown)?;
    let length = u32::from_be_bytes(*length);
    if !possible.contains(&length) {
        return Err(Shape::Garbage);
    }
    Ok(length.into())
}

impl Dialect for Kafka {
    type Fault = KafkaFault;
    type Reply = Answer;
    type Rest = u64;
    type About = Header;

    fn request_shape(&self, bytes: &[u8], is_watched: bool) -> Shape<u64, Header> {
        let whole = match length(bytes, 8..=LENGTH_MOST) {
            Ok(length) => 4 + length,
            Err(shape) => return shape,
        };
        let Some(header) = Header::read(&bytes[4..]) else {
            return Shape::Unknown;
        };
        let is_one =
            (0..API_MOST).contains(&header.api) && (0..VERSION_MOST).contains(&header.version);
        if !is_one {
            return Shape::Garbage;
        }
        let looked_at = match is_watched && whole <= WHOLE_MOST {
            true => whole,
            // Whether an answer is wanted is in the beginning.
            false if header.api == request::PRODUCE => HEAD_MOST as u64,
            false => 12,
        };
        Shape::of_length(whole, looked_at, header)
    }

    fn take_request(
        &mut self,
        head: &[u8],
        header: Header,
        asking: &mut Asking<'_, '_, Self>,
    ) -> bool {
        let content = &head[4..];
        let request = match asking.is_watched() {
            true => Request::read(content),
            false => None,
        };
        let error = asking.decide(|fault| fault.matching.fits(header.api, request.as_ref()));
        if let (Some(error), Some(request)) = (error, &request) {
            if !request.is_silent {
                asking.answer(request.failed(error));
            }
            return false;
        }
        let is_silent = header.api == request::PRODUCE && request::is_silent(content);
        if !is_silent {
            asking.expect(Answer);
        }
        // Then come the secrets, without anything around them.
        if header.api == request::SASL_HANDSHAKE && header.version == 0 {
            asking.follow_no_more();
        }
        true
    }

    fn reply_shape(&self, bytes: &[u8]) -> Shape<u64> {
        match length(bytes, 4..=LENGTH_MOST) {
            Ok(length) => Shape::of_length(4 + length, 8, ()),
            Err(shape) => shape,
        }
    }

    fn take_reply(&mut self, _head: &[u8], answering: &mut Answering<'_, Self>) -> Becomes {
        match answering.awaited() {
            // Whether it went well is said for each partition, if at all.
            Some(Answer) => Becomes::Answers { well: true },
            None => Becomes::Passes,
        }
    }
}

#[cfg(test)]
mod tests;
