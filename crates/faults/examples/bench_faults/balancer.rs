//! A load balancer of our own.

#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what a test uses, too"
)]
#[path = "../../tests/balancer/haproxy.rs"]
mod haproxy;

use haproxy::Haproxy;
pub(crate) use haproxy::{LONG, wait_for};

pub(crate) struct Balancer(Haproxy);

impl Balancer {
    /// # Errors
    /// With the reason why there is none here.
    pub(crate) fn start() -> Result<Self, String> {
        Haproxy::start()
            .map(Self)
            .ok_or_else(|| "no HAProxy".into())
    }

    pub(crate) fn socket(&self) -> String {
        self.0.socket().display().to_string()
    }

    /// Whether all of its servers are in use.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.states().iter().all(|(_, state)| *state == 0)
    }

    /// What it says of each server.
    pub(crate) fn in_words(&self) -> String {
        format!("{:?}", self.0.states())
    }
}
