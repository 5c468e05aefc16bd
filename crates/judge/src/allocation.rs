//! Sample-ratio mismatch: whether the traffic went to the arms as it was asked to.
//!
//! The test of [`crate::counts`] on the assignments themselves. A mismatch means that the arms
//! cannot be compared, whatever they measured: requests are lost on one side, or users move
//! (Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD
//! 2019; Lindon & Malek, NeurIPS 2022, section 4).
//!
//! Assumption: each unit of assignment is counted once, and independently. Where users or
//! connections stick to an arm, the unit is the user or the connection, not the request.

use crate::counts::{CountTest, Shares};
use crate::evidence::Evidence;
use crate::level::Alpha;
use crate::unusable::Unusable;

/// Watches the assignments; valid at every look.
#[derive(Debug, Clone)]
pub struct AllocationCheck {
    test: CountTest,
    alpha: Alpha,
}

/// Whether the arms may be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allocation {
    /// Nothing speaks against it so far.
    AsAsked,
    /// Proven not to be as asked, at this p-value.
    Mismatch { p_value: f64 },
}

/// Mismatches that matter are a few percent of very many assignments.
const CONCENTRATION: f64 = 1000.0;

impl AllocationCheck {
    /// # Errors
    /// None with these constants; see [`CountTest::with_concentration`].
    pub fn new(shares: Shares, alpha: Alpha) -> Result<Self, Unusable> {
        let test = CountTest::with_concentration(shares, CONCENTRATION)?;
        Ok(Self { test, alpha })
    }

    /// Everything assigned since the last call, one count for each arm.
    ///
    /// # Errors
    /// Not as many counts as arms.
    pub fn assigned(&mut self, counts: &[u64]) -> Result<Allocation, Unusable> {
        self.test.batch(counts)?;
        Ok(self.allocation())
    }

    /// # Errors
    /// Other shares.
    pub fn merge(&mut self, other: &Self) -> Result<(), Unusable> {
        self.test.merge(&other.test)
    }

    #[must_use]
    pub fn allocation(&self) -> Allocation {
        if self.test.is_proven(self.alpha) {
            Allocation::Mismatch {
                p_value: self.test.p_value(),
            }
        } else {
            Allocation::AsAsked
        }
    }

    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.test.evidence()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_of_49_to_51_is_found_in_100_000_assignments_and_an_even_one_is_not() {
        let mut check =
            AllocationCheck::new(Shares::two_equal(), Alpha::new(0.01).unwrap()).unwrap();
        assert_eq!(check.assigned(&[50_050, 49_950]), Ok(Allocation::AsAsked));
        let mut check =
            AllocationCheck::new(Shares::two_equal(), Alpha::new(0.01).unwrap()).unwrap();
        let found = check.assigned(&[51_000, 49_000]).unwrap();
        assert!(
            matches!(found, Allocation::Mismatch { p_value } if p_value < 1e-4),
            "{found:?}"
        );
        assert_eq!(check.assigned(&[0, 2_000]), Ok(found), "it stays proven");
    }
}
