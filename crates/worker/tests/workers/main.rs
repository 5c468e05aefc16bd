//! Workers on the real kernel, looked at from outside.

#![expect(
    clippy::unwrap_used,
    clippy::zombie_processes,
    reason = "a test: a failure is a panic, and children are reaped by their fixtures"
)]

mod endings;
mod filling;
mod fixture;
mod load;
