//! How much the faults of a drill may hit. A refusal is a value with a reason and a hint.

mod footprint;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::selector::Spared;
pub use footprint::{Footprint, Member};

/// Limits on the targets of all faults of one drill that are in force at the same time; an absent
/// limit does not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BlastRadius {
    pub targets_max: Option<u64>,
    /// Of the population, rounded down.
    pub percent_of_healthy: Option<f64>,
    pub healthy_remaining_min: Option<u64>,
}

/// Why a fault was not aimed. Nothing was touched.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "refused", rename_all = "kebab-case")]
pub enum Refused {
    #[error("nothing that may be hit matches the selector; {spared} matching are spared")]
    NothingMatches { spared: usize },
    #[error("the share asked for, of {matched} matching, is less than one target")]
    RoundsToNothing { matched: usize },
    #[error("process {} is named, but spared: {}", spared.pid, spared.why)]
    NamedButSpared { spared: Spared },
    #[error("process {pid} is named, but does not exist")]
    NamedButGone { pid: u32 },
    #[error("{chosen} targets are more than targets-max, {allowed}")]
    TooMany { chosen: u64, allowed: u64 },
    #[error(
        "{chosen} of {population} is more than percent-of-healthy {percent} %, rounded down to {allowed}"
    )]
    TooLargeShare {
        chosen: u64,
        population: u64,
        percent: f64,
        allowed: u64,
    },
    #[error("{remaining} of {population} would remain, fewer than healthy-remaining-min, {needed}")]
    TooFewRemain {
        remaining: u64,
        population: u64,
        needed: u64,
    },
    #[error("{count} containers of others run on this host, such as {example}")]
    ForeignContainers { count: usize, example: String },
}

impl BlastRadius {
    /// Whether these targets are within the limits, beside those of other faults: all distinct
    /// targets count for `targets-max`, those of the same population for the other limits.
    ///
    /// # Errors
    /// With the first limit that they break.
    pub fn check(&self, own: &Footprint, others: &[Footprint]) -> Result<(), Refused> {
        let all: BTreeSet<&Member> = others
            .iter()
            .chain([own])
            .flat_map(|one| &one.hit)
            .collect();
        let chosen = all.len() as u64;
        if let Some(allowed) = self.targets_max
            && chosen > allowed
        {
            return Err(Refused::TooMany { chosen, allowed });
        }
        // Its own population is of now; those of the others are as they were found.
        self.check_population(own)?;
        self.check_population(&own.with_related(others))
    }

    fn check_population(&self, footprint: &Footprint) -> Result<(), Refused> {
        let chosen = footprint.targets() as u64;
        let population = footprint.population() as u64;
        if let Some(percent) = self.percent_of_healthy {
            let allowed = share(footprint.population(), percent) as u64;
            if chosen > allowed {
                return Err(Refused::TooLargeShare {
                    chosen,
                    population,
                    percent,
                    allowed,
                });
            }
        }
        let remaining = population.saturating_sub(chosen);
        match self.healthy_remaining_min {
            Some(needed) if remaining < needed => Err(Refused::TooFewRemain {
                remaining,
                population,
                needed,
            }),
            _ => Ok(()),
        }
    }
}

impl Refused {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NothingMatches { .. } => {
                "`firedrill plan` shows what matches; PID 1, stopped processes, kernel threads and \
                 Firedrill's own parts and ancestors are never hit"
            }
            Self::RoundsToNothing { .. } => {
                "shares are rounded down: ask for a larger one, or a count"
            }
            Self::NamedButSpared { .. } => "choose another process",
            Self::NamedButGone { .. } => {
                "select by name, command or label: a pid does not outlive a restart"
            }
            Self::TooMany { .. } => "choose fewer with `count` or `percent`, or raise targets-max",
            Self::ForeignContainers { .. } => {
                "aim at a cgroup or a namespace, or declare the host your own: `exclusive-host: \
                 true` in the blast radius, or --exclusive-host"
            }
            Self::TooLargeShare { .. } | Self::TooFewRemain { .. } => {
                "name the population that the targets belong to in the selector's `of`, choose \
                 fewer, or change the limit"
            }
        }
    }
}

/// A percentage of a number, rounded down.
pub(crate) fn share(of: usize, percent: f64) -> usize {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "process counts are far below 2^52, and a float cast saturates"
    )]
    // The tolerance keeps 29 % of 100 at 29, which binary fractions put a hair below.
    let share = (of as f64 * percent / 100.0 + 1e-9).floor() as usize;
    share.min(of)
}

#[cfg(test)]
mod tests;
