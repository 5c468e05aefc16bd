//! The faults: one file per fault, one folder per layer. A fault is parsed from a document, told
//! its targets, and compiled to primitives of `undo`, which alone touch the system.
//!
//! Map:
//! - [`fault`]: what every fault must say; [`catalogue()`]: what can be said of each without
//!   having one;
//! - [`infrastructure`]: faults of hosts and processes; [`switching`]: of the network between;
//!   [`application`]: of what is asked and answered;
//! - [`selector`], [`target`]: what a fault hits; [`blast_radius`]: and how much it may;
//! - [`policy`]: what the owner of a host allows on it;
//! - [`doctor()`]: what this host can do.
//!
//! Deliberately absent: applying and undoing (`undo`), time and leases (`engine`), and any reading
//! of experiment documents: arguments arrive as JSON, whoever read them.
//!
//! To add a fault: a file with its parameters, its `parse`, `compile` and `entry`; a line in
//! [`catalogue`].

pub mod application;
mod arguments;
pub mod blast_radius;
pub mod catalogue;
pub mod doctor;
mod error;
pub mod fault;
mod foreign;
pub mod infrastructure;
pub mod policy;
pub mod selector;
pub mod switching;
pub mod target;

pub use blast_radius::{BlastRadius, Footprint, Refused};
pub use catalogue::{Entry, Parameter, ParameterKind, UndoClass, catalogue};
pub use doctor::{Check, Left, Subject, Usability, doctor, faults_here, left_by_others, usability};
pub use error::FaultError;
pub use fault::{CompileError, Fault, PlaceKey, Site};
pub use foreign::refuse_foreign_containers;
pub use selector::{Selection, Selector, SelectorError, Spared};
pub use target::{ContainerTarget, ProcessTarget, Target, TargetKind};
