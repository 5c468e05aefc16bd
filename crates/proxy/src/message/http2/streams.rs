//! The streams that have a state, by their number at the client.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::stream::Stream;
use crate::stream::Direction;

/// Streams with a state, at most; one more is refused, and its client may try it again.
pub(super) const STREAMS: usize = 4096;

/// Promises of ours to forget what comes on a pushed stream, at most.
const UNWANTED: usize = 256;

/// Streams that the client ended, and of which nothing else is known any more, at most.
const SAID: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Streams {
    by_client: BTreeMap<u32, Stream>,
    by_upstream: BTreeMap<u32, u32>,
    /// Pushed streams that nobody was told of.
    unwanted: BTreeSet<u32>,
    /// Streams that are over, and on which the client has said its last; the last ones.
    said: VecDeque<u32>,
    pub(super) timers: BTreeSet<(Instant, u32)>,
    /// The highest number that the client has used, and that the upstream has seen.
    pub(super) last: [u32; 2],
    /// Up to this one, a stream without a state has the same number on both sides: it began before
    /// anything was done with the connection.
    old: u32,
}

/// Whom a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The stream of this key has a state.
    Known(u32),
    /// It has none, and its number is right.
    Free,
    /// It is over, as far as the receiver is concerned.
    Nobody,
}

impl Streams {
    /// From here on, new streams have a state.
    pub(super) fn begin(&mut self) {
        self.old = self.last[0];
    }

    pub(super) fn find(&self, number: u32, direction: Direction) -> Found {
        let known = match direction {
            Direction::Upstream => self.by_client.contains_key(&number).then_some(number),
            Direction::Downstream => self.by_upstream.get(&number).copied(),
        };
        let is_old = if number.is_multiple_of(2) {
            !self.unwanted.contains(&number)
        } else {
            number <= self.old
        };
        match known {
            Some(key) => Found::Known(key),
            None if is_old => Found::Free,
            None => Found::Nobody,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_client.len() >= STREAMS
    }

    pub(super) fn get(&mut self, key: u32) -> Option<&mut Stream> {
        self.by_client.get_mut(&key)
    }

    pub(super) fn all(&mut self) -> impl Iterator<Item = (u32, &mut Stream)> {
        self.by_client
            .iter_mut()
            .map(|(key, stream)| (*key, stream))
    }

    pub(super) fn insert(&mut self, key: u32, stream: Stream) {
        if let Some(number) = stream.upstream {
            self.by_upstream.insert(number, key);
        }
        self.by_client.insert(key, stream);
    }

    /// The stream gets its number at the upstream: its own, if that is still free. None: all
    /// numbers are used up.
    pub(super) fn open(&mut self, key: u32) -> Option<u32> {
        let stream = self.by_client.get_mut(&key)?;
        if let Some(number) = stream.upstream {
            return Some(number);
        }
        let last = self.last[1];
        let number = if key > last { key } else { last + 2 };
        if number > super::frame::STREAM {
            return None;
        }
        self.last[1] = number;
        stream.upstream = Some(number);
        self.by_upstream.insert(number, key);
        Some(number)
    }

    pub(super) fn remove(&mut self, key: u32) -> Option<Stream> {
        let mut stream = self.by_client.remove(&key)?;
        if let Some(number) = stream.upstream {
            self.by_upstream.remove(&number);
        }
        for direction in [Direction::Upstream, Direction::Downstream] {
            if let Some(hold) = stream.half(direction).hold {
                self.timers.remove(&(hold, key));
            }
        }
        if stream.half(Direction::Upstream).ended {
            if self.said.len() == SAID {
                self.said.pop_front();
            }
            self.said.push_back(key);
        }
        Some(stream)
    }

    /// Whether this stream is over, and the client itself ended its part of it.
    pub(super) fn is_said(&self, key: u32) -> bool {
        self.said.contains(&key)
    }

    pub(super) fn forget_said(&mut self, key: u32) {
        self.said.retain(|said| *said != key);
    }

    /// Nothing of this pushed stream is passed on.
    pub(super) fn forget_pushed(&mut self, number: u32) {
        self.unwanted.insert(number);
        if self.unwanted.len() > UNWANTED {
            self.unwanted.pop_first();
        }
    }
}

#[cfg(test)]
impl Streams {
    /// What waits in each direction: items, and their bytes.
    pub(super) fn weights(&mut self) -> [(usize, usize); 2] {
        [Direction::Upstream, Direction::Downstream].map(|direction| {
            let all = self.by_client.values_mut();
            all.fold((0, 0), |(parts, held), stream| {
                let queue = &stream.half(direction).queue;
                let weight: usize = queue.iter().map(super::stream::Item::weight).sum();
                (parts + queue.len(), held + weight)
            })
        })
    }
}
