//! Every fault of the infrastructure layer on the real kernel: its effect as an independent
//! instrument sees it, its undo, and the deaths of owner and guardian.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: a failure is a panic, a skip is said, and children end with their test"
)]

mod clock_skew;
mod cpu;
mod deaths;
mod disk;
mod drill;
mod host_end;
mod io;
mod memory;
mod own_systemd;
mod places;
mod process_kill;
mod process_pause;
mod process_signal;
mod service_stop;
mod tables;
