//! A fault proxy of our own.

use std::time::Duration;

#[expect(dead_code, clippy::unwrap_used, reason = "what a test uses, too")]
#[path = "../../tests/application/bed.rs"]
mod bed;

use bed::Bed;

use crate::balancer::{LONG, wait_for};

pub(crate) struct Route(Bed);

/// Between what the upstream takes and the delay that a case asks for.
const LATE: Duration = Duration::from_millis(50);

impl Route {
    pub(crate) fn start() -> Self {
        Self(Bed::new())
    }

    pub(crate) fn api(&self) -> String {
        self.0.api()
    }

    /// Whether a client gets the upstream's answer, and at once.
    pub(crate) fn is_undisturbed(&self) -> bool {
        let got = self.0.get("/", "u");
        got.status == 200 && got.took < LATE
    }

    /// What is on its routes.
    pub(crate) fn in_words(&self) -> String {
        format!("{:?}", [self.0.toxics("web"), self.0.toxics("raw")])
    }
}
