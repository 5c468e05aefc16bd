//! Whether two distributions differ anywhere, and which arm is the slower one.
//!
//! Around each arm's empirical distribution function lies a band that holds the true one at
//! all times (Howard & Ramdas 2022), each at half of `alpha`. If the two
//! functions are further apart than both radii together, anywhere, the distributions differ;
//! where the control's is the higher one, the experiment is slower there: more of its
//! observations are above that value. Used like this by Lindon, Sanden & Shirikian, "Rapid
//! regression detection in software deployments through sequential testing", KDD 2022.
//!
//! Sees every kind of difference, also of variance. Assumption: observations of an arm are
//! independent and alike; under a distribution that drifts, compare pairs ([`crate::order`]).
//! Unit: that of the observations, microseconds for latencies. Both histograms have the same
//! cells, so looking at the ends of cells only can miss a difference and never invents one.

use hdrhistogram::{CreationError, Histogram};

use crate::boundary::empirical;
use crate::evidence::Evidence;
use crate::level::Alpha;
use crate::mean::difference::Side;
use crate::tally::latency_histogram;

/// Two histograms, of at most 450 kB each; latencies up to an hour take 190 kB.
#[derive(Debug, Clone)]
pub struct DistributionTest {
    control: Histogram<u64>,
    experiment: Histogram<u64>,
    p_value: f64,
}

/// The largest distances between two distribution functions, 0 to 1 each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    /// By how much more of the experiment's observations lie above some value.
    pub slower: f64,
    /// By how much more of them lie at or below some value.
    pub faster: f64,
    /// What a look at this moment would say; not a p-value at every look.
    pub p_value: f64,
}

/// What is proven about the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Slower,
    Faster,
    /// Slower somewhere and faster elsewhere: it spreads differently.
    Both,
}

/// The bands begin at so many observations of an arm.
pub(crate) const FROM: u64 = 32;

impl DistributionTest {
    /// # Errors
    /// As [`latency_histogram`].
    pub fn new() -> Result<Self, CreationError> {
        Ok(Self {
            control: latency_histogram()?,
            experiment: latency_histogram()?,
            p_value: 1.0,
        })
    }

    /// One observation. Nothing is looked at: that costs the more the more cells there are.
    pub fn observe(&mut self, side: Side, value: u64) {
        let histogram = match side {
            Side::Control => &mut self.control,
            Side::Experiment => &mut self.experiment,
        };
        // It grows as needed; beyond what it can grow to, it takes its largest value.
        if histogram.record(value).is_err() {
            histogram.saturating_record(value);
        }
    }

    /// Adds what the other one has observed, and looks.
    pub fn merge(&mut self, other: &Self) -> Gap {
        add(&mut self.control, &other.control);
        add(&mut self.experiment, &other.experiment);
        self.look()
    }

    /// The distance now, which counts for the p-value from here on.
    pub fn look(&mut self) -> Gap {
        let gap = self.gap();
        self.p_value = self.p_value.min(gap.p_value);
        gap
    }

    /// The smallest of all looks: valid at every look.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        self.p_value
    }

    /// The p-value of all looks as a bet.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        Evidence::from_p_value(self.p_value)
    }

    /// What is proven at this look: both arms' bands hold together, so both directions may be
    /// read off at the same `alpha`.
    #[must_use]
    pub fn direction(&self, alpha: Alpha) -> Option<Direction> {
        let Gap { slower, faster, .. } = self.gap();
        let counts = [self.control.len(), self.experiment.len()];
        let is_proven = |distance: f64| empirical::p_value(distance, FROM, counts) <= alpha.get();
        match (is_proven(slower), is_proven(faster)) {
            (true, true) => Some(Direction::Both),
            (true, false) => Some(Direction::Slower),
            (false, true) => Some(Direction::Faster),
            (false, false) => None,
        }
    }

    #[must_use]
    pub fn control(&self) -> &Histogram<u64> {
        &self.control
    }

    #[must_use]
    pub fn experiment(&self) -> &Histogram<u64> {
        &self.experiment
    }

    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let cells = |h: &Histogram<u64>| h.distinct_values() * size_of::<u64>();
        size_of::<Self>() + cells(&self.control) + cells(&self.experiment)
    }

    fn gap(&self) -> Gap {
        let (n, m) = (self.control.len(), self.experiment.len());
        let (mut slower, mut faster) = (0.0_f64, 0.0_f64);
        if n > 0 && m > 0 {
            merged(&self.control, &self.experiment, |_, below| {
                let apart = below[0].1 as f64 / n as f64 - below[1].1 as f64 / m as f64;
                slower = slower.max(apart);
                faster = faster.max(-apart);
            });
        }
        Gap {
            slower,
            faster,
            p_value: empirical::p_value(slower.max(faster), FROM, [n, m]),
        }
    }
}

