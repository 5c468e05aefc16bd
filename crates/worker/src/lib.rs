//! Worker processes: what holds a fault that needs a process to hold it, and ends with it.
//!
//! Map:
//! - [`queue`]: the packet queue that delays, drops and changes packets;
//! - [`measurement`]: what a fault achieved, with its interval.
//!
//! Deliberately absent: deciding when (the guardian does), and choosing targets (`faults`).

pub mod measurement;
pub mod queue;

pub use measurement::{Measurement, Quantity};
