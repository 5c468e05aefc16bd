//! Kafka's protocol: requests and responses in the same order.
//!
//! Errors are given to requests that are understood: Produce (versions 0 to 13), Fetch (to 17),
//! Metadata (to 13), OffsetCommit (to 9), FindCoordinator (to 6) and ApiVersions (to 4). Others pass,
//! delays are for all. A connection that is secured, or that authenticates in the oldest way, passes
//! as bytes.

mod fields;
mod request;

use std::time::Instant;

use super::wire::{
    Awaited, Cursor, Deciders, Decision, Frames, HEAD_MOST, Outgoing, Shape, Step, WireFault,
};
use super::{Kind, MessageFault, Pattern, Session, Sink};
use crate::chance::Chance;
use crate::stream::{Direction, End, Latency};

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

    fn delay(&self) -> Option<Latency> {
        match self.action {
            KafkaAction::Delay(latency) => Some(latency),
            KafkaAction::Error(_) => None,
        }
    }

    fn error(&self) -> Option<&i16> {
        match &self.action {
            KafkaAction::Delay(_) => None,
            KafkaAction::Error(code) => Some(code),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Kafka {
    deciders: Deciders<KafkaFault>,
    /// Of the next request.
    number: u64,
    requests: Frames,
    /// Whether the request that is coming goes on.
    goes: bool,
    /// The client's stream is only bytes.
    follows_no_more: bool,
    outgoing: Outgoing,
    awaited: Awaited<()>,
    replies: Frames,
    /// Whether what is coming of the server's is an answer.
    is_answer: bool,
    /// Replies are not looked at any more.
    blind: bool,
}

/// Requests that are held whole, if a fault may be on them; longer ones pass.
const WHOLE_MOST: u64 = 4 << 20;

/// No request or answer is longer.
const LENGTH_MOST: u32 = 256 << 20;

/// The numbers of what may be asked for, and their versions, end far below this.
const API_MOST: i16 = 200;
const VERSION_MOST: i16 = 50;

fn request_shape(bytes: &[u8], is_watched: bool) -> Shape {
    let Some(length) = bytes.first_chunk::<4>() else {
        return Shape::Unknown;
    };
    let length = u32::from_be_bytes(*length);
    if !(8..=LENGTH_MOST).contains(&length) {
        return Shape::Garbage;
    }
    let Some(header) = Header::read(&bytes[4..]) else {
        return Shape::Unknown;
    };
    let is_one = (0..API_MOST).contains(&header.api) && (0..VERSION_MOST).contains(&header.version);
    let whole = u64::from(length) + 4;
    if !is_one {
        return Shape::Garbage;
    }
    let head = match is_watched && whole <= WHOLE_MOST {
        true => whole,
        // Whether an answer is wanted is in the beginning.
        false if header.api == request::PRODUCE => whole.min(HEAD_MOST as u64),
        false => 12,
    };
    Shape::Known {
        head: head as usize,
        whole,
    }
}

fn reply_shape(bytes: &[u8]) -> Shape {
    let Some(length) = bytes.first_chunk::<4>() else {
        return Shape::Unknown;
    };
    let length = u32::from_be_bytes(*length);
    match length {
        4..=LENGTH_MOST => Shape::Known {
            head: 8,
            whole: u64::from(length) + 4,
        },
        _ => Shape::Garbage,
    }
}

impl Kafka {
    /// `chance` is the connection's.
    #[must_use]
    pub fn new(chance: Chance, faults: &[MessageFault]) -> Self {
        Self {
            deciders: Deciders::new(chance, faults),
            number: 0,
            requests: Frames::default(),
            goes: true,
            follows_no_more: false,
            outgoing: Outgoing::default(),
            awaited: Awaited::default(),
            replies: Frames::default(),
            is_answer: false,
            blind: false,
        }
    }

    fn take_requests(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        let mut cursor = Cursor::new(bytes);
        while !self.follows_no_more {
            let is_watched = !self.deciders.is_empty();
            let outgoing = &mut self.outgoing;
            let step = self.requests.next(
                &mut cursor,
                |bytes| request_shape(bytes, is_watched),
                |bytes| outgoing.send(bytes, now, out),
            );
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
        cursor.pass_rest(|bytes| self.outgoing.send(bytes, now, out));
    }

    /// A request begins; whether it goes on.
    fn take_request(
        &mut self,
        head: &[u8],
        cursor: &mut Cursor<'_>,
        now: Instant,
        out: &mut dyn Sink,
    ) -> bool {
        let content = &head[4..];
        let Some(header) = Header::read(content) else {
            return true;
        };
        let number = self.number;
        self.number += 1;
        let request = Request::read(content);
        let fits = |fault: &KafkaFault| fault.matching.fits(header.api, request.as_ref());
        let Decision { delay, error } = self.deciders.decide(number, fits);
        if !delay.is_zero() || error.is_some() {
            // What is in front of it goes first.
            cursor.flush(|bytes| self.outgoing.send(bytes, now, out));
            self.outgoing.delay(now + delay);
        }
        if let (Some(error), Some(request)) = (error, &request) {
            if !request.is_silent {
                let due = self.outgoing.turn(now);
                self.awaited.push_ours(request.failed(error), now, due);
                self.give_ours(now, out);
            }
            return false;
        }
        let is_silent = header.api == request::PRODUCE && request::is_silent(content);
        if !is_silent {
            self.awaited.push((), now);
        }
        // Then come the secrets, without anything around them.
        if header.api == request::SASL_HANDSHAKE && header.version == 0 {
            self.follow_no_more(now, out);
        }
        true
    }

    /// From here on the client's stream is bytes. Replies are, too, when those before it have come.
    fn follow_no_more(&mut self, now: Instant, out: &mut dyn Sink) {
        let held = self.requests.take_held();
        self.outgoing.send(&held, now, out);
        self.follows_no_more = true;
        self.give_ours(now, out);
    }

    fn give_ours(&mut self, now: Instant, out: &mut dyn Sink) {
        if self.replies.is_between() {
            self.awaited.give_ours(now, out);
            self.blind |= self.follows_no_more && self.awaited.is_empty();
        }
    }

    fn take_replies(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        let mut cursor = Cursor::new(bytes);
        while !self.blind {
            let send = |bytes: &[u8]| out.send(Direction::Downstream, bytes);
            match self.replies.next(&mut cursor, reply_shape, send) {
                Step::Begin(head) => {
                    self.is_answer = self.awaited.front().is_some();
                    // Whether it went well is said for each partition, if at all.
                    self.awaited.begin(true);
                    cursor.pass_head(&head, |bytes| out.send(Direction::Downstream, bytes));
                }
                Step::Within(length) => cursor.pass(length),
                Step::More => return,
                Step::Garbage(held) => {
                    // Not Kafka. What was promised is given, and nothing more is.
                    cursor.flush(|bytes| out.send(Direction::Downstream, bytes));
                    self.awaited.give_up(out);
                    out.send(Direction::Downstream, &held);
                    self.blind = true;
                    self.follow_no_more(now, out);
                }
            }
            if self.replies.is_between() {
                if std::mem::take(&mut self.is_answer) {
                    self.awaited.pop(now, out);
                }
                if self.awaited.due().is_some() {
                    cursor.flush(|bytes| out.send(Direction::Downstream, bytes));
                }
                self.give_ours(now, out);
            }
        }
        cursor.pass_rest(|bytes| out.send(Direction::Downstream, bytes));
    }
}

impl Session for Kafka {
    fn receive(&mut self, direction: Direction, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        match direction {
            Direction::Upstream => self.take_requests(bytes, now, out),
            Direction::Downstream => self.take_replies(bytes, now, out),
        }
    }

    fn end(&mut self, direction: Direction, now: Instant, out: &mut dyn Sink) {
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
        let ours = self.awaited.due().filter(|_| self.replies.is_between());
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
