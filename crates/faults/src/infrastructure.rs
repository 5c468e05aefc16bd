//! Faults of hosts, containers and processes.

mod amount;
pub mod clock_skew;
pub mod container_kill;
pub mod container_pause;
pub mod container_restart;
pub mod container_stop;
pub mod cpu;
pub mod disk_fill;
pub mod file_descriptors;
mod file_system;
mod grace;
pub mod host_end;
pub mod inodes;
pub mod io;
pub mod memory;
pub mod pids;
mod place;
pub mod process_kill;
pub mod process_pause;
pub mod process_signal;
mod processors;
mod row;
pub mod service_stop;
mod unfit;
mod worker;

pub use unfit::Unfit;
