//! The posterior over break point, spread and drift, on a grid.
//!
//! A trial at `x` finds the system broken with probability
//! `psi(x) = lapse + (1 - 2 lapse) Φ((x - t) / s)`: `t` is the break point, `s` how much the
//! crossing differs from trial to trial, and `lapse` the chance of an outcome that has nothing
//! to do with the magnitude. Positions are in cells of the axis. With all outcomes certain
//! this is the psychometric function of QUEST (Watson & Pelli, "QUEST: A Bayesian adaptive
//! psychometric method", Perception & Psychophysics 33, 1983) with the nuisance parameters of
//! the psi method (Kontsevich & Tyler, "Bayesian adaptive estimation of psychometric slope and
//! threshold", Vision Research 39, 1999) and QUEST+ (Watson, J. of Vision 17, 2017).
//!
//! Two things are added. A trial that is cut short is uncertain: with the probability `q` that
//! it was broken, its likelihood is `q psi + (1 - q)(1 - psi)`. And a system may drift: between
//! trials the break point takes a normal step, whose size `d` is a further parameter of the
//! grid, so that old trials count less as far as the data say that they should (a mixture of
//! grid filters; Gordon, Salmond & Smith, IEE Proc. F 140, 1993, for the filter's recursion).

use serde::Serialize;
use statrs::function::erf::erfc;

/// What is possible before the first trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    /// Probability of each cell, from the lowest.
    pub cells: Vec<f64>,
    /// That the break point lies below the axis.
    pub below: f64,
    /// That it lies beyond the axis, or that there is none.
    pub beyond: f64,
    /// Spreads in cells, with their probabilities.
    pub spreads: Vec<(f64, f64)>,
    /// Standard deviations of the drift per trial in cells, with their probabilities.
    pub drifts: Vec<(f64, f64)>,
    pub lapse: f64,
}

/// A grid posterior; all probabilities sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Belief {
    cells: usize,
    lapse: f64,
    spreads: usize,
    /// One table per spread: `psi` by how many magnitudes the trial lies above the lower end
    /// of the cell of the break point, from `-cells` on.
    psi: Vec<Vec<f64>>,
    drifts: Vec<f64>,
    /// Weights by drift, spread and place. Place 0 is below the axis, `1..=cells` are its
    /// cells, `cells + 1` is beyond it.
    weights: Vec<f64>,
}

/// The ends of a credible interval as magnitudes of the axis; absent where it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ends {
    pub low: Option<usize>,
    pub high: Option<usize>,
}

impl Belief {
    /// # Panics
    /// Never; weights that are no numbers, or all 0, become equal ones.
    #[must_use]
    pub fn new(prior: &Prior) -> Self {
        let cells = prior.cells.len();
        let mut weights = Vec::new();
        for (_, drift) in &prior.drifts {
            for (_, spread) in &prior.spreads {
                let places = std::iter::once(prior.below)
                    .chain(prior.cells.iter().copied())
                    .chain(std::iter::once(prior.beyond));
                weights.extend(places.map(|place| place * spread * drift));
            }
        }
        let psi = prior.spreads.iter().map(|(spread, _)| {
            let offsets = (0..=2 * cells).map(|i| i as f64 - cells as f64 - 0.5);
            offsets
                .map(|above| lapsing(prior.lapse, normal(above / spread)))
                .collect()
        });
        let mut belief = Self {
            cells,
            lapse: prior.lapse,
            spreads: prior.spreads.len(),
            psi: psi.collect(),
            drifts: prior.drifts.iter().map(|(size, _)| *size).collect(),
            weights,
        };
        belief.normalise();
        belief
    }

    /// Takes a trial at a magnitude of the axis that was broken with this probability.
    pub fn observe(&mut self, at: usize, broken: f64) {
        self.drift();
        let places = self.cells + 2;
        for (block, weights) in self.weights.chunks_mut(places).enumerate() {
            let psi = &self.psi[block % self.spreads];
            for (place, weight) in weights.iter_mut().enumerate() {
                let psi = chance(psi, self.cells, self.lapse, at, place);
                *weight *= broken * psi + (1.0 - broken) * (1.0 - psi);
            }
        }
        self.normalise();
    }

    /// Probabilities of the places: below the axis, each cell, beyond it.
    #[must_use]
    pub fn places(&self) -> Vec<f64> {
        let mut sum = vec![0.0; self.cells + 2];
        for weights in self.weights.chunks(self.cells + 2) {
            for (sum, weight) in sum.iter_mut().zip(weights) {
                *sum += weight;
            }
        }
        sum
    }

