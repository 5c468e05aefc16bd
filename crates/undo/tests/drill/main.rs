//! Drills on the real kernel, with real processes, killed at every step.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::zombie_processes,
    reason = "a test: a failure is a panic, a skip is said, and children end with their herd"
)]

mod crashes;
mod deaths;
mod effects;
mod herd;
mod recoveries;
mod residues;
mod silence;
