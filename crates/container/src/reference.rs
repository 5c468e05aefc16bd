//! One run of one container, as an undo log keeps it.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Change, Details, Engine, EngineError, Kind};

/// Never by name: a name can be given to another container between fault and undo. A run, because a
/// pause ends with the run that was paused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerRef {
    pub engine: Kind,
    pub socket: PathBuf,
    /// The full id.
    pub id: String,
    /// As the engine wrote it; `None` for a container that was never started.
    pub started_at: Option<String>,
}

/// What has become of a container since it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The same run; it may have ended, which its state says.
    Same(Box<Details>),
    /// Started anew by somebody: what was done to the earlier run is over.
    Restarted(Box<Details>),
    /// Removed.
    Gone,
}

/// How a pause came to its end. Each of them counts as reverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpaused {
    ByUs,
    /// It was not paused any more, or had ended.
    Before,
    Restarted,
    Gone,
}

impl ContainerRef {
    #[must_use]
    pub fn of(engine: &Engine, details: &Details) -> Self {
        Self {
            engine: engine.kind,
            socket: engine.socket.clone(),
            id: details.id.clone(),
            started_at: details.started_at.clone(),
        }
    }

    #[must_use]
    pub fn engine(&self) -> Engine {
        Engine::at(self.engine, self.socket.clone())
    }

    /// # Errors
    /// When the engine does not answer: then nothing is known of the container.
    pub fn standing(&self) -> Result<Standing, EngineError> {
        self.standing_by(&self.engine())
    }

    /// As [`Self::standing`], with no more patience than this for the answer.
    ///
    /// # Errors
    /// As [`Self::standing`].
    pub fn standing_within(&self, patience: Duration) -> Result<Standing, EngineError> {
        self.standing_by(&self.engine().within(patience))
    }

    fn standing_by(&self, engine: &Engine) -> Result<Standing, EngineError> {
        match engine.inspect(&self.id) {
            Ok(details) if details.started_at == self.started_at => {
                Ok(Standing::Same(Box::new(details)))
            }
            Ok(details) => Ok(Standing::Restarted(Box::new(details))),
            Err(error) if error.is_gone() => Ok(Standing::Gone),
            Err(error) => Err(error),
        }
    }

    /// Undoes a pause of ours. For a container that somebody else had paused before, this must not
    /// be called: [`Engine::pause`] then says [`Change::Already`]. Calling it twice is harmless.
    ///
    /// # Errors
    /// When the engine does not answer or refuses: then the container may still be paused.
    pub fn unpause(&self) -> Result<Unpaused, EngineError> {
        self.unpause_by(&self.engine())
    }

    /// As [`Self::unpause`], with no more patience than this for each answer.
    ///
    /// # Errors
    /// As [`Self::unpause`].
    pub fn unpause_within(&self, patience: Duration) -> Result<Unpaused, EngineError> {
        self.unpause_by(&self.engine().within(patience))
    }

    fn unpause_by(&self, engine: &Engine) -> Result<Unpaused, EngineError> {
        match self.standing_by(engine)? {
            Standing::Gone => Ok(Unpaused::Gone),
            Standing::Restarted(_) => Ok(Unpaused::Restarted),
            // The kernel is asked too: an engine that lags must not leave a container frozen.
            Standing::Same(details) if !details.paused && details.is_settled() => {
                Ok(Unpaused::Before)
            }
            Standing::Same(_) => match engine.unpause(&self.id) {
                Ok(Change::Done) => Ok(Unpaused::ByUs),
                Ok(Change::Already) => Ok(Unpaused::Before),
                Err(error) if error.is_gone() => Ok(Unpaused::Gone),
                Err(error) => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_survives_its_log() {
        let reference = ContainerRef {
            engine: Kind::Podman,
            socket: "/run/podman/podman.sock".into(),
            id: "0123".into(),
            started_at: Some("2026-01-01T00:00:00.123456789Z".into()),
        };
        let text = serde_json::to_string(&reference).unwrap();
        assert_eq!(
            text,
            r#"{"engine":"podman","socket":"/run/podman/podman.sock","id":"0123","started_at":"2026-01-01T00:00:00.123456789Z"}"#
        );
        assert_eq!(
            serde_json::from_str::<ContainerRef>(&text).unwrap(),
            reference
        );
    }
}