    /// Probabilities of the spreads, in the prior's order.
    #[must_use]
    pub fn spreads(&self) -> Vec<f64> {
        let mut sum = vec![0.0; self.spreads];
        for (block, weights) in self.weights.chunks(self.cells + 2).enumerate() {
            sum[block % self.spreads] += weights.iter().sum::<f64>();
        }
        sum
    }

    /// Probabilities of the drifts, in the prior's order.
    #[must_use]
    pub fn drifts(&self) -> Vec<f64> {
        let each = (self.cells + 2) * self.spreads;
        self.weights.chunks(each).map(|w| w.iter().sum()).collect()
    }

    /// The probability that a trial at this magnitude breaks the system, lapses aside.
    #[must_use]
    pub fn risk(&self, at: usize) -> f64 {
        let broken = self.outcomes(at).map(|(weight, psi)| weight * psi);
        let with_lapses: f64 = broken.sum();
        ((with_lapses - self.lapse) / (1.0 - 2.0 * self.lapse)).clamp(0.0, 1.0)
    }

    /// By how much a certain outcome at this magnitude is expected to lower the variance of
    /// the break point, in cells squared: with `y` the outcome, `Cov(t, y)^2 / Var(y)`.
    ///
    /// Entropy, which QUEST+ lowers, is content with a sharp peak; an interval is as wide as
    /// what lies far from the peak, and the variance counts that.
    #[must_use]
    pub fn gain(&self, at: usize) -> f64 {
        let places = self.cells + 2;
        let (mut broken, mut mean, mut both) = (0.0, 0.0, 0.0);
        for (i, (weight, psi)) in self.outcomes(at).enumerate() {
            let place = (i % places) as f64;
            broken += weight * psi;
            mean += weight * place;
            both += weight * psi * place;
        }
        let covariance = both - broken * mean;
        let variance = broken * (1.0 - broken);
        if variance > 0.0 {
            covariance * covariance / variance
        } else {
            0.0
        }
    }

    /// The narrowest magnitudes that leave at most `alpha / 2` on either side.
    #[must_use]
    pub fn interval(&self, alpha: f64) -> Ends {
        let places = self.places();
        // Sums of rounded numbers: what is this near to the limit counts as within it.
        let tail = alpha / 2.0 + 1e-12;
        let mut below = 0.0;
        let low = places[..=self.cells].iter().take_while(|weight| {
            below += **weight;
            below <= tail
        });
        let mut above = 0.0;
        let high = places[1..].iter().rev().take_while(|weight| {
            above += **weight;
            above <= tail
        });
        let (low, high) = (low.count(), high.count());
        Ends {
            low: low.checked_sub(1),
            high: (high > 0).then(|| (self.cells + 1).saturating_sub(high)),
        }
    }

    /// The magnitude with as much below as above it; `None` where that is off the axis.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        let places = self.places();
        let mut below = places[0];
        if below > 0.5 {
            return None;
        }
        for (cell, weight) in places[1..=self.cells].iter().enumerate() {
            if below + weight >= 0.5 && *weight > 0.0 {
                return Some(cell as f64 + (0.5 - below) / weight);
            }
            below += weight;
        }
        None
    }

    /// Each weight with its `psi` at this magnitude, in order.
    fn outcomes(&self, at: usize) -> impl Iterator<Item = (f64, f64)> {
        let places = self.cells + 2;
        self.weights.iter().enumerate().map(move |(i, weight)| {
            let psi = &self.psi[(i / places) % self.spreads];
            (*weight, chance(psi, self.cells, self.lapse, at, i % places))
        })
    }

    /// One normal step within the axis; what is off it stays there.
    fn drift(&mut self) {
        let places = self.cells + 2;
        for (block, weights) in self.weights.chunks_mut(places).enumerate() {
            let size = self.drifts[block / self.spreads];
            if size > 0.0 {
                spread_out(&mut weights[1..=self.cells], size);
            }
        }
    }

    fn normalise(&mut self) {
        let sum: f64 = self.weights.iter().sum();
        let equal = 1.0 / self.weights.len().max(1) as f64;
        let is_lost = !(sum.is_finite() && sum > 0.0);
        for weight in &mut self.weights {
            *weight = if is_lost { equal } else { *weight / sum };
        }
    }
}

/// `psi` of a trial at `at` with the break point in this place.
fn chance(psi: &[f64], cells: usize, lapse: f64, at: usize, place: usize) -> f64 {
    match place {
        0 => 1.0 - lapse,
        place if place > cells => lapse,
        place => psi[at + cells + 1 - place],
    }
}

