//! Worker processes: what holds a fault that needs a process to hold it, and ends with it.
//!
//! A worker is a child of the guardian. It ends when its deadline passes, when the guardian's
//! socket closes and when the guardian dies, whichever comes first, and the kernel takes back
//! everything it holds: memory, unlinked files, descriptors, ports, queues.
//!
//! Map:
//! - [`handle`]: the guardian's side, [`worker_main`] the worker's own;
//! - [`job`]: what a worker can be told to hold, and [`control`] what a job sees of its worker;
//! - [`stress`]: load and exhaustion of one resource each;
//! - [`queue`]: the packet queue that delays, drops and changes packets;
//! - [`interception`]: connections that are led through a proxy, which is not in here;
//! - [`measurement`]: what a fault achieved, with its interval.
//!
//! Deliberately absent: deciding when (the guardian does), and choosing targets (`faults`).

pub mod control;
pub mod handle;
pub mod interception;
pub mod job;
pub mod measurement;
mod protocol;
pub mod queue;
mod serve;
pub mod stress;

pub use control::Control;
pub use handle::{WorkerConfig, WorkerError, WorkerHandle};
pub use job::{Job, JobError};
pub use measurement::{Measurement, Quantity};
pub use serve::{worker_main, worker_main_with};
