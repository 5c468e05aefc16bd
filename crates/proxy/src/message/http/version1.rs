//! HTTP/1.1 on one connection (RFC 9112).
//!
//! Requests are read strictly, answers as they come: a request that two readers may read
//! differently is answered with 400 and goes no further; an answer that cannot be read goes on
//! untouched, and everything behind it.

mod body;
mod head;
mod passing;
mod requests;
mod responses;
mod rewrite;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::decision::{Changes, Deciders};
use crate::arms::{Arm, Arms};
use crate::chance::Chance;
use crate::message::{Answered, MessageFault, Session, Sink};
use crate::stream::{Direction, End};

use requests::Requests;
use responses::Responses;

/// Requests whose answers have not come. More wait until one has.
const EXCHANGES_MOST: usize = 128;

/// Bytes that wait because a request does; more are not taken.
const HELD_MOST: usize = 64 << 10;

/// How long a request may take to say what it is.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// One connection.
#[derive(Debug)]
pub struct Version1 {
    deciders: Deciders,
    arms: Option<Arms>,
    chance: Chance,
    requests: Requests,
    responses: Responses,
    exchanges: VecDeque<Exchange>,
}

/// A request that has no whole answer yet.
#[derive(Debug)]
struct Exchange {
    since: Instant,
    arm: Option<Arm>,
    method: Method,
    /// The rest goes where this one's answer decides.
    may_become_other: bool,
    changes: Changes,
    /// An answer of ours, which comes when those before it have come.
    ours: Option<Ours>,
}

#[derive(Debug)]
struct Ours {
    status: u16,
    bytes: Vec<u8>,
    closes: bool,
}

/// As far as it matters for where an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Head,
    Connect,
    Other,
}

impl Version1 {
    /// `chance` is the connection's.
    #[must_use]
    pub fn new(chance: Chance, faults: &[MessageFault]) -> Self {
        Self {
            deciders: Deciders::new(faults),
            arms: None,
            chance,
            requests: Requests::default(),
            responses: Responses::default(),
            exchanges: VecDeque::new(),
        }
    }

    /// Gives the answers of ours whose turn it is.
    fn give_ours(&mut self, now: Instant, out: &mut dyn Sink) {
        while let Some(ours) = self.exchanges.front().and_then(|first| first.ours.as_ref()) {
            out.send(Direction::Downstream, &ours.bytes);
            let (status, closes) = (ours.status, ours.closes);
            self.finish(status, true, now, out);
            if closes {
                self.requests.close();
                out.end(Direction::Downstream, End::Close);
                return;
            }
        }
    }

    /// The first request has its answer.
    fn finish(&mut self, status: u16, ours: bool, now: Instant, out: &mut dyn Sink) {
        if let Some(exchange) = self.exchanges.pop_front() {
            out.answered(Answered {
                well: status < 500,
                ours,
                took: now.saturating_duration_since(exchange.since),
                arm: exchange.arm,
            });
        }
    }
}

impl Session for Version1 {
    fn receive(&mut self, direction: Direction, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        match direction {
            Direction::Upstream => self.take_requests(bytes, now, out),
            Direction::Downstream => {
                self.take_responses(bytes, now, out);
                // A request may have waited for this answer.
                self.take_requests(&[], now, out);
            }
        }
    }

    fn end(&mut self, direction: Direction, now: Instant, out: &mut dyn Sink) {
        match direction {
            Direction::Upstream => self.end_requests(out),
            Direction::Downstream => self.end_responses(now, out),
        }
    }

    fn wake(&mut self, now: Instant, out: &mut dyn Sink) {
        self.take_requests(&[], now, out);
    }

    fn due(&self) -> Option<Instant> {
        self.requests.due()
    }

    fn has_room(&self, direction: Direction) -> bool {
        match direction {
            Direction::Upstream => {
                self.exchanges.len() < EXCHANGES_MOST && self.requests.held() < HELD_MOST
            }
            Direction::Downstream => true,
        }
    }

    fn change(&mut self, faults: &[MessageFault]) {
        self.deciders = Deciders::new(faults);
    }

    fn divide(&mut self, arms: Option<Arms>) {
        self.arms = arms.filter(Arms::is_of_requests);
    }
}

#[cfg(test)]
mod tests;
