//! What is done to containers.

use firedrill_container::ContainerRef;
use firedrill_kernel::{ProcessIdentity, Signal};
use serde::{Deserialize, Serialize};

/// One run of a container: what is done to it is over when it runs anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ContainerRun {
    pub container: ContainerRef,
    /// For people only.
    pub name: String,
    /// Its first process: by it the run can be found and its end seen without the engine.
    pub process: ProcessIdentity,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ContainerEnd {
    pub run: ContainerRun,
    pub how: EndHow,
    pub comeback: Comeback,
}

/// By what a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum EndHow {
    /// A signal to its first process, as a crash would look to the engine. Not by the engine's own
    /// `kill`, after which Docker takes the container for stopped by hand and no restart policy
    /// holds.
    Signal { signal: Signal },
    /// The engine stops it: by its stop signal, and by SIGKILL when the grace is over.
    Stop {
        #[serde(rename = "grace-ms")]
        grace_ms: u64,
        /// Somebody said that it may stay stopped after a reboot, until a recovery by hand.
        #[serde(rename = "survives-reboot")]
        survives_reboot: bool,
    },
    /// The engine stops it in the same way, and starts it.
    Restart {
        #[serde(rename = "grace-ms")]
        grace_ms: u64,
    },
}

/// How a container runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comeback {
    /// Not by us, and nobody is waited for.
    No,
    /// Its restart policy starts it; the undo waits to see it.
    Policy,
    /// The undo starts it, unless somebody else did.
    Start,
}

impl ContainerRun {
    /// For a person: `container web (0123456789ab)`.
    pub(crate) fn in_words(&self) -> String {
        let id = self.container.id.get(..12).unwrap_or(&self.container.id);
        format!("container {} ({id})", self.name)
    }
}
