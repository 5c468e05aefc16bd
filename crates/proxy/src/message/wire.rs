//! What the sessions of wire protocols (Redis, PostgreSQL, MySQL, Kafka) have in common.
//!
//! ```text
//!   client ──▶ cursor ──▶ deciders ──▶ outgoing ──▶ upstream
//!          ◀───────── awaited ◀── cursor ◀──────────
//! ```
//!
//! A request is decided on when enough of it has come; the rest passes, or is dropped, as it comes.
//! What is not the protocol, or what nobody can follow, passes from there on as bytes.

mod awaited;
mod cursor;
mod deciders;
mod outgoing;
#[cfg(test)]
pub(super) mod played;

pub(super) use awaited::Awaited;
pub(super) use cursor::Cursor;
pub(super) use deciders::{Deciders, Decision, WireFault};
pub(super) use outgoing::Outgoing;

/// Bytes of a request that are looked at, at most: whom a fault is meant for is told by these.
pub(super) const HEAD_MOST: usize = 16 << 10;
