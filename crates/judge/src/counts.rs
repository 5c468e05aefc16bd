//! Counts of two or more arms: whether their rates are in the proportion that the traffic says.
//!
//! Given that an event happens, it falls in arm `i` with probability `θᵢ`. While all arms have
//! the same rate per unit of traffic, `θ = ρ`, the known shares of the traffic; a rate that is
//! `e^δᵢ` times as high gives `θᵢ ∝ ρᵢ e^δᵢ`. With a Dirichlet(kρ) prior on `θ`
//! the Bayes factor `ln BF = ln B(kρ + c) - ln B(kρ) - Σ cᵢ ln ρᵢ` is an e-value, and the set
//! `{θ: Σ cᵢ ln θᵢ >= ln B(kρ + c) - ln B(kρ) + ln α}` holds the true `θ` at all looks together
//! with probability `1 - α` (Lindon & Malek, "Anytime-valid inference for multinomial count
//! data", NeurIPS 2022).
//!
//! Assumptions: the arms' rates may change in time in any way that they share (days, bursts of
//! traffic), and the shares of the traffic are known and kept. Events that come in clusters by
//! user break it: count each user once ([`crate::users`]), or compare sums per user
//! ([`crate::mean`]). Counts are increments; batches of any size are fine, as long as a batch
//! holds everything that happened in its time, in all arms.

use crate::dirichlet::{distance, divergence, ln_bayes_factor};
use crate::evidence::Evidence;
use crate::interval::{Interval, crossing};
use crate::level::Alpha;
use crate::unusable::Unusable;

/// The known shares of the traffic of two or more arms. They sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares(Box<[f64]>);

/// Tests whether all arms have the same rate; see the module.
///
/// 8 bytes for each arm's share and 8 for its count, and about 60 more.
#[derive(Debug, Clone)]
pub struct CountTest {
    shares: Shares,
    concentration: f64,
    counts: Box<[u64]>,
    total: u64,
    now: f64,
    strongest: Evidence,
    steps: u32,
}

/// After so many single events the evidence is computed anew, so that rounding does not pile up.
const STEPS_MAX: u32 = 1 << 20;
const CONCENTRATION: f64 = 100.0;
/// Beyond this no rate ratio is told from an infinite one.
const LOG_RATIO_MAX: f64 = 600.0;

impl Shares {
    /// From weights in any unit: instances, percent, requests per second.
    ///
    /// # Errors
    /// Fewer than two weights, or one that is not positive, finite, and within a factor of 10⁹
    /// of the largest.
    pub fn new(weights: &[f64]) -> Result<Self, Unusable> {
        if weights.len() < 2 {
            return Err(Unusable::Arms(weights.len()));
        }
        let largest = weights.iter().copied().fold(0.0, f64::max);
        let is_usable = |w: &&f64| w.is_finite() && **w > 0.0 && **w >= largest * 1e-9;
        if let Some(bad) = weights.iter().find(|w| !is_usable(w)) {
            return Err(Unusable::Weight(*bad));
        }
        // Scaled first: the sum of huge weights may be infinite.
        let sum: f64 = weights.iter().map(|w| w / largest).sum();
        Ok(Self(weights.iter().map(|w| w / largest / sum).collect()))
    }

    #[must_use]
    pub fn two_equal() -> Self {
        Self(Box::new([0.5, 0.5]))
    }

    /// The same in the opposite order.
    #[must_use]
    pub(crate) fn turned(&self) -> Self {
        Self(self.0.iter().rev().copied().collect())
    }

    #[must_use]
    pub fn arms(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn get(&self, arm: usize) -> Option<f64> {
        self.0.get(arm).copied()
    }
}

impl CountTest {
    /// With `k = 100`, which finds rate ratios of 1.1 to 1.5 soonest.
    #[must_use]
    pub fn new(shares: Shares) -> Self {
        Self {
            counts: vec![0; shares.arms()].into(),
            shares,
            concentration: CONCENTRATION,
            total: 0,
            now: 0.0,
            strongest: Evidence::NONE,
            steps: 0,
        }
    }

    /// `k` is worth so many events of prior belief in the shares: a small one finds large
    /// differences sooner, a large one small differences. Any is valid.
    ///
    /// # Errors
    /// A concentration that is not between 0.001 and 10⁹.
    pub fn with_concentration(shares: Shares, k: f64) -> Result<Self, Unusable> {
        if !(1e-3..=1e9).contains(&k) {
            return Err(Unusable::Scale(k));
        }
        Ok(Self {
            concentration: k,
            ..Self::new(shares)
        })
    }

    /// One event.
    ///
    /// # Errors
    /// An arm that there is not; nothing is counted then.
    pub fn event(&mut self, arm: usize) -> Result<(), Unusable> {
        let last = self.counts.len() - 1;
        let (Some(count), Some(share)) = (self.counts.get_mut(arm), self.shares.0.get(arm)) else {
            return Err(Unusable::Arm { arm, last });
        };
        let k = self.concentration;
        let before = *count as f64;
        *count = count.saturating_add(1);
        self.now += ((k * share + before) / ((k + self.total as f64) * share)).ln();
        self.total = self.total.saturating_add(1);
        self.steps += 1;
        if self.steps >= STEPS_MAX {
            self.compute();
        }
        self.strongest = self.strongest.stronger(Evidence::from_ln(self.now));
        Ok(())
    }

