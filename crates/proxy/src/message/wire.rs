//! What the sessions of wire protocols (Redis, PostgreSQL, MySQL, Kafka) have in common.
//!
//! ```text
//!   client ──▶ frames ──▶ dialect ──▶ deciders ──▶ outgoing ──▶ upstream
//!          ◀── awaited ◀── dialect ◀── frames ◀────────────────
//! ```
//!
//! A [`Conversation`] cuts both streams into [`Frames`] and asks a [`Dialect`] about the head of each;
//! the rest of a frame passes, or is dropped, as it comes. What is not the protocol, or what nobody
//! can follow, passes from there on as bytes.
//!
//! Another protocol is added like this:
//!
//! 1. A file beside `redis.rs` with its fault, for which it implements [`WireFault`], and its
//!    [`Dialect`]: the [`Shape`] of frames in both directions, and what a head means. Of a request:
//!    `decide`, then `answer` it or `expect` the upstream's. Of a reply: what it [`Becomes`].
//! 2. Its [`Kind`](super::Kind) and its word ([`Protocol`](super::Protocol)).
//! 3. Its toxics, in `toxiproxy/toxic/`.
//! 4. Tests in played time (`played`), among them the three properties that each of the others has; a
//!    real server and its own client in `tests/servers`; a target in `fuzz/`.

mod awaited;
mod conversation;
mod cursor;
mod deciders;
mod dialect;
mod frames;
mod line;
#[cfg(test)]
pub(super) mod played;
mod texts;

use super::outgoing::Outgoing;
use awaited::Awaited;
pub(super) use awaited::Kept;
pub(super) use conversation::Conversation;
use cursor::Cursor;
use deciders::{Deciders, Decision};
pub(super) use deciders::{Does, WireFault};
pub(super) use dialect::{Answering, Asking, Becomes, Dialect};
use frames::Frames;
pub(super) use frames::{Rest, Shape};
pub(super) use texts::Texts;

/// Bytes of a request that are looked at, at most: whom a fault is meant for is told by these.
pub(super) const HEAD_MOST: usize = 16 << 10;
