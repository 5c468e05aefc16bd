//! Workers on the real kernel, looked at from outside.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: a failure is a panic, and what is skipped or measured is said"
)]

mod endings;
mod filling;
mod fixture;
mod load;
