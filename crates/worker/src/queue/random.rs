//! The generator, and netem's correlated draws from it.

use serde::{Deserialize, Serialize};

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014): 64 bits
/// of state, passes BigCrush. Same seed, same packets, same fate.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A share of packets, each draw correlated with the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Share {
    /// 0 to 1.
    pub share: f64,
    /// 0 (independent) to below 1. With it the share that results is not the share asked for, as
    /// with netem: the draws keep their mean of 1/2 but lose spread.
    pub correlation: f64,
}

impl Share {
    /// An uncorrelated share.
    #[must_use]
    pub fn of(share: f64) -> Self {
        Self {
            share,
            correlation: 0.0,
        }
    }
}

/// A sequence of uniform draws of which each keeps a part of the one before, as `get_crandom` of
/// net/sched/sch_netem.c: x' = (1 − ρ)·u + ρ·x. Mean 1/2, variance (1 − ρ)/(1 + ρ)/12, correlation ρ
/// at lag one.
#[derive(Clone, Debug, Default)]
pub struct Correlated {
    last: f64,
}

impl Correlated {
    /// The next draw, in [0, 1).
    pub fn draw(&mut self, correlation: f64, random: &mut Random) -> f64 {
        let fresh = random.unit();
        if correlation <= 0.0 {
            return fresh;
        }
        self.last = fresh * (1.0 - correlation) + self.last * correlation;
        self.last
    }

    /// Whether this packet belongs to the share. Without a share nothing is drawn.
    pub fn hit(&mut self, share: Share, random: &mut Random) -> bool {
        share.share > 0.0 && self.draw(share.correlation, random) < share.share
    }
}
