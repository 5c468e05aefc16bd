//! A unit of a service manager of our own.

#[expect(clippy::unwrap_used, reason = "what a test uses, too")]
#[path = "../../tests/infrastructure/own_systemd.rs"]
mod own_systemd;

use std::time::{Duration, Instant};

use own_systemd::OwnSystemd;

use crate::Outcome;
use crate::processes::{rest, with_last_word};

pub(crate) struct Unit(OwnSystemd);

impl Unit {
    /// Returns when its process runs.
    ///
    /// # Errors
    /// With the reason why there is none here.
    pub(crate) fn start() -> Result<Self, String> {
        let unit = Self(OwnSystemd::start(&tag())?);
        let end = Instant::now() + Duration::from_secs(10);
        while !unit.runs().map_err(|error| error.to_string())? {
            if Instant::now() >= end {
                return Err("the manager does not start its unit".into());
            }
            rest();
        }
        Ok(unit)
    }

    pub(crate) fn manager(&self) -> String {
        self.0.socket().display().to_string()
    }

    pub(crate) fn runs(&self) -> Outcome<bool> {
        Ok(with_last_word(&tag())?.len() == 1)
    }

    /// What systemctl says of it.
    pub(crate) fn in_words(&self) -> String {
        self.0.systemctl(&["is-active", "nap"])
    }
}

/// What tells its process from every other `sleep`.
fn tag() -> String {
    format!("86398.{}", std::process::id())
}
