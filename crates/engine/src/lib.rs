//! A drill as a state machine: `step(now, event) -> effects`.
//!
//! The engine decides; it never acts. It reads no clock, opens nothing and spawns nothing: the
//! runner carries out each [`Effect`] and reports back with an [`Event`]. Same plan and same
//! events give the same effects.
//!
//! Inside, a drill is written as it reads (gate, baseline, method, recovery, rollbacks), as
//! coroutines that [`machine`] polls by hand; there is no executor and no waker.
//!
//! | module | idea |
//! |---|---|
//! | [`effect`] | what goes in and out |
//! | [`plan`] | what a drill is started with |
//! | `machine` | coroutines over `step` |
//! | `drill` | the order of things |
//! | `activity`, `hypothesis`, `method`, `controls`, `guardrail` | its parts |
//! | `watch` | KPIs and phases |
//! | [`verdict`] | the one table from facts to a verdict |
//!
//! Not here: executing calls, undoing faults (the guardian does, with or without the engine),
//! reading documents, printing.

mod activity;
pub mod asked;
mod controls;
mod drill;
pub mod effect;
pub mod guard;
mod guardrail;
mod hypothesis;
mod machine;
mod masking;
mod method;
pub mod plan;
mod record;
mod stop;
pub mod verdict;
mod watch;

use std::time::Duration;

pub use drill::journal::CHAOSLIB_VERSION;
pub use effect::{CallId, Effect, Event};
pub use guard::KpiGuard;
pub use plan::{Dry, Options, Plan};

/// One drill.
#[derive(Debug)]
pub struct Engine {
    machine: machine::Machine,
}

impl Engine {
    pub fn new(plan: Plan) -> Self {
        let (machine, core) = machine::Machine::new();
        machine.spawn(drill::run(drill::Drill::new(core, plan)));
        Self { machine }
    }

    /// Advances to `now` (since the drill's start, never backwards) with what happened, and
    /// returns what to do. [`Effect::Finished`] is the last effect of all.
    pub fn step(&mut self, now: Duration, event: Option<Event>) -> Vec<Effect> {
        self.machine.step(now, event)
    }
}
