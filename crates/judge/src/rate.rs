//! Whether events are more frequent than they may be.
//!
//! While the rate is at most `r` per unit of exposure (seconds, requests, gigabytes), the count
//! `N` less `r E` is dominated by a compensated Poisson process with variance process `r E`,
//! and the gamma-Poisson mixture of Howard et al. 2021 (proposition 10) is an e-value at every
//! look. Exposure may come at any speed.
//!
//! Assumption: given the past, events come one at a time with an intensity of at most `r`.

use crate::boundary::gamma::Gamma;
use crate::evidence::Evidence;
use crate::level::Alpha;
use crate::unusable::Unusable;

/// 56 bytes, whatever is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    rate_max: f64,
    mixture: Gamma,
    events: u64,
    exposure: f64,
    strongest: Evidence,
}

/// Tightest where so many events may have happened.
const TIGHTEST_AT: f64 = 10.0;

impl RateLimit {
    /// `rate_max` events per unit of exposure.
    ///
    /// # Errors
    /// A rate that is not positive and finite.
    pub fn new(rate_max: f64) -> Result<Self, Unusable> {
        if !rate_max.is_finite() || rate_max <= 0.0 {
            return Err(Unusable::Scale(rate_max));
        }
        Ok(Self {
            rate_max,
            mixture: Gamma::tightest_at(TIGHTEST_AT, Alpha::FIVE_PERCENT.get(), 1.0),
            events: 0,
            exposure: 0.0,
            strongest: Evidence::NONE,
        })
    }

    /// What happened since the last call, and in how much exposure. A look follows.
    ///
    /// # Errors
    /// An exposure that is negative or not finite; nothing is counted then.
    pub fn observe(&mut self, events: u64, exposure: f64) -> Result<Evidence, Unusable> {
        if !exposure.is_finite() || exposure < 0.0 {
            return Err(Unusable::Scale(exposure));
        }
        self.events = self.events.saturating_add(events);
        self.exposure = (self.exposure + exposure).min(f64::MAX);
        let now = self.evidence();
        self.strongest = self.strongest.stronger(now);
        Ok(now)
    }

    /// Takes what another one has counted of the same limit.
    ///
    /// # Errors
    /// Another limit.
    pub fn merge(&mut self, other: &Self) -> Result<Evidence, Unusable> {
        if self.rate_max != other.rate_max {
            return Err(Unusable::Different);
        }
        self.observe(other.events, other.exposure)
    }

    /// That the rate is above the limit, as of now.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let allowed = (self.rate_max * self.exposure).min(f64::MAX / 4.0);
        Evidence::from_ln(
            self.mixture
                .ln_poisson(self.events as f64 - allowed, allowed),
        )
    }

    /// Valid at every look.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        self.strongest.p_value()
    }

    #[must_use]
    pub fn is_proven(&self, alpha: Alpha) -> bool {
        self.strongest.is_proof(alpha)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn twice_the_rate_is_proven_and_the_rate_is_not() {
        let (mut within, mut above) = (RateLimit::new(0.5).unwrap(), RateLimit::new(0.5).unwrap());
        for _ in 0..100 {
            within.observe(1, 2.0).unwrap();
            above.observe(2, 2.0).unwrap();
        }
        assert!(!within.is_proven(Alpha::FIVE_PERCENT), "{within:?}");
        assert!(above.is_proven(Alpha::FIVE_PERCENT), "{above:?}");
        within.merge(&above).unwrap();
        assert_eq!(
            within.merge(&RateLimit::new(0.6).unwrap()),
            Err(Unusable::Different)
        );
    }

    proptest! {
        #[test]
        fn nothing_is_nan(
            rate in prop::num::f64::ANY, batches in prop::collection::vec((any::<u64>(), prop::num::f64::ANY), 0..20),
        ) {
            let Ok(mut limit) = RateLimit::new(rate) else { return Ok(()) };
            for (events, exposure) in batches {
                let _ = limit.observe(events, exposure);
                prop_assert!(!limit.evidence().ln().is_nan());
            }
        }
    }
}