/// Calls with each value that either has, in rising order, and how many of each arm lie before
/// its cell and up to its end.
pub(crate) fn merged(
    one: &Histogram<u64>,
    two: &Histogram<u64>,
    mut at: impl FnMut(u64, [(u64, u64); 2]),
) {
    let cells = |h: &Histogram<u64>| {
        h.iter_recorded()
            .map(|cell| (cell.value_iterated_to(), cell.count_at_value()))
            .collect::<Vec<_>>()
    };
    let (left, right) = (cells(one), cells(two));
    let (mut i, mut j) = (0, 0);
    let mut sums = [0_u64; 2];
    while i < left.len() || j < right.len() {
        let next = |cells: &[(u64, u64)], at: usize| cells.get(at).map_or(u64::MAX, |(v, _)| *v);
        let value = next(&left, i).min(next(&right, j));
        let before = sums;
        for (cells, at, sum) in [(&left, &mut i, 0), (&right, &mut j, 1)] {
            if let Some((_, count)) = cells.get(*at).filter(|(v, _)| *v == value) {
                sums[sum] = sums[sum].saturating_add(*count);
                *at += 1;
            }
        }
        at(value, [(before[0], sums[0]), (before[1], sums[1])]);
    }
}

fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) {
    if sum.add(other).is_err() {
        for cell in other.iter_recorded() {
            sum.saturating_record_n(cell.value_iterated_to(), cell.count_at_value());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn test(
        control: impl Fn(u64) -> u64,
        experiment: impl Fn(u64) -> u64,
        n: u64,
    ) -> DistributionTest {
        let mut test = DistributionTest::new().unwrap();
        for i in 0..n {
            test.observe(Side::Control, control(i));
            test.observe(Side::Experiment, experiment(i));
        }
        test.look();
        test
    }

    #[test]
    fn a_slower_arm_a_faster_one_and_one_that_spreads_are_told_apart() {
        let steady = |i: u64| 10_000 + i % 100 * 10;
        let alpha = Alpha::FIVE_PERCENT;
        let slower = test(steady, |i| steady(i) + 400, 2_000);
        assert_eq!(slower.direction(alpha), Some(Direction::Slower));
        assert!(slower.p_value() < 0.05);
        let faster = test(steady, |i| steady(i) - 400, 2_000);
        assert_eq!(faster.direction(alpha), Some(Direction::Faster));
        let wide = test(steady, |i| 10_500 + i % 100 * 30 - 1_500, 2_000);
        assert_eq!(wide.direction(alpha), Some(Direction::Both));
        let same = test(steady, |i| steady(i * 7), 2_000);
        assert_eq!(same.direction(alpha), None);
        assert_eq!(same.p_value(), 1.0);
    }

    #[test]
    fn the_gap_is_the_largest_distance_of_the_two_functions() {
        let gap = test(|i| 1 + i, |i| 3 + i, 4).gap();
        assert_eq!((gap.slower, gap.faster, gap.p_value), (0.5, 0.0, 1.0));
        let crossed = test(
            |i| [1, 5, 6, 7][i as usize],
            |i| [2, 3, 4, 8][i as usize],
            4,
        )
        .gap();
        assert_eq!((crossed.slower, crossed.faster), (0.25, 0.5));
    }

    #[test]
    fn merged_parts_are_the_whole() {
        let whole = test(|i| i % 50, |i| i % 70, 700);
        let mut parts = test(|i| i % 50, |i| i % 70, 350);
        let gap = parts.merge(&test(|i| (i + 350) % 50, |i| (i + 350) % 70, 350));
        assert_eq!(gap, whole.gap());
    }

    proptest! {
        #[test]
        fn nothing_fails_whatever_is_observed(
            control in prop::collection::vec(any::<u64>(), 0..100),
            experiment in prop::collection::vec(any::<u64>(), 0..100),
        ) {
            let mut test = DistributionTest::new().unwrap();
            control.iter().for_each(|v| test.observe(Side::Control, *v));
            experiment.iter().for_each(|v| test.observe(Side::Experiment, *v));
            let gap = test.look();
            prop_assert!((0.0..=1.0).contains(&gap.slower) && (0.0..=1.0).contains(&gap.faster));
            prop_assert!((0.0..=1.0).contains(&test.p_value()));
            prop_assert!(!test.evidence().ln().is_nan());
            prop_assert!(test.memory_bytes() < 950_000);
        }
    }
}
