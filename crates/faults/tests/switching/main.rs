//! Every fault of the switching layer on the real kernel: its effect as an independent instrument
//! sees it, and its undo. In network namespaces of its own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: a failure is a panic, and a skip is said"
)]

mod bed;
mod connection_reset;
mod deaths;
mod dns;
mod drill;
mod endings;
mod filters;
mod interface_down;
mod partition;
mod port_occupy;
mod together;
