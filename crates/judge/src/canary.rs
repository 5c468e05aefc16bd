//! A canary: what two arms of the same traffic, of which one has a fault, prove together.
//!
//! Each KPI has a tolerance: how much worse the experiment may be. It is *harmed* when it is proven
//! worse than that, *harmless* when it is proven not to be, and neither before. Both are read off
//! one confidence sequence of the difference, so looking at it all the time costs nothing, and both
//! cannot be claimed of the same stream but with the error rate.
//!
//! - [`Ask::SuccessRatio`]: the difference of two shares ([`crate::share`]), -1 to 1;
//! - [`Ask::UserRatio`]: the same of users, each of them once: good if no bad answer came to it;
//! - [`Ask::Latency`]: how far a quantile moved, in seconds, from the intervals of both
//!   ([`crate::quantile`]); and, for harm only, whether the experiment is slower
//!   anywhere than the control is with the tolerance added ([`crate::distribution`]). Each has half
//!   of the error rate;
//! - always: whether the experiment's requests still get answers, by a rate of answers that is
//!   less than two thirds of the control's ([`crate::excess`]). Requests that hang are counted
//!   nowhere else. Where the arms get different amounts, the rates are relative to those
//!   [`Before`] the fault; where users are asked about, it is their numbers that are compared.
//!
//! Several KPIs: the error rate is split evenly among them and that last question (Bonferroni, as
//! in [`crate::several`]), for the claim of any harm. That *nothing* is harmed is claimed when every
//! KPI is harmless, each at its own part.
//!
//! Assumptions: arms that get equal amounts of the traffic, or keep the proportion of [`Before`];
//! given the past, requests are independent and alike in an arm. Where a user makes many requests,
//! and users differ much, intervals of requests are too narrow: ask about users then, of which only
//! that is assumed. Units: shares; seconds.

mod before;

use std::num::NonZeroU32;

use hdrhistogram::{CreationError, Histogram};

pub use before::Before;

use crate::allocation::{Allocation, AllocationCheck};
use crate::counts::Shares;
use crate::distribution::{Direction, DistributionTest};
use crate::excess::ExcessTest;
use crate::interval::Interval;
use crate::level::{Alpha, Probability};
use crate::mean::difference::Side;
use crate::quantile::quantile_sequence;
use crate::share::{Outcomes, ShareSequence, share_difference};
use crate::tally::latency_histogram;
use crate::unusable::Unusable;

/// What is compared, and how much worse the experiment may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ask {
    /// Less by this much, 0 to 1.
    SuccessRatio { tolerance: f64 },
    /// The share of users without a bad answer is less by this much, 0 to 1.
    UserRatio { tolerance: f64 },
    /// A quantile larger by so many seconds.
    Latency {
        quantile: Probability,
        tolerance: f64,
    },
}

/// What an arm did since the last call: raw increments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    pub good: u64,
    pub bad: u64,
    /// Users that were counted, each once in its life, and none twice.
    pub users: Outcomes,
    /// Of all requests: at least and at most so many seconds, and how many took that.
    pub times: Vec<(f64, f64, u64)>,
}

/// What is known of one KPI.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// What was seen: shares or seconds. None without requests.
    pub control: Option<f64>,
    pub experiment: Option<f64>,
    /// The experiment's less the control's, at the error rate of this KPI.
    pub difference: Interval,
    pub standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Harmed,
    Harmless,
    NotYet,
}

/// Both arms of one canary. About 800 kB for each latency.
#[derive(Debug, Clone)]
pub struct Canary {
    kpis: Vec<Kpi>,
    answers: ExcessTest,
    /// At what the last is proven.
    answers_at: Alpha,
    /// Whether answers are counted by the users who got them.
    of_users: bool,
    totals: [u64; 2],
    users: [u64; 2],
    part: Alpha,
}

#[derive(Debug, Clone)]
enum Kpi {
    Share {
        of_users: bool,
        tolerance: f64,
        arms: [ShareSequence; 2],
        seen: [Outcomes; 2],
    },
    Latency(Box<Latency>),
}

#[derive(Debug, Clone)]
struct Latency {
    quantile: Probability,
    tolerance: f64,
    /// Of control and experiment, all at their slowest.
    arms: [Histogram<u64>; 2],
    /// All at their quickest.
    quickest: [Histogram<u64>; 2],
    /// Of the experiment at its quickest, and the control at its slowest with the tolerance added.
    slower: DistributionTest,
}

/// Shares are told apart soonest at about so many requests.
const TIGHTEST_AT: f64 = 1000.0;

