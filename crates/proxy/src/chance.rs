//! Decisions that can be repeated: a draw is a function of what it is about, not of when it is made.

/// Where all draws of a connection, or of a request, come from.
///
/// A draw depends on the seed, on which connection it is, on which fault asks, and on what it asks
/// about (most often an offset in the stream). Nothing is remembered between draws, so a fault
/// that is added, edited or removed changes no decision of another, and neither does the way in
/// which TCP cut the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// The draws of one run.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: mix(seed) }
    }

    /// The draws of one thing within it: a connection, a request, a fault, a byte.
    #[must_use]
    pub const fn of(self, what: u64) -> Self {
        // The state is multiplied so that (a, b) and (b, a) differ.
        Self {
            state: mix(self.state.wrapping_mul(0xd129_0d3a_6a1b_4f35) ^ mix(what ^ GOLDEN)),
        }
    }

    /// The draws of what has this name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        self.keyed(name.as_bytes())
    }

    /// The draws of what has this key.
    #[must_use]
    pub fn keyed(self, key: &[u8]) -> Self {
        let words = key.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        words.fold(self.of(key.len() as u64), Self::of)
    }

    /// 64 random bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.state
    }

    /// At least 0 and below 1, in steps of 2^-53.
    #[must_use]
    pub fn unit(self) -> f64 {
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether what has this probability happens; never at 0, always at 1.
    #[must_use]
    pub fn happens(self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A whole number below `bound`, or 0 if that is 0.
    #[must_use]
    pub fn below(self, bound: u64) -> u64 {
        // Lemire's multiplication; the bias is below 2^-64 times the bound.
        ((u128::from(self.state) * u128::from(bound)) >> 64) as u64
    }
}

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, OOPSLA 2014; constants by Stafford, variant 13).
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(GOLDEN);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;
