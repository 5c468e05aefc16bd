//! Load on one resource, or its exhaustion up to a reserve that is never taken.
//!
//! Map: [`clock`], [`cpu`], [`memory`], [`io`], [`disk`], [`inodes`], [`pids`], [`descriptors`], [`ports`], one
//! job each. Whatever is held belongs to the process: no file has a name, so nothing is left when it
//! is killed.
//!
//! Not here: limits set on a target from outside (a cgroup's quota), which need no process.

pub mod clock;
pub mod cpu;
mod crew;
pub mod descriptors;
pub mod disk;
mod error;
pub mod inodes;
pub mod io;
pub mod memory;
mod noise;
pub mod pids;
pub mod ports;
mod room;
mod samples;
mod unnamed;

pub use clock::ClockStrobe;
pub use cpu::CpuLoad;
pub use descriptors::DescriptorFill;
pub use disk::DiskFill;
pub use error::StressError;
pub use inodes::InodeFill;
pub use io::{IoLoad, IoMode};
pub use memory::{MemoryAmount, MemoryLoad, PercentOf};
pub use pids::PidFill;
pub use ports::{PortHold, Protocol};
pub use room::Amount;
