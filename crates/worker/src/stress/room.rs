//! How much of a countable resource to take: plain arithmetic, shared by every filling job.

use serde::{Deserialize, Serialize};

use super::StressError;

/// How much to take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// So many more than are used now: bytes for a disk, pieces for the rest.
    Count(u64),
    /// Until so much of the whole is used, by whomever: above 0, at most 100.
    Percent(f64),
}

/// What there is of a resource before anything is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) total: u64,
    pub(super) used: u64,
    pub(super) unit: &'static str,
}

impl Amount {
    pub(super) fn validate(self) -> Result<(), StressError> {
        match self {
            Self::Count(0) => Err(StressError::OutOfRange {
                name: "the amount",
                value: "0".to_owned(),
                rule: "at least 1",
            }),
            Self::Count(_) => Ok(()),
            Self::Percent(percent) => percentage("the amount", percent),
        }
    }
}

impl Room {
    /// How many to take so that the reserve stays.
    pub(super) fn share(&self, amount: Amount, reserve: u64) -> Result<u64, StressError> {
        let free = self.total.saturating_sub(self.used).saturating_sub(reserve);
        let wanted = match amount {
            Amount::Count(count) => count,
            Amount::Percent(percent) => {
                let level = (self.total as f64 * percent / 100.0) as u64;
                level
                    .checked_sub(self.used)
                    .ok_or(StressError::AlreadyFuller {
                        used: self.used,
                        total: self.total,
                        percent,
                        unit: self.unit,
                    })?
            }
        };
        if wanted > free {
            return Err(StressError::NoRoom {
                wanted,
                free,
                reserve,
                unit: self.unit,
            });
        }
        Ok(wanted)
    }
}

pub(super) fn percentage(name: &'static str, percent: f64) -> Result<(), StressError> {
    if percent > 0.0 && percent <= 100.0 {
        return Ok(());
    }
    Err(StressError::OutOfRange {
        name,
        value: percent.to_string(),
        rule: "above 0 and at most 100",
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_reserve_is_never_taken(
            total in 0_u64..1 << 50,
            used in 0_u64..1 << 50,
            reserve in 0_u64..1 << 50,
            count in 1_u64..1 << 50,
            percent in 0.001_f64..=100.0,
            by_count in any::<bool>(),
        ) {
            let room = Room { total, used, unit: "pieces" };
            let amount = if by_count { Amount::Count(count) } else { Amount::Percent(percent) };
            amount.validate().unwrap();
            if let Ok(taken) = room.share(amount, reserve) {
                prop_assert!(taken == 0 || used + taken + reserve <= total);
                if by_count {
                    prop_assert_eq!(taken, count);
                }
            }
        }

        #[test]
        fn a_percentage_outside_its_range_is_refused(percent in prop_oneof![
            Just(f64::NAN), Just(f64::INFINITY), Just(0.0), -1e9_f64..0.0, 100.001_f64..1e9,
        ]) {
            prop_assert!(Amount::Percent(percent).validate().is_err());
        }
    }

    #[test]
    fn a_level_counts_what_others_use() {
        let room = Room {
            total: 1000,
            used: 300,
            unit: "pieces",
        };
        assert_eq!(room.share(Amount::Percent(80.0), 0).unwrap(), 500);
        assert!(matches!(
            room.share(Amount::Percent(20.0), 0),
            Err(StressError::AlreadyFuller { used: 300, .. })
        ));
        assert!(matches!(
            room.share(Amount::Percent(80.0), 201),
            Err(StressError::NoRoom { free: 499, .. })
        ));
    }
}
