//! What the sessions of wire protocols (Redis, PostgreSQL, MySQL, Kafka) have in common.
//!
//! ```text
//!   client ──▶ cursor, frames ──▶ deciders ──▶ outgoing ──▶ upstream
//!          ◀───────── awaited ◀── cursor, frames ◀──────────
//! ```
//!
//! A request is decided on when enough of it has come; the rest passes, or is dropped, as it comes.
//! What is not the protocol, or what nobody can follow, passes from there on as bytes.

mod awaited;
mod cursor;
mod deciders;
mod frames;
mod outgoing;
#[cfg(test)]
pub(super) mod played;
mod texts;

pub(super) use awaited::Awaited;
pub(super) use cursor::Cursor;
pub(super) use deciders::{Deciders, Decision, WireFault};
pub(super) use frames::{Frames, Shape, Step};
pub(super) use outgoing::Outgoing;
pub(super) use texts::Texts;

/// Bytes of a request that are looked at, at most: whom a fault is meant for is told by these.
pub(super) const HEAD_MOST: usize = 16 << 10;
