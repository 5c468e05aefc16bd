//! Faults of load balancers on a real HAProxy, started for the test, with servers of the test's own
//! behind it. Needs Debian's package haproxy; skipped by name without.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: a failure is a panic, and a skip is said"
)]

mod deaths;
mod draining;
mod evacuating;
mod haproxy;
mod meanwhile;
mod owner;
mod refusals;

use haproxy::{LONG, wait_for};

const DRAIN: &str = "switching.lb-drain";
const EVACUATE: &str = "switching.zone-evacuate";
const MECHANISM: &str = "runtime-socket";
