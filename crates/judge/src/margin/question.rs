//! What is asked of a system, and within which limits.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::axis::{Axis, CELLS_MAX};
use crate::sequential::BadRateTest;

/// How magnitudes are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    Linear,
    /// For magnitudes above 0 whose ratios matter: 10 ms to 10 s.
    Log,
}

/// One dimension of one system. Magnitudes are in the dimension's unit, whatever it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Question {
    /// The smallest magnitude, which is tried first.
    pub lowest: f64,
    /// The largest magnitude allowed. Nothing is ever tried beyond it.
    pub largest: f64,
    pub scale: Scale,
    /// How wide the interval of the break point may be: in the unit on a linear scale, as a
    /// share (0.05 is 5 %) on a logarithmic one.
    pub resolution: f64,
    /// The share of bad requests that the objective allows, between 0 and 1, both excluded.
    pub bad_rate_max: f64,
    /// The chance to be wrong: of a certificate or its refusal, and of an interval.
    pub alpha: f64,
    pub aim: Aim,
    /// What the dimension is today, if that is known.
    pub normal: Option<Normal>,
    pub dwell: Dwell,
    pub budget: Budget,
    /// How long the system may take to recover from a trial.
    pub recovery_within: Duration,
}

/// Which of the two questions is asked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// Is it at least this much? Each trial breaks with a chance of at most `risk_max`, by
    /// what is believed at that time. The answer is that of the trials made: a system whose
    /// crossings differ from trial to trial may hold today at a target near its break point.
    Certify { target: Target, risk_max: f64 },
    /// Where does it break? A trial goes at most `jump_max` beyond what was seen to hold: in
    /// the unit on a linear scale, as a factor above 1 on a logarithmic one.
    Search { jump_max: f64, hysteresis: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    Magnitude(f64),
    /// So many times today's normal.
    Times(f64),
}

/// Today's value of the dimension.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Normal {
    pub value: f64,
    pub is: NormalIs,
}

/// How a magnitude relates to today's normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormalIs {
    /// The magnitude comes on top of it, like added latency.
    AddedTo,
    /// The magnitude takes its place, like the rate of requests.
    Replaced,
}

/// How long a magnitude is in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dwell {
    /// Before this no trial is said to hold: effects may need time to build up.
    pub min: Duration,
    /// Then a trial ends, whether it was answered or not.
    pub max: Duration,
}

/// What the answer may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Budget {
    pub bad_events_max: u64,
    /// No single trial may spend more.
    pub bad_events_per_trial_max: u64,
    pub trials_max: u32,
    /// What may be spent before whoever counts can tell of it. No trial begins that the rest of the
    /// budget could not pay for with this on top, and a trial ends so much before its own limit.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub unseen_max: u64,
    /// What a trial may spend before the first count that is of its fault alone is told. A trial
    /// that could not pay for it would say nothing where it breaks, and only there, which would
    /// make a search believe that it holds; so none begins.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub before_max: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_nothing(count: &u64) -> bool {
    *count == 0
}

impl Budget {
    /// What a trial spends beside what it is judged by, at the most.
    pub(super) fn blind(&self) -> u64 {
        self.unseen_max.saturating_add(self.before_max)
    }
}

/// Why a question cannot be asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Wrong {
    /// `lowest` is not below `largest`, or a logarithmic scale does not begin above 0.
    Range {
        lowest: f64,
        largest: f64,
    },
    Resolution {
        resolution: f64,
    },
    /// More steps than a search can tell apart, or too small a risk for so many.
    TooFine {
        resolution: f64,
    },
    BadRate {
        bad_rate_max: f64,
    },
    Alpha {
        alpha: f64,
    },
    Risk {
        risk_max: f64,
    },
    Jump {
        jump_max: f64,
    },
    /// Times normal, where normal is unknown or not above 0.
    NoNormal,
    /// A target that does not lie above `lowest` and up to `largest`.
    Target {
        target: f64,
        lowest: f64,
        largest: f64,
    },
    Dwell {
        min: Duration,
        max: Duration,
    },
    /// A limit of 0.
    Budget,
    /// A trial could spend all that it may before anybody sees the first of it.
    Unseen {
        blind: u64,
        most: u64,
    },
}

impl std::error::Error for Wrong {}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Range { lowest, largest } => write!(
                f,
                "magnitudes from {lowest} to {largest} are no range: both are finite, the first is below the second, and above 0 on a logarithmic scale"
            ),
            Wrong::Resolution { resolution } => {
                write!(f, "a resolution of {resolution} is not above 0 and finite")
            }
            Wrong::TooFine { resolution } => write!(
                f,
                "a resolution of {resolution} is too fine for this range, or the risk per trial too small: at most {} steps can be told apart",
                CELLS_MAX / 4.0
            ),
            Wrong::BadRate { bad_rate_max } => write!(
                f,
                "a share of bad requests of {bad_rate_max} is not between 0 and 1, both excluded: such an objective cannot be tested"
            ),
            Wrong::Alpha { alpha } => {
                write!(f, "an error probability of {alpha} is not above 0 and below 0.5")
            }
            Wrong::Risk { risk_max } => {
                write!(f, "a risk of {risk_max} per trial is not above 0 and below 1")
            }
            Wrong::Jump { jump_max } => write!(
                f,
                "a jump of {jump_max} leads nowhere: it is at least the resolution on a linear scale, and at least the factor 1 + resolution on a logarithmic one"
            ),
            Wrong::NoNormal => f.write_str(
                "`times` needs to know today's normal, and that it is above 0: give the target as a magnitude instead",
            ),
            Wrong::Target {
                target,
                lowest,
                largest,
            } => write!(
                f,
                "the target of {target} does not lie above the lowest magnitude ({lowest}) and up to the largest allowed ({largest})"
            ),
            Wrong::Dwell { min, max } => write!(
                f,
                "a trial cannot last at least {min:?} and at most {max:?}: the most is above 0 and not below the least"
            ),
            Wrong::Budget => f.write_str(
                "a budget without bad events or without trials answers nothing: one bad event per trial, in all, and one trial are the least",
            ),
            Wrong::Unseen { blind, most } => write!(
                f,
                "{blind} bad events may be spent before a trial can be judged or after, unseen, and a trial may spend {most}: none can begin"
            ),
        }
    }
}

