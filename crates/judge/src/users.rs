//! The first event of each user, in constant memory.
//!
//! Events of one user come in clusters, and a test that takes them for independent raises
//! false alarms. Counting each user once restores independence. A Bloom filter (Bloom, CACM
//! 13, 1970) says whether a user was seen: it never forgets one, and takes a new one for seen
//! the more often the fuller it is. One filter serves all arms, so it leaves out users of all
//! arms with the same probability, and the shares of the arms among those counted are not
//! moved: [`crate::counts`] stays valid however full the filter is, and only gets less to count.
//!
//! Assumptions: a user stays in one arm, and the hash is as good as random.

/// One filter for all arms of a comparison. 8 KiB for each 5,000 users or so.
#[derive(Debug, Clone)]
pub struct FirstEvents {
    bits: Box<[u64]>,
}

const PROBES: u64 = 4;
const BITS_PER_USER: u64 = 12;

impl FirstEvents {
    /// For so many users with at most 1 in 100 left out; capped at 1 GiB of memory.
    #[must_use]
    pub fn new(users: u64) -> Self {
        let words = users
            .saturating_mul(BITS_PER_USER)
            .div_ceil(64)
            .clamp(1, 1 << 27);
        Self {
            bits: vec![0; usize::try_from(words).unwrap_or(1)].into(),
        }
    }

    /// True the first time a user (a hash of its name) is met.
    pub fn is_first(&mut self, user: u64) -> bool {
        let (step, start) = (mix(user ^ 0x9e37_79b9_7f4a_7c15) | 1, mix(user));
        let bits = self.bits.len() as u64 * 64;
        let mut is_new = false;
        for probe in 0..PROBES {
            let bit = start.wrapping_add(step.wrapping_mul(probe)) % bits;
            let (word, mask) = ((bit / 64) as usize, 1_u64 << (bit % 64));
            if let Some(word) = self.bits.get_mut(word) {
                is_new |= *word & mask == 0;
                *word |= mask;
            }
        }
        is_new
    }

    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.bits.len() * 8
    }
}

/// The finaliser of splitmix64 (Steele, Lea & Flood, OOPSLA 2014): spreads poor hashes.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_is_first_once_and_few_are_missed() {
        let mut seen = FirstEvents::new(10_000);
        let first = (0..10_000).filter(|user| seen.is_first(*user)).count();
        assert!((9_900..=10_000).contains(&first), "{first}");
        assert_eq!((0..10_000).filter(|user| seen.is_first(*user)).count(), 0);
        assert_eq!(seen.memory_bytes(), 15_000);
    }

    #[test]
    fn a_full_filter_counts_nobody_and_does_not_fail() {
        let mut seen = FirstEvents::new(0);
        assert!((0..10_000).filter(|user| seen.is_first(*user)).count() < 64);
        assert!(!seen.is_first(u64::MAX));
    }
}
