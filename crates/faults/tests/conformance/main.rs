//! What must hold of every fault of the catalogue, whichever they are.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: a failure is a panic, and what was told is said"
)]

mod bad_input;
#[path = "../switching/bed.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod bed;
#[path = "../switching/drill.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod drill;
mod example;
mod measured;
mod plain_user;
