//! Faults of hosts, containers and processes.

pub mod container_kill;
pub mod container_pause;
pub mod container_restart;
pub mod container_stop;
mod grace;
pub mod process_kill;
pub mod process_pause;