/// Answers that the control gets for each of the experiment's, at most.
const ANSWERS_RATIO: f64 = 1.5;

/// Why a canary cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error("no histogram: {0}")]
    Histogram(#[from] CreationError),
    #[error("a tolerance of {0}; it is a finite number from 0")]
    Tolerance(f64),
}

impl Canary {
    /// # Errors
    /// A tolerance that is negative or not finite.
    pub fn new(asks: &[Ask], alpha: Alpha) -> Result<Self, CanaryError> {
        Self::with(asks, alpha, |part| Ok((Shares::two_equal(), part)))
    }

    /// For arms that others lead traffic to, in whatever proportion.
    ///
    /// # Errors
    /// As [`Self::new`]; or there is too little before the fault to compare with.
    pub fn relative_to(before: &Before, asks: &[Ask], alpha: Alpha) -> Result<Self, CanaryError> {
        // Half for what the proportion is, half for whether it is kept.
        Self::with(asks, alpha, |part| {
            Ok((before.shares(part.half())?, part.half()))
        })
    }

    fn with(
        asks: &[Ask],
        alpha: Alpha,
        shares: impl FnOnce(Alpha) -> Result<(Shares, Alpha), Unusable>,
    ) -> Result<Self, CanaryError> {
        let claims = u32::try_from(asks.len() + 1).unwrap_or(u32::MAX);
        let part = alpha.split(NonZeroU32::new(claims).unwrap_or(NonZeroU32::MIN));
        let kpis = asks
            .iter()
            .map(|ask| Kpi::new(*ask, part))
            .collect::<Result<_, _>>()?;
        let (shares, answers_at) = shares(part)?;
        Ok(Self {
            kpis,
            // The control has the excess where the experiment's requests hang.
            answers: ExcessTest::new(&shares.turned(), ANSWERS_RATIO)?,
            answers_at,
            of_users: asks.iter().any(|ask| matches!(ask, Ask::UserRatio { .. })),
            totals: [0, 0],
            users: [0, 0],
            part,
        })
    }

    /// What both arms did in the same time. A look follows.
    pub fn observe(&mut self, control: &Batch, experiment: &Batch) {
        let totals = [control, experiment].map(|batch| batch.good.saturating_add(batch.bad));
        for (sum, more) in self.totals.iter_mut().zip(totals) {
            *sum = sum.saturating_add(more);
        }
        let users = [control, experiment].map(|batch| all(batch.users));
        for (sum, more) in self.users.iter_mut().zip(users) {
            *sum = sum.saturating_add(more);
        }
        let [of_control, of_experiment] = if self.of_users { users } else { totals };
        self.answers.observe(of_experiment, of_control);
        for kpi in &mut self.kpis {
            kpi.observe([control, experiment]);
        }
    }

    /// Requests of control and experiment that got their answers.
    #[must_use]
    pub fn requests(&self) -> [u64; 2] {
        self.totals
    }

    /// Users of control and experiment that were counted.
    #[must_use]
    pub fn users(&self) -> [u64; 2] {
        self.users
    }

    /// What is counted of both arms to see whether they are even: users where they are asked about,
    /// requests otherwise.
    #[must_use]
    pub fn counted(&self) -> [u64; 2] {
        match self.of_users {
            true => self.users,
            false => self.totals,
        }
    }

    /// Whether users are asked about.
    #[must_use]
    pub fn is_of_users(&self) -> bool {
        self.of_users
    }

    /// What is known now, in the order of the questions.
    #[must_use]
    pub fn judged(&self) -> Vec<Judged> {
        self.kpis.iter().map(|kpi| kpi.judged(self.part)).collect()
    }

    /// Whether it is proven that requests of the experiment get too few answers.
    #[must_use]
    pub fn answers_are_missing(&self) -> bool {
        self.answers.is_proven(self.answers_at)
    }
}

/// Whether the arms were even before anything was broken: requests of both, or users.
///
/// # Errors
/// None with these constants.
pub fn are_even(requests: [u64; 2], alpha: Alpha) -> Result<bool, Unusable> {
    let mut check = AllocationCheck::new(Shares::two_equal(), alpha)?;
    Ok(check.assigned(&requests)? == Allocation::AsAsked)
}

