//! Every fault of the switching layer on the real kernel: its effect as an independent instrument
//! sees it, and its undo. In network namespaces of its own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: a failure is a panic, and a skip is said"
)]

mod bed;
mod choices;
mod connection_reset;
mod datagrams;
mod deaths;
mod dns;
mod drill;
mod endings;
mod filters;
mod interface_down;
mod laws;
mod partition;
mod port_occupy;
#[expect(dead_code, reason = "other tests use the rest")]
mod probe;
mod reject;
mod stream;
mod targets;
mod together;