impl Question {
    /// The magnitude that is to be certified.
    ///
    /// # Errors
    /// [`Wrong::NoNormal`] if it is given as a multiple of an unknown normal.
    pub fn target(&self) -> Result<Option<f64>, Wrong> {
        let Aim::Certify { target, .. } = self.aim else {
            return Ok(None);
        };
        let times = match target {
            Target::Magnitude(magnitude) => return Ok(Some(magnitude)),
            Target::Times(times) => times,
        };
        let normal = self
            .normal
            .filter(|n| n.value > 0.0)
            .ok_or(Wrong::NoNormal)?;
        Ok(Some(match normal.is {
            NormalIs::AddedTo => normal.value * (times - 1.0),
            NormalIs::Replaced => normal.value * times,
        }))
    }

    /// The fewest requests, all of them good, after which a trial is said to hold: with fewer
    /// within a dwell, nothing can be answered.
    #[must_use]
    pub fn requests_to_hold(&self) -> u64 {
        let proves = |n: u64| BadRateTest::new(1.0 - self.bad_rate_max, self.alpha).observe(n, 0);
        let mut enough = 1_u64;
        while !proves(enough) && enough < 1 << 29 {
            enough *= 2;
        }
        let mut few = enough / 2;
        while enough - few > 1 {
            let middle = few.midpoint(enough);
            if proves(middle) {
                enough = middle;
            } else {
                few = middle;
            }
        }
        enough
    }

    /// The fewest requests, all of them bad, after which a trial is said to break.
    #[must_use]
    pub fn requests_to_break(&self) -> u64 {
        let mut test = BadRateTest::new(self.bad_rate_max, self.alpha);
        let mut bad = 1;
        while !test.observe(1, 0) && bad < 1 << 20 {
            bad += 1;
        }
        bad
    }

    /// The axis to search on. A certificate needs nothing beyond its target.
    pub(super) fn axis(&self) -> Result<Axis, Wrong> {
        self.check_numbers()?;
        self.check_limits()?;
        let highest = match self.target()? {
            Some(target) if target > self.lowest && target <= self.largest => target,
            Some(target) => {
                return Err(Wrong::Target {
                    target,
                    lowest: self.lowest,
                    largest: self.largest,
                });
            }
            None => self.largest,
        };
        let ends = (self.lowest, highest);
        Axis::new(ends, self.scale, self.resolution, self.cells_min()).ok_or(Wrong::TooFine {
            resolution: self.resolution,
        })
    }

    /// A step of a certificate's ascent takes in about `risk_max` of what is left: the axis is
    /// fine enough that this is never less than one cell.
    fn cells_min(&self) -> f64 {
        match self.aim {
            Aim::Certify { risk_max, .. } => (8.0 / risk_max).max(8.0),
            Aim::Search { .. } => 8.0,
        }
    }

    fn check_numbers(&self) -> Result<(), Wrong> {
        let (lowest, largest) = (self.lowest, self.largest);
        let is_range = lowest.is_finite() && largest.is_finite() && (largest - lowest).is_finite();
        let starts_well = match self.scale {
            Scale::Linear => true,
            Scale::Log => lowest > 0.0 && (largest / lowest).is_finite(),
        };
        if !(is_range && lowest < largest && starts_well) {
            return Err(Wrong::Range { lowest, largest });
        }
        if !(self.resolution > 0.0 && self.resolution.is_finite()) {
            return Err(Wrong::Resolution {
                resolution: self.resolution,
            });
        }
        let within = |value: f64, below: f64| value > 0.0 && value < below;
        if !within(self.bad_rate_max, 1.0) {
            return Err(Wrong::BadRate {
                bad_rate_max: self.bad_rate_max,
            });
        }
        if !within(self.alpha, 0.5) {
            return Err(Wrong::Alpha { alpha: self.alpha });
        }
        match self.aim {
            Aim::Certify { risk_max, .. } if !within(risk_max, 1.0) => {
                Err(Wrong::Risk { risk_max })
            }
            Aim::Search { jump_max, .. } => {
                let least = match self.scale {
                    Scale::Linear => self.resolution,
                    Scale::Log => 1.0 + self.resolution,
                };
                let leads_on = jump_max >= least && jump_max.is_finite();
                leads_on.then_some(()).ok_or(Wrong::Jump { jump_max })
            }
            Aim::Certify { .. } => Ok(()),
        }
    }

    fn check_limits(&self) -> Result<(), Wrong> {
        let Dwell { min, max } = self.dwell;
        if max.is_zero() || max < min {
            return Err(Wrong::Dwell { min, max });
        }
        let Budget {
            bad_events_max,
            bad_events_per_trial_max,
            trials_max,
            ..
        } = self.budget;
        if bad_events_max == 0 || bad_events_per_trial_max == 0 || trials_max == 0 {
            return Err(Wrong::Budget);
        }
        let most = bad_events_per_trial_max.min(bad_events_max);
        let blind = self.budget.blind();
        (blind < most)
            .then_some(())
            .ok_or(Wrong::Unseen { blind, most })
    }
}