/// Moves weights by a normal step of this size, reflected where they would leave.
fn spread_out(weights: &mut [f64], size: f64) {
    let reach = (4.0 * size).ceil() as usize;
    let step: Vec<f64> = (0..=reach)
        .map(|by| normal((by as f64 + 0.5) / size) - normal((by as f64 - 0.5) / size))
        .collect();
    let mass = step[0] + 2.0 * step[1..].iter().sum::<f64>();
    let last = weights.len() - 1;
    let mut moved = vec![0.0; weights.len()];
    for (from, weight) in weights.iter().enumerate() {
        for (by, share) in step.iter().enumerate() {
            let part = weight * share / mass;
            moved[reflected(from + by, last)] += part;
            if by > 0 {
                moved[from.abs_diff(by).min(last)] += part;
            }
        }
    }
    weights.copy_from_slice(&moved);
}

fn reflected(to: usize, last: usize) -> usize {
    if to <= last {
        to
    } else {
        (2 * last).saturating_sub(to)
    }
}

fn lapsing(lapse: f64, chance: f64) -> f64 {
    lapse + (1.0 - 2.0 * lapse) * chance
}

/// The distribution function of the standard normal.
fn normal(z: f64) -> f64 {
    0.5 * erfc(-z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prior(cells: &[f64], drift: f64) -> Prior {
        Prior {
            cells: cells.to_vec(),
            below: 0.0,
            beyond: 0.0,
            spreads: vec![(0.5, 0.7), (2.0, 0.3)],
            drifts: vec![(drift, 1.0)],
            lapse: 0.01,
        }
    }

    fn variance(places: &[f64]) -> f64 {
        let moment = |n| {
            places
                .iter()
                .enumerate()
                .map(|(i, p)| p * (i as f64).powi(n))
                .sum::<f64>()
        };
        moment(2) - moment(1).powi(2)
    }

    #[test]
    fn a_trial_that_says_nothing_moves_a_drifting_break_point_only() {
        let mut cells = [0.0; 41];
        cells[20] = 1.0;
        for (drift, expected) in [(0.0, 0.0), (1.5, 1.5_f64.powi(2))] {
            let mut belief = Belief::new(&prior(&cells, drift));
            belief.observe(20, 0.5);
            let places = belief.places();
            assert!((places.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            // A normal step rounded to cells has a twelfth of a cell squared more.
            let rounding = if drift > 0.0 { 1.0 / 12.0 } else { 0.0 };
            assert!(
                (variance(&places) - expected - rounding).abs() < 0.02,
                "{}",
                variance(&places)
            );
        }
    }

    #[test]
    fn a_drift_stays_on_the_axis() {
        let mut belief = Belief::new(&prior(&[1.0, 0.0, 0.0], 5.0));
        belief.observe(1, 0.5);
        let places = belief.places();
        assert_eq!((places[0], places[4]), (0.0, 0.0));
        assert!(places[1..=3].iter().all(|p| *p > 0.1), "{places:?}");
    }

    #[test]
    fn an_interval_leaves_no_more_than_its_tails() {
        let ends = |cells: &[f64], below| {
            let belief = Belief::new(&Prior {
                below,
                ..prior(cells, 0.0)
            });
            let Ends { low, high } = belief.interval(0.05);
            (low, high)
        };
        assert_eq!(ends(&[0.02, 0.48, 0.48, 0.02], 0.0), (Some(1), Some(3)));
        assert_eq!(ends(&[0.03, 0.48, 0.46, 0.03], 0.0), (Some(0), Some(4)));
        assert_eq!(ends(&[0.5, 0.4], 0.1), (None, Some(2)));
        assert_eq!(ends(&[0.0, 0.0], 1.0), (None, Some(0)));
    }

    #[test]
    fn the_gain_is_the_variance_that_an_outcome_takes_away() {
        let belief = Belief::new(&prior(&[0.1, 0.2, 0.4, 0.2, 0.1], 0.0));
        for at in 0..=5 {
            let broken = belief
                .outcomes(at)
                .map(|(weight, psi)| weight * psi)
                .sum::<f64>();
            let after = |outcome: f64| {
                let mut known = belief.clone();
                known.observe(at, outcome);
                variance(&known.places())
            };
            let expected = broken * after(1.0) + (1.0 - broken) * after(0.0);
            let gain = variance(&belief.places()) - expected;
            assert!((belief.gain(at) - gain).abs() < 1e-12, "at {at}");
        }
    }

    #[test]
    fn weights_that_are_no_numbers_become_equal_ones() {
        let belief = Belief::new(&prior(&[f64::NAN, 1.0], 0.0));
        assert!(belief.places().iter().all(|p| (p - 0.25).abs() < 1e-12));
    }
}
