//! The data plane: threads that each own the connections they accepted, and share nothing else.
//!
//! - [`worker`]: the loop of a thread, and what it is told;
//! - [`congestion`]: how connections within this host send;
//! - [`connection`]: two sockets and the two lanes between them;
//! - [`side`], [`handshake`]: TLS between a lane and its socket;
//! - [`timers`]: when which connection wants to be looked at;
//! - [`lookup`]: names to addresses, beside the loop;
//! - [`tracking`]: where redirected datagrams were meant for.

pub(crate) mod congestion;
mod connection;
mod handshake;
mod lookup;
mod side;
mod socket;
mod timers;
mod tracking;
mod worker;

pub(crate) use worker::{Handle, Order, start};
