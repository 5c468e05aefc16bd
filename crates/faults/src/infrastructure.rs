//! Faults of hosts and processes.

pub mod process_kill;
pub mod process_pause;
