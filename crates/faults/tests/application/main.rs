//! Faults on the routes of a running proxy: Firedrill's own, in this process, with clients and an
//! upstream of the test's own that tell what they met.

#![expect(clippy::unwrap_used, reason = "a test: a failure is a panic")]

mod answers;
mod bed;
mod deaths;
mod meanwhile;
#[path = "../balancer/owner.rs"]
mod owner;
mod refusals;
#[path = "../balancer/waiting.rs"]
mod waiting;

use waiting::{LONG, wait_for};

const MECHANISM: &str = "proxy-api";
