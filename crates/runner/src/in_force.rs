//! What the faults of one drill hit at the same time, so that the blast radius counts all of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use firedrill_experiment::document::BlastRadius;
use firedrill_faults::{Footprint, Refused, UndoClass};

/// The faults that are in force, or about to be. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct InForce(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    all: Vec<Entry>,
}

/// What one fault hits, under its name.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) fault: String,
    pub(crate) class: UndoClass,
    pub(crate) footprint: Footprint,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    taken: Taken,
}

/// A fault that was let in. Dropping it takes it off the account.
#[derive(Debug)]
pub(crate) struct Admission {
    number: u64,
    account: InForce,
}

impl InForce {
    /// Lets a fault in, if all together stay within the blast radius.
    pub(crate) fn admit(&self, radius: &BlastRadius, taken: Taken) -> Result<Admission, String> {
        let mut entries = self.lock();
        entries.check(None, radius, &taken.footprint)?;
        let number = entries.next;
        entries.next += 1;
        entries.all.push(Entry { number, taken });
        Ok(Admission {
            number,
            account: self.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    /// Counts what a fault hits now, newcomers and all, if that stays within the blast radius.
    pub(crate) fn change(&self, radius: &BlastRadius, footprint: Footprint) -> Result<(), String> {
        let mut entries = self.account.lock();
        entries.check(Some(self.number), radius, &footprint)?;
        let own = |entry: &&mut Entry| entry.number == self.number;
        if let Some(entry) = entries.all.iter_mut().find(own) {
            entry.taken.footprint = footprint;
        }
        Ok(())
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut entries = self.account.lock();
        entries.all.retain(|entry| entry.number != self.number);
    }
}

impl Entries {
    fn check(
        &self,
        but: Option<u64>,
        radius: &BlastRadius,
        footprint: &Footprint,
    ) -> Result<(), String> {
        let others = self.all.iter().filter(|entry| Some(entry.number) != but);
        let others: Vec<&Taken> = others.map(|entry| &entry.taken).collect();
        check_together(radius, footprint, &others)
    }
}

/// Whether a fault stays within the blast radius beside others. The error is a refusal with its
/// hint; it names the others where the fault alone would be within it.
pub(crate) fn check_together(
    radius: &BlastRadius,
    footprint: &Footprint,
    others: &[&Taken],
) -> Result<(), String> {
    let now = |taken: &&Taken| {
        let ends_its_targets = taken.class != UndoClass::Reversible;
        taken.footprint.of_now(ends_its_targets)
    };
    let beside: Vec<Footprint> = others.iter().map(now).collect();
    let Err(refusal) = within(radius, footprint, &beside) else {
        return Ok(());
    };
    if within(radius, footprint, &[]).is_err() {
        return Err(refusal);
    }
    let mut names: Vec<&str> = others.iter().map(|other| other.fault.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    Err(format!("together with {}: {refusal}", names.join(", ")))
}

fn within(radius: &BlastRadius, own: &Footprint, others: &[Footprint]) -> Result<(), String> {
    let hinted = |refusal: Refused| format!("{refusal} ({})", refusal.hint());
    let limits = firedrill_faults::BlastRadius {
        targets_max: radius.targets_max,
        percent_of_healthy: radius.percent_of_healthy,
        healthy_remaining_min: radius.healthy_remaining_min,
    };
    limits.check(own, others).map_err(hinted)?;
    within_traffic(radius, &own.with_related(others))
}

/// Nobody measures how traffic is spread over processes: each is taken to carry an equal share.
fn within_traffic(radius: &BlastRadius, footprint: &Footprint) -> Result<(), String> {
    let Some(limit) = radius.traffic_percent_max else {
        return Ok(());
    };
    let (targets, population) = (footprint.targets(), footprint.population());
    let share = 100.0 * targets as f64 / population.max(1) as f64;
    if share <= limit {
        return Ok(());
    }
    Err(format!(
        "{targets} of {population} targets carry about {share:.0} % of the traffic, more than `traffic-percent-max` {limit} (choose fewer, or raise it)"
    ))
}
