//! The faults: one file per fault, one folder per layer. A fault is parsed from a document, told
//! its targets, and compiled to primitives of `undo`, which alone touch the system.
//!
//! Map:
//! - [`Fault`]: the closed set; [`catalogue()`]: what can be said of each without having one;
//! - [`infrastructure`]: faults of hosts and processes;
//! - [`selector`]: which processes a fault hits; [`blast_radius`]: and how many it may;
//! - [`doctor()`]: what this host can do.
//!
//! Deliberately absent: applying and undoing (`undo`), time and leases (`engine`), and any reading
//! of experiment documents: arguments arrive as JSON, whoever read them.
//!
//! To add a fault: a file with its parameters, its `parse`, `compile` and `entry`; a variant below.

mod arguments;
pub mod blast_radius;
pub mod catalogue;
pub mod doctor;
mod error;
pub mod infrastructure;
pub mod selector;

use firedrill_kernel::{KernelError, ProcessIdentity};
use firedrill_undo::Primitive;
use serde_json::{Map, Value};

pub use blast_radius::{BlastRadius, Refused};
pub use catalogue::{Entry, Parameter, ParameterKind, UndoClass, catalogue};
pub use doctor::{Check, doctor};
pub use error::FaultError;
use infrastructure::{process_kill, process_pause};
pub use infrastructure::{process_kill::ProcessKill, process_pause::ProcessPause};
pub use selector::{Selection, Selector, SelectorError, Spared, Target};

/// A disturbance with its parameters, ready to be aimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    ProcessKill(ProcessKill),
    ProcessPause(ProcessPause),
}

impl Fault {
    /// Reads a fault by its full name, `layer.fault`, and its arguments.
    ///
    /// # Errors
    /// With every unknown name near to a known one, and every value outside its bounds.
    pub fn parse(name: &str, arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        match name {
            process_kill::NAME => ProcessKill::parse(arguments).map(Self::ProcessKill),
            process_pause::NAME => ProcessPause::parse(arguments).map(Self::ProcessPause),
            _ => Err(FaultError::UnknownFault {
                name: name.into(),
                near: arguments::nearest(name, catalogue().iter().map(|entry| entry.name)),
            }),
        }
    }

    /// What the catalogue says of it.
    #[must_use]
    pub fn entry(&self) -> Entry {
        match self {
            Self::ProcessKill(_) => process_kill::entry(),
            Self::ProcessPause(_) => process_pause::entry(),
        }
    }

    /// How it is undone, with these parameters.
    #[must_use]
    pub fn undo_class(&self) -> UndoClass {
        match self {
            Self::ProcessKill(kill) => kill.undo_class(),
            Self::ProcessPause(_) => UndoClass::Reversible,
        }
    }

    /// The primitives that have this effect on these targets. Changes nothing, but may operate an
    /// empty cgroup of our own to find the mechanism that works here.
    ///
    /// # Errors
    /// When the kernel cannot be read, or a mechanism that was insisted on is not usable.
    pub fn compile(&self, targets: &[ProcessIdentity]) -> Result<Vec<Primitive>, CompileError> {
        match self {
            Self::ProcessKill(kill) => Ok(kill.compile(targets)),
            Self::ProcessPause(pause) => pause.compile(targets),
        }
    }
}

/// Why a fault cannot be aimed at its targets.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("no cgroup freezer can hold just these processes: {why}")]
    NoFreezer { why: String },
}
