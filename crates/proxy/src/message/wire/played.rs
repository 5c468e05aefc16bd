//! A session in a time of its own, between a client and a server that are played.

use std::time::{Duration, Instant};

use firedrill_worker::queue::distribution::Distribution;
use proptest::prelude::*;

use crate::message::{Answered, Session, Sink};
use crate::stream::{Direction, End, Latency};

pub(in crate::message) const LONG: Duration = Duration::from_secs(100_000);
pub(in crate::message) const MS: Duration = Duration::from_millis(1);

/// Always as long.
pub(in crate::message) fn steady(delay: Duration) -> Latency {
    Latency {
        delay,
        jitter: Duration::ZERO,
        distribution: Distribution::Uniform,
        correlation: 0.0,
    }
}

/// What came out, and when.
#[derive(Debug, Default)]
pub(in crate::message) struct Out {
    at: Duration,
    pub(in crate::message) data: Vec<(Duration, Direction, Vec<u8>)>,
    pub(in crate::message) ends: Vec<(Duration, Direction, End)>,
    pub(in crate::message) answers: Vec<(bool, bool)>,
}

impl Sink for Out {
    fn send(&mut self, direction: Direction, bytes: &[u8]) {
        self.data.push((self.at, direction, bytes.to_vec()));
    }

    fn end(&mut self, direction: Direction, end: End) {
        self.ends.push((self.at, direction, end));
    }

    fn answered(&mut self, answer: Answered) {
        self.answers.push((answer.well, answer.ours));
    }
}

#[derive(Debug)]
pub(in crate::message) struct Played<S> {
    start: Instant,
    now: Instant,
    pub(in crate::message) session: S,
    pub(in crate::message) out: Out,
}

impl<S: Session> Played<S> {
    pub(in crate::message) fn new(session: S) -> Self {
        let start = Instant::now();
        Self {
            start,
            now: start,
            session,
            out: Out::default(),
        }
    }

    pub(in crate::message) fn send(&mut self, direction: Direction, bytes: &[u8]) {
        self.out.at = self.now - self.start;
        self.session
            .receive(direction, bytes, self.now, &mut self.out);
    }

    pub(in crate::message) fn client(&mut self, bytes: &[u8]) {
        self.send(Direction::Upstream, bytes);
    }

    pub(in crate::message) fn server(&mut self, bytes: &[u8]) {
        self.send(Direction::Downstream, bytes);
    }

    pub(in crate::message) fn end(&mut self, direction: Direction) {
        self.out.at = self.now - self.start;
        self.session.end(direction, self.now, &mut self.out);
    }

    /// Lets time pass.
    pub(in crate::message) fn until(&mut self, at: Duration) {
        let end = self.start + at;
        while let Some(due) = self.session.due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.out.at = self.now - self.start;
            self.session.wake(self.now, &mut self.out);
        }
        self.now = self.now.max(end);
    }

    pub(in crate::message) fn went(&self, direction: Direction) -> Vec<u8> {
        let all = self.out.data.iter().filter(|(_, way, _)| *way == direction);
        let parts: Vec<&[u8]> = all.map(|(_, _, bytes)| &**bytes).collect();
        parts.concat()
    }

    pub(in crate::message) fn to_server(&self) -> Vec<u8> {
        self.went(Direction::Upstream)
    }

    pub(in crate::message) fn to_client(&self) -> Vec<u8> {
        self.went(Direction::Downstream)
    }

    /// When each byte came out.
    pub(in crate::message) fn times(&self, direction: Direction) -> Vec<Duration> {
        let all = self.out.data.iter().filter(|(_, way, _)| *way == direction);
        all.flat_map(|(at, _, bytes)| vec![*at; bytes.len()])
            .collect()
    }

    /// Plays a conversation to its end: what the client says in turns, each when nothing more comes
    /// of the one before, cut like this, and a server that says something for what it has got, all of
    /// it, so far.
    pub(in crate::message) fn converse(
        &mut self,
        turns: &[&[u8]],
        cuts: &[usize],
        mut server: impl FnMut(&[u8]) -> Vec<u8>,
    ) {
        let (mut answered, mut seen) = (0, 0);
        let mut sizes = cuts.iter().copied().cycle();
        let mut turns = turns.iter();
        let mut left: &[u8] = &[];
        loop {
            let mut said_more = false;
            if !left.is_empty() && self.session.has_room(Direction::Upstream) {
                let size = sizes.next().unwrap_or(left.len()).min(left.len());
                let (now, later) = left.split_at(size);
                self.client(now);
                left = later;
                said_more = true;
            }
            let mut news = Vec::new();
            if self.out.data.len() > seen {
                let all = server(&self.to_server());
                news.extend_from_slice(&all[answered..]);
                answered = all.len();
            }
            seen = self.out.data.len();
            for part in news.chunks(sizes.next().unwrap_or(news.len()).max(1)) {
                self.server(part);
            }
            if said_more || !news.is_empty() {
                continue;
            }
            match self.session.due() {
                Some(due) => self.until(due - self.start),
                None if !left.is_empty() => return,
                None => match turns.next() {
                    Some(turn) => left = turn,
                    None => return,
                },
            }
        }
    }
}

/// How TCP cuts.
pub(in crate::message) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..4_usize, 1..40_usize, 1..3000_usize], 1..8)
}

/// Whatever both say, nothing breaks, and when the client has left nothing is waited for.
pub(in crate::message) fn comes_to_rest<S: Session>(
    mut played: Played<S>,
    up: &[u8],
    down: &[u8],
    cuts: &[usize],
) -> Result<(), TestCaseError> {
    for (up, down) in up.chunks(cuts[0]).zip(down.chunks(cuts[cuts.len() - 1])) {
        played.client(up);
        played.server(down);
    }
    played.end(Direction::Upstream);
    played.until(LONG);
    prop_assert_eq!(played.session.due(), None);
    Ok(())
}

/// Both streams in parts, in any order: what goes in comes out.
pub(in crate::message) fn passes_as_it_is<S: Session>(
    session: S,
    up: &[u8],
    down: &[u8],
    cuts: &[usize],
) -> Result<(), TestCaseError> {
    let mut played = Played::new(session);
    let (mut from, mut back) = (0, 0);
    for size in cuts.iter().copied().cycle() {
        let to = up.len().min(from + size);
        if from < to {
            played.client(&up[from..to]);
            from = to;
        }
        let to = down.len().min(back + size * 2);
        if back < to {
            played.server(&down[back..to]);
            back = to;
        }
        if from == up.len() && back == down.len() {
            break;
        }
    }
    played.end(Direction::Upstream);
    played.end(Direction::Downstream);
    prop_assert_eq!(played.to_server(), up);
    prop_assert_eq!(played.to_client(), down);
    prop_assert_eq!(played.out.ends.len(), 2);
    Ok(())
}
