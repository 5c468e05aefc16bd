//! Runs the engine on tokio: the edge where a drill's decisions become calls.
//!
//! | module | idea |
//! |---|---|
//! | [`drive`] | the loop between the engine and everything else |
//! | [`provider`] | process, http, python, load, prometheus: what carries a call out |
//! | [`fault`] | faults of ours, asked of the guardian |
//! | `in_force` | what all faults of the drill hit, for the blast radius |
//! | `kpi` | KPI streams |
//! | [`canary`] | two arms of a route, of which one has a fault |
//! | [`margin`] | trials of one fault at many magnitudes |
//! | [`control`] | Python controls |
//! | [`check`] | what a document needs from its surroundings |
//! | [`prepare`], [`vault`] | configuration and secrets |
//! | [`plan`] | a preview, and its digest |
//! | [`rollback`] | rollbacks that outlive a killed drill |
//! | [`events`], [`notify`], [`settings`] | `--events-file`, notifications, the settings file |
//!
//! Not here: decisions (the engine's), effects on the host (the guardian's), printing (the command
//! line's).

mod aim;
pub mod canary;
pub mod check;
pub mod control;
pub mod drive;
pub mod events;
pub mod fault;
mod in_force;
mod kpi;
mod lifecycle;
pub mod margin;
pub mod notify;
pub mod plan;
pub mod prepare;
pub mod provider;
pub mod rollback;
pub mod settings;
pub mod spare;
pub mod vault;

pub use drive::{Notice, Ports, drive};

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
