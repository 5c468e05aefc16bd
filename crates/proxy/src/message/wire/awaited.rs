//! Answers that are awaited, in the order of their requests. Ours come in their place.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Instant;

use crate::message::{Answered, Sink};
use crate::stream::Direction;

/// Answers, and bytes that are kept for them, above which no more requests are taken.
const ENTRIES_MOST: usize = 64 << 10;
const BYTES_MOST: usize = 1 << 20;

/// `T` says what the protocol has to know of an answer of the upstream.
#[derive(Debug)]
pub(in crate::message) struct Awaited<T> {
    entries: VecDeque<Entry<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    what: What<T>,
    /// That are kept for it.
    bytes: usize,
    since: Instant,
    /// Requests that came together and are alike are one entry.
    count: u32,
    /// Whether the answer that has begun went well.
    begun: Option<bool>,
}

#[derive(Debug)]
enum What<T> {
    Theirs(T),
    Ours { bytes: Vec<u8>, due: Instant },
}

impl<T> Default for Awaited<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
        }
    }
}

/// What a protocol has to know of an answer.
pub(in crate::message) trait Kept: Debug + PartialEq + Send {
    /// How many bytes are kept for it beside itself.
    fn bytes(&self) -> usize;
}

impl<T: Kept> Awaited<T> {
    /// The upstream will answer.
    pub(in crate::message) fn push(&mut self, theirs: T, since: Instant) {
        match self.entries.back_mut() {
            Some(last)
                if last.since == since
                    && last.begun.is_none()
                    && last.count < u32::MAX
                    && matches!(&last.what, What::Theirs(other) if *other == theirs) =>
            {
                last.count += 1;
            }
            _ => self.add(theirs.bytes(), What::Theirs(theirs), since),
        }
    }

    /// We answer, at this time at the earliest.
    pub(in crate::message) fn push_ours(&mut self, bytes: Vec<u8>, since: Instant, due: Instant) {
        self.add(bytes.len(), What::Ours { bytes, due }, since);
    }

    fn add(&mut self, bytes: usize, what: What<T>, since: Instant) {
        self.bytes += bytes;
        self.entries.push_back(Entry {
            what,
            bytes,
            since,
            count: 1,
            begun: None,
        });
    }

    /// What the upstream answers next, if that is known.
    pub(in crate::message) fn front(&self) -> Option<&T> {
        match self.entries.front().map(|entry| &entry.what) {
            Some(What::Theirs(theirs)) => Some(theirs),
            _ => None,
        }
    }

    /// The next answer of the upstream has begun, and says how it went.
    pub(in crate::message) fn begin(&mut self, well: bool) {
        if self.front().is_some()
            && let Some(first) = self.entries.front_mut()
        {
            first.begun = Some(well);
        }
    }

    /// The next answer of the upstream has come.
    pub(in crate::message) fn pop(&mut self, now: Instant, out: &mut dyn Sink) {
        if let Some(first) = self.entries.front() {
            out.answered(Answered {
                well: first.begun.unwrap_or(true),
                ours: false,
                took: now.saturating_duration_since(first.since),
                member: None,
            });
        }
        self.forget();
    }

    /// The next answer of the upstream has come, and was replaced by ours.
    pub(in crate::message) fn pop_replaced(&mut self, now: Instant, out: &mut dyn Sink) {
        if let Some(first) = self.entries.front() {
            out.answered(Answered {
                well: false,
                ours: true,
                took: now.saturating_duration_since(first.since),
                member: None,
            });
        }
        self.forget();
    }

    /// The next answer will not come, or is none to be counted.
    pub(in crate::message) fn forget(&mut self) {
        let Some(first) = self.entries.front_mut() else {
            return;
        };
        if first.count > 1 {
            first.count -= 1;
            first.begun = None;
            return;
        }
        self.bytes -= first.bytes;
        self.entries.pop_front();
    }

    /// Forgets those before the first one that ends it, if they are like this. Whether one ended it.
    pub(in crate::message) fn forget_all(
        &mut self,
        like: impl Fn(&T) -> bool,
        until: impl Fn(&T) -> bool,
    ) -> bool {
        let is_last = |entry: &Entry<T>| matches!(&entry.what, What::Theirs(one) if until(one));
        let last = self.entries.iter().position(is_last);
        // What is behind the last one is not gone through: there may be much of it.
        let before = last.unwrap_or(self.entries.len());
        let is_forgotten = |entry: &Entry<T>| matches!(&entry.what, What::Theirs(one) if like(one));
        let (forgotten, kept): (Vec<_>, Vec<_>) =
            self.entries.drain(..before).partition(is_forgotten);
        self.bytes -= forgotten.iter().map(|entry| entry.bytes).sum::<usize>();
        for entry in kept.into_iter().rev() {
            self.entries.push_front(entry);
        }
        last.is_some()
    }

    /// Gives those of ours whose turn it is. Only between answers of the upstream.
    pub(in crate::message) fn give_ours(&mut self, now: Instant, out: &mut dyn Sink) {
        while let Some(Entry { what, .. }) = self.entries.front()
            && let What::Ours { bytes, due } = what
            && *due <= now
        {
            out.send(Direction::Downstream, bytes);
            self.pop_replaced(now, out);
        }
    }

    /// Gives all of ours now, and awaits nothing: the upstream's answers cannot be followed.
    pub(in crate::message) fn give_up(&mut self, out: &mut dyn Sink) {
        for entry in self.entries.drain(..) {
            if let What::Ours { bytes, .. } = &entry.what {
                out.send(Direction::Downstream, bytes);
            }
        }
        self.bytes = 0;
    }

    pub(in crate::message) fn due(&self) -> Option<Instant> {
        match self.entries.front()?.what {
            What::Ours { due, .. } => Some(due),
            What::Theirs(_) => None,
        }
    }

    pub(in crate::message) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(in crate::message) fn has_room(&self) -> bool {
        self.entries.len() < ENTRIES_MOST && self.bytes < BYTES_MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::wire::played::Out;

    impl Kept for &str {
        fn bytes(&self) -> usize {
            self.len()
        }
    }

    #[test]
    fn what_is_forgotten_stands_before_its_end_and_is_not_ours() {
        let now = Instant::now();
        let mut awaited = Awaited::default();
        awaited.push("one", now);
        awaited.push_ours(b"first".to_vec(), now, now);
        awaited.push("two", now);
        awaited.push_ours(b"second".to_vec(), now, now);
        awaited.push("end", now);
        awaited.push("three", now);
        assert!(awaited.forget_all(|_| true, |one| *one == "end"));
        let mut out = Out::default();
        awaited.give_ours(now, &mut out);
        let given: Vec<_> = out.data.iter().map(|(_, _, bytes)| &**bytes).collect();
        assert_eq!(given, [&b"first"[..], b"second"]);
        assert_eq!(awaited.front(), Some(&"end"));
        awaited.forget();
        assert_eq!(awaited.front(), Some(&"three"));
        assert!(!awaited.forget_all(|_| true, |one| *one == "end"));
        assert!(awaited.is_empty());
        assert_eq!(awaited.bytes, 0);
    }
}
