//! The users that the proxy counted since the last look. Each counts once, under the faults that the
//! arms have: what was counted under others is left behind.

use std::time::Duration;

use firedrill_experiment::journal::ArmUsers;
use firedrill_undo::fault_proxy::{CountUsers, Met, Users};

/// The counters of both arms.
#[derive(Debug)]
pub(super) struct Counted {
    all: Users,
    /// Whether the fault came since the last look, and a new count with it.
    is_to_begin_anew: bool,
    /// Control and experiment.
    last: [Met; 2],
}

impl Counted {
    pub(super) fn begin(users: Option<Users>) -> Result<Self, String> {
        let all = users.ok_or("the proxy does not count users: a `firedrill proxy` of this version, with the route's protocol, does")?;
        Ok(Self {
            all,
            is_to_begin_anew: false,
            last: [Met::default(); 2],
        })
    }

    /// The arms have other faults now.
    pub(super) fn begin_anew(&mut self) {
        self.is_to_begin_anew = true;
    }

    /// # Errors
    /// When what is counted is not what is asked about.
    pub(super) fn look(&mut self, users: Option<Users>) -> Result<(), String> {
        let now = users.ok_or("the proxy does not count users any more: its split was changed")?;
        let is_new = now.run != self.all.run;
        let before = match (is_new, self.is_to_begin_anew) {
            (false, false) => [self.all.control, self.all.experiment],
            (true, true) => [Met::default(); 2],
            (true, false) => {
                return Err(
                    "the proxy began to count users anew: somebody changed the faults of an arm, or the split"
                        .into(),
                );
            }
            (false, true) => {
                return Err("the proxy did not begin to count users anew with the fault".into());
            }
        };
        let since = |now: Met, before: Met| {
            now.since(before).ok_or_else(|| {
                "the proxy's counts of users fell: what was counted is gone".to_owned()
            })
        };
        self.last = [
            since(now.control, before[0])?,
            since(now.experiment, before[1])?,
        ];
        self.all = now;
        self.is_to_begin_anew = false;
        if now.left_out > 0 {
            return Err(format!(
                "more users came into the arms than the proxy remembers (about {}), so not all are counted; a smaller `share` has fewer",
                now.most
            ));
        }
        Ok(())
    }

    pub(super) fn last(&self) -> [Met; 2] {
        self.last
    }
}

/// What the proxy is asked for.
pub(super) fn count(epoch: Duration) -> CountUsers {
    CountUsers {
        epoch: u64::try_from(epoch.as_millis()).unwrap_or(u64::MAX),
    }
}

/// With what is recorded already.
pub(super) fn sum(record: Option<ArmUsers>, more: Met) -> ArmUsers {
    let before = record.unwrap_or_default();
    ArmUsers {
        good: before.good.saturating_add(more.well),
        bad: before.bad.saturating_add(more.badly),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(run: u64, well: u64) -> Users {
        let control = Met { well, badly: 1 };
        Users {
            run,
            control,
            ..Users::default()
        }
    }

    #[test]
    fn what_is_counted_anew_counts_from_zero_and_only_where_it_is_expected() {
        let mut counted = Counted::begin(Some(users(1, 5))).unwrap();
        counted.look(Some(users(1, 9))).unwrap();
        assert_eq!(counted.last()[0], Met { well: 4, badly: 0 });
        counted.begin_anew();
        counted.look(Some(users(2, 3))).unwrap();
        assert_eq!(counted.last()[0], Met { well: 3, badly: 1 });
        assert!(
            counted
                .look(Some(users(2, 2)))
                .unwrap_err()
                .contains("fell")
        );
        let error = counted.look(Some(users(3, 9))).unwrap_err();
        assert!(error.contains("somebody changed"), "{error}");
        counted.begin_anew();
        let error = counted.look(Some(users(2, 9))).unwrap_err();
        assert!(error.contains("did not begin"), "{error}");
    }

    #[test]
    fn a_proxy_that_counts_no_users_or_is_full_is_not_believed() {
        assert!(Counted::begin(None).is_err());
        let mut counted = Counted::begin(Some(users(1, 0))).unwrap();
        assert!(counted.look(None).is_err());
        let full = Users {
            left_out: 1,
            most: 7,
            ..users(1, 0)
        };
        let error = counted.look(Some(full)).unwrap_err();
        assert!(error.contains("about 7"), "{error}");
    }
}
