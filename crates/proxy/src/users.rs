//! Users of both arms, each counted once, and whether a bad answer came to them.
//!
//! Requests of one user come in clusters: who is badly off is so many times. Tests that take
//! requests for independent raise false alarms then; users are as good as independent of each other.
//!
//! Time is cut into epochs. A user counts in the epoch in which the first answer comes to it: badly
//! if any answer of this epoch is bad, well otherwise. What comes later does not change it, and an
//! epoch is told when it is over, so that counts only grow and nothing told is taken back. A census
//! begins when the faults of the arms become others: who was counted before is counted anew.
//!
//! A user is the draw by which it came into its arm ([`Member`]): 64 bits, so of a million users two
//! are taken for one with a probability below 1 in 10,000. All workers of a route share one census.
//! It is divided into parts by draw, each with a lock, which is held for a look-up in a table. A part
//! that is full takes no more users, of either arm: the draw decides on the part and on the arm with
//! bits of its own, so both arms lose as many, and shares are not moved.
//!
//! Memory: as users come, 17 bytes and the room that a hash table keeps free; at most 18 MB a route,
//! for [`USERS_MOST`] users.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::arms::{Arm, Member};
use crate::message::Answered;

/// Users that one census remembers, if its parts fill evenly.
pub const USERS_MOST: u64 = PARTS as u64 * PART_MOST as u64;

/// By the lowest bits of the draw, which do not decide on the arm.
const PARTS: usize = 64;
/// Seven eighths of a power of two: the most that a hash table of this size holds.
const PART_MOST: usize = 14_336;

/// Users of both arms since the arms' faults became what they are.
#[derive(Debug)]
pub(crate) struct Census {
    run: u64,
    epoch: Duration,
    /// Not before every worker has the faults.
    begun: OnceLock<Instant>,
    parts: Box<[Part]>,
}

/// Apart from its neighbours' cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    epoch: u32,
    met: HashMap<u64, Met>,
    /// Control and experiment: of the epoch that runs, and of all that are over.
    running: [Users; 2],
    over: [Users; 2],
    left_out: u64,
}

#[derive(Debug)]
struct Met {
    epoch: u32,
    badly: bool,
}

/// How many fared how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Users {
    pub well: u64,
    pub badly: u64,
}

/// What a census has found, of epochs that are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Another number is another census, which began at zero.
    pub run: u64,
    pub epoch: Duration,
    pub control: Users,
    pub experiment: Users,
    /// Answers to users for whom there was no room. Above zero, not all users are counted any more.
    pub left_out: u64,
}

impl Census {
    /// Nothing is counted before it is begun. `run` tells it from others of its route.
    pub(crate) fn new(run: u64, epoch: Duration) -> Self {
        Self {
            run,
            epoch: epoch.max(Duration::from_millis(1)),
            begun: OnceLock::new(),
            parts: (0..PARTS).map(|_| Part::default()).collect(),
        }
    }

    /// Requests that come from now on count.
    pub(crate) fn begin(&self, now: Instant) {
        self.begun.get_or_init(|| now);
    }

    /// An answer to a user.
    pub(crate) fn answered(&self, member: Member, answered: &Answered, now: Instant) {
        let Some(age) = self.age(now) else {
            return;
        };
        // Asked under the faults that were before, whatever the answer is.
        if answered.took > age {
            return;
        }
        let mut table = self.part(member.user).lock();
        table.roll_to(self.epoch_at(age));
        table.answered(member, !answered.well);
    }

    pub(crate) fn counted(&self, now: Instant) -> Counted {
        let mut all = Counted {
            run: self.run,
            epoch: self.epoch,
            control: Users::default(),
            experiment: Users::default(),
            left_out: 0,
        };
        let Some(age) = self.age(now) else {
            return all;
        };
        for part in &self.parts {
            let mut table = part.lock();
            table.roll_to(self.epoch_at(age));
            let [control, experiment] = table.over;
            all.control.add(control);
            all.experiment.add(experiment);
            all.left_out += table.left_out;
        }
        all
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        now.checked_duration_since(*self.begun.get()?)
    }

    /// The first is 0.
    fn epoch_at(&self, age: Duration) -> u32 {
        u32::try_from(age.as_nanos() / self.epoch.as_nanos()).unwrap_or(u32::MAX)
    }

    fn part(&self, user: u64) -> &Part {
        &self.parts[user as usize % PARTS]
    }
}

impl Part {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Tells the epoch that ran, if it is over. A worker whose time is a little behind counts in the
    /// epoch that runs: what is told stays.
    fn roll_to(&mut self, epoch: u32) {
        if epoch > self.epoch {
            self.epoch = epoch;
            for (over, running) in self.over.iter_mut().zip(&mut self.running) {
                over.add(std::mem::take(running));
            }
        }
    }

    fn answered(&mut self, member: Member, badly: bool) {
        let users = &mut self.running[match member.arm {
            Arm::Control => 0,
            Arm::Experiment => 1,
        }];
        if let Some(met) = self.met.get_mut(&member.user) {
            if badly && !met.badly && met.epoch == self.epoch {
                met.badly = true;
                users.well -= 1;
                users.badly += 1;
            }
            return;
        }
        if self.met.len() >= PART_MOST {
            self.left_out += 1;
            return;
        }
        let epoch = self.epoch;
        self.met.insert(member.user, Met { epoch, badly });
        match badly {
            true => users.badly += 1,
            false => users.well += 1,
        }
    }
}

impl Users {
    fn add(&mut self, more: Self) {
        self.well += more.well;
        self.badly += more.badly;
    }
}

#[cfg(test)]
mod tests;
