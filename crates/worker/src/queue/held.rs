//! Packets that wait for their time, in the order of their times; equal times keep the order of
//! arrival.
//!
//! A binary heap: see docs/decisions for why not a timer wheel.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What happens when the time has come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Release {
    Accept,
    /// Let through with these bytes.
    Replace(Box<[u8]>),
    /// Sent in place of the packet, which was dropped when it came.
    Send(Outgoing),
    /// A copy is sent; the packet itself is another entry.
    Copy(Outgoing),
}

/// A packet with its network header, to be sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Box<[u8]>,
    /// The interface to send it by; 0 for any.
    pub(crate) interface: u32,
}

/// A packet, or a copy of one. Ordered by time, then by arrival.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    /// Nanoseconds of the monotonic clock.
    pub(crate) at: u64,
    order: u64,
    pub(crate) id: u32,
    pub(crate) arrived: u64,
    pub(crate) bytes: u32,
    pub(crate) release: Release,
}

#[derive(Debug, Default)]
pub(crate) struct Held {
    heap: BinaryHeap<Reverse<Item>>,
    bytes: u64,
    order: u64,
}

impl Held {
    pub(crate) fn push(&mut self, at: u64, arrived: u64, id: u32, bytes: u32, release: Release) {
        self.order += 1;
        self.bytes += u64::from(bytes);
        self.heap.push(Reverse(Item {
            at,
            order: self.order,
            id,
            arrived,
            bytes,
            release,
        }));
    }

    /// The next item whose time is not after `until`.
    pub(crate) fn pop_until(&mut self, until: u64) -> Option<Item> {
        if self.next_time()? > until {
            return None;
        }
        let Reverse(item) = self.heap.pop()?;
        self.bytes -= u64::from(item.bytes);
        Some(item)
    }

    pub(crate) fn next_time(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(item)| item.at)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn items_leave_by_time_and_equal_times_by_arrival(
            times in proptest::collection::vec(0_u64..20, 0..100),
        ) {
            let mut held = Held::default();
            for (id, at) in times.iter().enumerate() {
                held.push(*at, 0, id as u32, 3, Release::Accept);
            }
            let mut expected: Vec<(u64, u32)> = times.iter().copied().zip(0..).collect();
            expected.sort_unstable();
            let mut left = Vec::new();
            while let Some(item) = held.pop_until(u64::MAX) {
                left.push((item.at, item.id));
            }
            prop_assert_eq!(left, expected);
            prop_assert_eq!(held.bytes(), 0);
        }
    }
}