impl Kpi {
    fn new(ask: Ask, part: Alpha) -> Result<Self, CanaryError> {
        let usable = |tolerance: f64| tolerance.is_finite() && tolerance >= 0.0;
        match ask {
            Ask::SuccessRatio { tolerance }
            | Ask::UserRatio { tolerance }
            | Ask::Latency { tolerance, .. }
                if !usable(tolerance) =>
            {
                Err(CanaryError::Tolerance(tolerance))
            }
            Ask::SuccessRatio { tolerance } | Ask::UserRatio { tolerance } => {
                let sequence = ShareSequence::tightest_at(TIGHTEST_AT, part.half());
                Ok(Self::Share {
                    of_users: matches!(ask, Ask::UserRatio { .. }),
                    tolerance,
                    arms: [sequence; 2],
                    seen: [Outcomes::default(); 2],
                })
            }
            Ask::Latency {
                quantile,
                tolerance,
            } => Ok(Self::Latency(Box::new(Latency {
                quantile,
                tolerance,
                arms: [latency_histogram()?, latency_histogram()?],
                quickest: [latency_histogram()?, latency_histogram()?],
                slower: DistributionTest::new()?,
            }))),
        }
    }

    fn observe(&mut self, batches: [&Batch; 2]) {
        match self {
            Self::Share {
                of_users,
                arms,
                seen,
                ..
            } => {
                for ((arm, seen), batch) in arms.iter_mut().zip(seen).zip(batches) {
                    let Batch { good, bad, .. } = *batch;
                    let more = if *of_users {
                        batch.users
                    } else {
                        Outcomes { good, bad }
                    };
                    arm.observe(more);
                    seen.good = seen.good.saturating_add(more.good);
                    seen.bad = seen.bad.saturating_add(more.bad);
                }
            }
            Self::Latency(latency) => latency.observe(batches),
        }
    }

    fn judged(&self, part: Alpha) -> Judged {
        match self {
            Self::Share {
                tolerance,
                arms: [control, experiment],
                seen,
                ..
            } => {
                let difference = share_difference(control, experiment, part);
                let standing = if difference.high() < -tolerance {
                    Standing::Harmed
                } else if difference.low() > -tolerance {
                    Standing::Harmless
                } else {
                    Standing::NotYet
                };
                let [control, experiment] = seen.map(ratio);
                Judged {
                    control,
                    experiment,
                    difference,
                    standing,
                }
            }
            Self::Latency(latency) => latency.judged(part),
        }
    }
}

fn all(outcomes: Outcomes) -> u64 {
    outcomes.good.saturating_add(outcomes.bad)
}

fn ratio(seen: Outcomes) -> Option<f64> {
    let all = seen.good as f64 + seen.bad as f64;
    (all > 0.0).then(|| seen.good as f64 / all)
}

impl Latency {
    fn observe(&mut self, [control, experiment]: [&Batch; 2]) {
        for (at, batch) in [control, experiment].into_iter().enumerate() {
            for (least, most, count) in &batch.times {
                record(&mut self.arms[at], *most, *count);
                record(&mut self.quickest[at], *least, *count);
            }
        }
        for (_, most, count) in &control.times {
            let value = micros(most + self.tolerance);
            (0..*count).for_each(|_| self.slower.observe(Side::Control, value));
        }
        for (least, _, count) in &experiment.times {
            let value = micros(*least);
            (0..*count).for_each(|_| self.slower.observe(Side::Experiment, value));
        }
    }

    fn judged(&self, part: Alpha) -> Judged {
        let [control, experiment] = &self.arms;
        let half = part.half();
        let sequence = |values| quantile_sequence(values, self.quantile, half.half());
        // The width of what was counted is part of what is not known.
        let [was, is] = [0, 1].map(|at| {
            let quickest = sequence(&self.quickest[at]).low();
            Interval::new(quickest, sequence(&self.arms[at]).high())
        });
        // Without observations, both ends of one are open.
        let difference =
            Interval::new((is.low() - was.high()) / 1e6, (is.high() - was.low()) / 1e6);
        let is_slower = matches!(
            self.slower.direction(half),
            Some(Direction::Slower | Direction::Both)
        );
        let standing = if difference.low() > self.tolerance || is_slower {
            Standing::Harmed
        } else if difference.high() < self.tolerance {
            Standing::Harmless
        } else {
            Standing::NotYet
        };
        let at = |values: &Histogram<u64>| {
            let value = values.value_at_quantile(self.quantile.get()) as f64 / 1e6;
            (!values.is_empty()).then_some(value)
        };
        Judged {
            control: at(control),
            experiment: at(experiment),
            difference,
            standing,
        }
    }
}

/// It grows as needed; beyond what it can grow to, it takes its largest value.
fn record(values: &mut Histogram<u64>, seconds: f64, count: u64) {
    if values.record_n(micros(seconds), count).is_err() {
        values.saturating_record_n(micros(seconds), count);
    }
}

/// A cast of what is too long for it gives the largest.
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).ceil() as u64
}

#[cfg(test)]
mod tests;
