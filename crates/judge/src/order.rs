//! Whether one arm's values are larger than the other's, pair by pair.
//!
//! The i-th value of one arm is compared with the i-th of the other. If both have the same
//! distribution at the time of each pair, a pair that is no tie is won by either with
//! probability ½, whatever the distribution is and however it moves: days and load that both
//! arms share do no harm. Wins are tested against losses by the Bayes factor of
//! [`crate::counts`]. `P(experiment > control)` among the pairs that are no ties is what the
//! Mann-Whitney test looks at, once; this may be looked at after every pair (a sequential sign
//! test: Wald 1947; Ramdas et al. 2023, section 5).
//!
//! Blind to differences that leave wins and losses even, such as of variance: see
//! [`crate::distribution`]. Assumption: pairs are independent given the past, and formed
//! without a look at the values.

use crate::counts::{CountTest, Shares};
use crate::evidence::Evidence;
use crate::excess::ExcessTest;
use crate::interval::Interval;
use crate::level::Alpha;
use crate::unusable::Unusable;

/// About 100 bytes, whatever is observed.
#[derive(Debug, Clone)]
pub struct PairedOrder {
    test: CountTest,
    ties: u64,
}

/// Tests only whether the experiment's values are the larger ones, which takes fewer pairs.
/// About 70 bytes, whatever is observed.
#[derive(Debug, Clone, Copy)]
pub struct PairedIncrease {
    test: ExcessTest,
}

const CONTROL: usize = 0;
const EXPERIMENT: usize = 1;
/// Large differences are to be found in few pairs.
const CONCENTRATION: f64 = 2.0;

impl PairedOrder {
    /// # Errors
    /// None with these constants; see [`CountTest::with_concentration`].
    pub fn new() -> Result<Self, Unusable> {
        let test = CountTest::with_concentration(Shares::two_equal(), CONCENTRATION)?;
        Ok(Self { test, ties: 0 })
    }

    /// One value of each arm, of the same time. Values that do not compare (NaN) are a tie.
    pub fn observe<T: PartialOrd>(&mut self, control: &T, experiment: &T) {
        let winner = if experiment > control {
            EXPERIMENT
        } else if control > experiment {
            CONTROL
        } else {
            self.ties = self.ties.saturating_add(1);
            return;
        };
        // There are two arms, so this counts.
        let _ = self.test.event(winner);
    }

    /// Takes what another one has seen, as one batch.
    pub fn merge(&mut self, other: &Self) {
        self.ties = self.ties.saturating_add(other.ties);
        let _ = self.test.merge(&other.test);
    }

    /// Pairs in which the experiment was larger, smaller, and neither.
    #[must_use]
    pub fn pairs(&self) -> (u64, u64, u64) {
        let count = |arm: usize| self.test.counts().get(arm).copied().unwrap_or(0);
        (count(EXPERIMENT), count(CONTROL), self.ties)
    }

    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.test.evidence()
    }

    /// Valid at every look.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        self.test.p_value()
    }

    #[must_use]
    pub fn is_proven(&self, alpha: Alpha) -> bool {
        self.test.is_proven(alpha)
    }

    /// Of the probability that the experiment's value is the larger one, among pairs that are
    /// no ties; ½ means no difference.
    #[must_use]
    pub fn interval(&self, alpha: Alpha) -> Interval {
        self.test
            .share(EXPERIMENT, alpha)
            .unwrap_or(Interval::new(0.0, 1.0))
    }
}

impl PairedIncrease {
    /// # Errors
    /// None with these constants; see [`ExcessTest::with_concentration`].
    pub fn new() -> Result<Self, Unusable> {
        // Jeffreys' prior, cut to wins above one half.
        let test = ExcessTest::with_concentration(&Shares::two_equal(), 1.0, 1.0)?;
        Ok(Self { test })
    }

    /// One value of each arm, of the same time; ties are left out.
    pub fn observe<T: PartialOrd>(&mut self, control: &T, experiment: &T) {
        let (loss, win) = (
            u64::from(control > experiment),
            u64::from(experiment > control),
        );
        if loss + win > 0 {
            self.test.observe(loss, win);
        }
    }

    /// Takes what another one has seen, as one batch.
    pub fn merge(&mut self, other: &Self) {
        // Both ask the same question, so this counts.
        let _ = self.test.merge(&other.test);
    }

    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.test.evidence()
    }

    /// Valid at every look.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        self.test.p_value()
    }

    #[must_use]
    pub fn is_proven(&self, alpha: Alpha) -> bool {
        self.test.is_proven(alpha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_wins_in_a_row_are_an_increase_and_losses_never_are() {
        let (mut up, mut down) = (
            PairedIncrease::new().unwrap(),
            PairedIncrease::new().unwrap(),
        );
        for i in 1..=6 {
            assert!(!up.is_proven(Alpha::FIVE_PERCENT), "{i}");
            up.observe(&1, &100);
            down.observe(&100, &1);
            down.observe(&1, &1);
        }
        assert!(up.is_proven(Alpha::FIVE_PERCENT));
        assert_eq!(down.p_value(), 1.0);
        down.merge(&up);
        assert!(!down.is_proven(Alpha::FIVE_PERCENT));
    }

    #[test]
    fn wins_and_losses_are_weighed_and_ties_are_not() {
        let mut order = PairedOrder::new().unwrap();
        for i in 0..40 {
            order.observe(&f64::from(i), &f64::from(i + 1));
            order.observe(&1.0, &1.0);
            order.observe(&f64::NAN, &1.0);
        }
        assert_eq!(order.pairs(), (40, 0, 80));
        assert!(order.is_proven(Alpha::FIVE_PERCENT));
        assert!(order.interval(Alpha::FIVE_PERCENT).low() > 0.8);

        let mut even = PairedOrder::new().unwrap();
        for i in 0..500_u32 {
            even.observe(&(i % 2), &((i + 1) % 2));
        }
        assert!(!even.is_proven(Alpha::FIVE_PERCENT));
        assert!(even.interval(Alpha::FIVE_PERCENT).contains(0.5));
        even.merge(&order);
        assert_eq!(even.pairs(), (290, 250, 80));
    }
}
