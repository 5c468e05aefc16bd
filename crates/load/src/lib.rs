//! An open-loop HTTP load generator: a stream of raw increments for the judge.
//!
//! Arrivals follow a schedule that the server cannot slow down, and latency is counted from the
//! moment a request was meant to start. A stall is therefore seen by every request that would
//! have met it, not by the one that happened to be on the wire: no coordinated omission
//! (Gil Tene, "How NOT to measure latency").
//!
//! ```text
//! schedule ──> conductor ──> request (one task each) ──> wire (keep-alive connections)
//!                  │  ^────────────── outcome ──────────────┘
//!                  └──> Window ──> the caller's channel;  all windows folded = LoadSummary
//! ```
//!
//! * `schedule`: when each request is meant to start; pure, repeatable from a seed.
//! * `config`: what to send, checked once, before anything starts.
//! * `wire`: at most `connections` connections, one request on each at a time.
//! * `conductor`: starts requests on time, gathers outcomes, closes windows.
//! * `window`: one window's increments. Each request is counted once, in the window of its
//!   intended start; a window is sent once, complete, and never revised.
//! * `summary`: what all windows say together.
//!
//! Deliberately absent: HTTPS and HTTP/2, redirects, cookies, retries (each would hide what a
//! single attempt met), and judgement of any kind.

mod conductor;
mod config;
mod schedule;
mod summary;
mod window;
mod wire;

pub use conductor::{LoadHandle, start};
pub use config::{Arrival, LoadConfig, LoadError};
pub use schedule::{Schedule, schedule};
pub use summary::{LatencyQuantiles, LoadSummary};
pub use window::Window;

/// The request header that marks every request of this generator as synthetic traffic.
pub const DRILL_HEADER: &str = "x-firedrill-drill";