    /// Everything that happened since the last call, one count for each arm.
    ///
    /// # Errors
    /// Not as many counts as arms; nothing is counted then.
    pub fn batch(&mut self, counts: &[u64]) -> Result<(), Unusable> {
        if counts.len() != self.counts.len() {
            return Err(Unusable::Counts {
                given: counts.len(),
                arms: self.counts.len(),
            });
        }
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum = sum.saturating_add(*count);
        }
        self.total = self
            .counts
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count));
        self.compute();
        self.strongest = self.strongest.stronger(Evidence::from_ln(self.now));
        Ok(())
    }

    /// Takes what another counter of the same arms has counted, as one batch. Its own p-value
    /// is not taken over: the smaller of two is not valid.
    ///
    /// # Errors
    /// Other shares or another concentration.
    pub fn merge(&mut self, other: &Self) -> Result<(), Unusable> {
        if self.shares != other.shares || self.concentration != other.concentration {
            return Err(Unusable::Different);
        }
        self.batch(&other.counts)
    }

    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Against equal rates, as of now.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        Evidence::from_ln(self.now)
    }

    /// The smallest `1/BF` so far: valid at every look.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        self.strongest.p_value()
    }

    #[must_use]
    pub fn is_proven(&self, alpha: Alpha) -> bool {
        self.strongest.is_proof(alpha)
    }

    /// `δ(arm) - δ(against)`, the logarithm of the ratio of the two rates: a confidence
    /// sequence, simultaneous over all pairs of arms. An end is infinite while nothing bounds it.
    ///
    /// The other arms' `θ` and the sum of these two are best left as observed, so the set is
    /// `{q: m KL(observed || q) <= Σ D(cᵢ, nρᵢ) - ln BF + ln 1/α}`, with `m` the events of the
    /// two arms and `q` the share of one among them.
    ///
    /// # Errors
    /// An arm that there is not.
    pub fn log_rate_ratio(
        &self,
        arm: usize,
        against: usize,
        alpha: Alpha,
    ) -> Result<Interval, Unusable> {
        let ((up, up_share), (down, down_share)) = (self.arm(arm)?, self.arm(against)?);
        if arm == against {
            return Ok(Interval::new(0.0, 0.0));
        }
        if up + down <= 0.0 {
            return Ok(Interval::EVERYTHING);
        }
        let traffic = (up_share / down_share).ln();
        let slack = self.slack(alpha);
        let is_out = |log: f64| distance_at(log + traffic, up, down) > slack;
        let at = ((up / down).ln() - traffic).clamp(-LOG_RATIO_MAX, LOG_RATIO_MAX);
        let end = |limit: f64| {
            let found = crossing(at, limit, is_out);
            if found == limit {
                limit * f64::INFINITY
            } else {
                found
            }
        };
        Ok(Interval::new(end(-LOG_RATIO_MAX), end(LOG_RATIO_MAX)))
    }

    /// How many times as high the rate is in one arm as in another: a confidence sequence.
    ///
    /// # Errors
    /// An arm that there is not.
    pub fn rate_ratio(
        &self,
        arm: usize,
        against: usize,
        alpha: Alpha,
    ) -> Result<Interval, Unusable> {
        Ok(self.log_rate_ratio(arm, against, alpha)?.map(f64::exp))
    }

    /// The probability that the next event is this arm's: a confidence sequence.
    ///
    /// # Errors
    /// An arm that there is not.
    pub fn share(&self, arm: usize, alpha: Alpha) -> Result<Interval, Unusable> {
        let (count, _) = self.arm(arm)?;
        let rest = self.total as f64 - count;
        if self.total == 0 {
            return Ok(Interval::new(0.0, 1.0));
        }
        let slack = self.slack(alpha);
        let observed = count / (count + rest);
        let is_out = |share: f64| distance(share, count, rest) > slack;
        Ok(Interval::new(
            crossing(observed, 0.0, is_out),
            crossing(observed, 1.0, is_out),
        ))
    }

    fn arm(&self, arm: usize) -> Result<(f64, f64), Unusable> {
        let last = self.counts.len() - 1;
        match (self.counts.get(arm), self.shares.get(arm)) {
            (Some(count), Some(share)) => Ok((*count as f64, share)),
            _ => Err(Unusable::Arm { arm, last }),
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        let counts = self.counts.iter().map(|c| *c as f64);
        self.shares.0.iter().copied().zip(counts)
    }

    fn compute(&mut self) {
        self.now = ln_bayes_factor(self.pairs(), self.concentration);
        self.steps = 0;
    }

    /// How much less likely than the best one a `θ` in the set may be, in nats.
    fn slack(&self, alpha: Alpha) -> f64 {
        let n: f64 = self.pairs().map(|(_, count)| count).sum();
        let best: f64 = self
            .pairs()
            .map(|(share, count)| divergence(count, n * share))
            .sum();
        let exact = ln_bayes_factor(self.pairs(), self.concentration);
        (best - exact).max(0.0) + alpha.bar()
    }
}

/// `m KL` of the two counts from the odds `e^log`.
fn distance_at(log: f64, up: f64, down: f64) -> f64 {
    // Each share from its own side, so that neither rounds to 1 less nothing.
    let (share_up, share_down) = (1.0 / (1.0 + (-log).exp()), 1.0 / (1.0 + log.exp()));
    let total = up + down;
    divergence(up, total * share_up) + divergence(down, total * share_down)
}

#[cfg(test)]
mod tests;
