//! Takes entries of the process table, of the host or of a cgroup.

use firedrill_kernel::cgroup::Controller;
use firedrill_undo::Primitive;
use firedrill_worker::Job;
use firedrill_worker::stress::PidFill;
use serde_json::{Map, Value, json};

use super::row::row;
use super::{amount, place, worker};
use crate::FaultError;
use crate::arguments::{Arguments, PERCENT};
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, PlaceKey, Site};
use crate::target::Target;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Pids::parse(arguments)?)),
};

const NAME: &str = "infrastructure.pids";

/// Enough to log in and look.
const RESERVE: u64 = 64;

/// `infrastructure.pids`
#[derive(Clone, Debug, PartialEq)]
pub struct Pids(PidFill);

impl Pids {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &["count", "percent", "reserve"]);
        let amount = amount::count(&mut read, NAME);
        let reserve = amount::reserve_count(&mut read).unwrap_or(RESERVE);
        read.finish()?;
        Ok(Self(PidFill { amount, reserve }))
    }
}

impl Disturbance for Pids {
    /// A second worker in the same cgroup would take twice as many.
    fn place_of(&self, target: &Target) -> Result<Option<PlaceKey>, CompileError> {
        place::key(target, &[Controller::Pids]).map(Some)
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let places = place::places(site, &[Controller::Pids])?;
        worker::one_in_each(places, &Job::Pids(self.0.clone()))
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "infrastructure",
        summary: "takes entries of the process table, of the host or of a cgroup with a limit",
        targets: place::TARGETS.to_vec(),
        parameters: vec![
            row("count", ParameterKind::Number, "tasks to take; or `percent`")
                .within("a whole number from 1"),
            row(
                "percent",
                ParameterKind::Number,
                "the level to fill to, of the tightest limit: pids.max of the cgroup and those above it, threads-max and pid_max of the kernel; or `count`",
            )
            .unit("%")
            .within(PERCENT),
            row("reserve", ParameterKind::Number, "tasks that stay possible")
                .within("a whole number from 0")
                .or(json!(RESERVE)),
        ],
        needs: vec![worker::NEEDS_CGROUP],
        mechanisms: vec!["worker processes with sleeping threads, in the cgroup of the target, where what starts later meets the same limit"],
        recovery_path: worker::RECOVERY,
        undo: UndoClass::Reversible,
        example: "percent=95",
        observed_effect: "tasks held",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_stays_unless_it_is_given_up() {
        let pids = Pids::parse(json!({"count": 10}).as_object().unwrap()).unwrap();
        assert_eq!(pids.0.reserve, RESERVE);
        for wrong in [json!({}), json!({"count": 0}), json!({"percent": 100.1})] {
            assert!(Pids::parse(wrong.as_object().unwrap()).is_err(), "{wrong}");
        }
    }
}
