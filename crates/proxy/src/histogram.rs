//! Times, counted by how long they are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bits of a time that are kept: a bucket is at most 1/32 of its times wide.
const BITS: u32 = 5;

/// Up to 2^42 ns, which is over an hour; what took longer is counted with the longest.
const BUCKETS: usize = ((42 - BITS as usize) + 1) << BITS;

/// Counted by one thread, read by any. 9.5 KiB.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Box<[AtomicU64]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Histogram {
    pub(crate) fn add(&self, time: Duration) {
        let bucket = &self.buckets[bucket(time)];
        // One writer: no locked instruction is needed.
        let count = bucket.load(Ordering::Relaxed).wrapping_add(1);
        bucket.store(count, Ordering::Relaxed);
    }

    /// Adds what is here to counts of the same buckets.
    pub(crate) fn add_to(&self, times: &mut Times) {
        times.counts.resize(BUCKETS, 0);
        for (sum, bucket) in times.counts.iter_mut().zip(&self.buckets) {
            *sum += bucket.load(Ordering::Relaxed);
        }
    }
}

fn bucket(time: Duration) -> usize {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    // The number of the highest bits that are dropped.
    let shift = (63 - (nanoseconds | 1).leading_zeros()).saturating_sub(BITS);
    let kept = (nanoseconds >> shift) as usize;
    // With a shift the highest kept bit is always set: that one is not counted again.
    (((shift as usize) << BITS) + kept).min(BUCKETS - 1)
}

/// How many took how long. What was counted earlier, taken from what was counted later, is what was
/// counted in between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    counts: Vec<u64>,
}

impl Times {
    /// Ends of buckets, longest last, and how many took that long or less but longer than the end
    /// before; buckets without any are left out.
    pub fn counts(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let all = self.counts.iter().enumerate();
        all.filter(|(_, count)| **count > 0)
            .map(|(bucket, count)| (end(bucket), *count))
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time that this share (0 to 1) took at most, to 1/32; none of none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total = self.total();
        let rank = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        self.counts()
            .find(|(_, count)| {
                seen += count;
                seen >= rank
            })
            .map(|(end, _)| end)
    }
}

/// The longest time of a bucket.
fn end(bucket: usize) -> Duration {
    let shift = (bucket >> BITS).saturating_sub(1) as u32;
    let kept = (bucket - ((shift as usize) << BITS)) as u64;
    Duration::from_nanos(((kept + 1) << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_ends_at_most_a_part_above_its_times(nanoseconds in 0_u64..1 << 42) {
            let time = Duration::from_nanos(nanoseconds);
            let end = end(bucket(time));
            prop_assert!(time <= end);
            prop_assert!((end - time).as_nanos() as u64 <= nanoseconds >> BITS);
            let before = bucket(time).checked_sub(1).map(super::end);
            prop_assert!(before.is_none_or(|before| before < time));
        }
    }

    #[test]
    fn quantiles_are_of_what_was_counted() {
        let histogram = Histogram::default();
        for ms in 1..=1000 {
            histogram.add(Duration::from_millis(ms));
        }
        histogram.add(Duration::MAX);
        let mut times = Times::default();
        assert_eq!(times.quantile(0.5), None);
        histogram.add_to(&mut times);
        assert_eq!(times.total(), 1001);
        for (share, ms) in [(0.001, 1), (0.5, 501), (0.99, 991)] {
            let found = times.quantile(share).unwrap().as_millis() as u64;
            assert!((ms..=ms + ms / 32 + 1).contains(&found), "{share}: {found}");
        }
    }
}
