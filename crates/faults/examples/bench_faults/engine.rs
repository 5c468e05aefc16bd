//! A container of an engine of our own.

#[expect(clippy::unwrap_used, reason = "what tests use, too")]
#[path = "../../../container/tests/engines/started.rs"]
mod started;

use std::path::PathBuf;

use firedrill_container::{ContainerRef, Details, Engine, Kind, State};
use firedrill_faults::ContainerTarget;
use firedrill_kernel::{ProcessIdentity, process};

use crate::Outcome;
use started::Started;

pub(crate) struct Contained {
    started: Started,
    id: String,
    /// Its first process when it was aimed at.
    aimed: Option<ProcessIdentity>,
}

impl Contained {
    /// # Errors
    /// With the reason why the engine cannot be started here.
    pub(crate) fn start(engine: &str) -> Result<Self, String> {
        let started = match engine {
            "docker" => Started::docker()?,
            "podman" => Started::podman()?,
            _ => return Err(format!("engine={engine} is neither docker nor podman")),
        };
        let id = started.run("web", &[]);
        Ok(Self {
            started,
            id,
            aimed: None,
        })
    }

    /// What [`target`] reads, of a container that runs.
    pub(crate) fn aim(&mut self) -> Outcome<String> {
        let engine = &self.started.engine;
        if engine.inspect(&self.id)?.state != State::Running {
            engine.start(&self.id)?;
        }
        let pid = engine.inspect(&self.id)?.pid.ok_or("it does not run")?;
        self.aimed = ProcessIdentity::of(pid)?;
        let kind = match engine.kind {
            Kind::Docker => "docker",
            Kind::Podman => "podman",
        };
        Ok(format!("{kind}:{}:{}", self.id, engine.socket.display()))
    }

    /// As the engine says, and the kernel: the engine may not have noticed an end.
    pub(crate) fn runs(&self) -> Outcome<bool> {
        let details = self.details()?;
        let stat = details.pid.map(process::stat).transpose()?.flatten();
        let lives = stat.is_some_and(|stat| !stat.is_gone());
        let halted = details.paused || details.frozen == Some(true);
        Ok(lives && details.state == State::Running && !halted)
    }

    /// Whether another run, or none, has taken the place of that which was aimed at.
    pub(crate) fn is_another(&self) -> Outcome<bool> {
        let now = self.details()?.pid.map(ProcessIdentity::of).transpose()?;
        Ok(now.flatten() != self.aimed)
    }

    /// What a fault may not leave otherwise.
    pub(crate) fn in_words(&self) -> Outcome<String> {
        let Details {
            state,
            paused,
            frozen,
            ..
        } = self.details()?;
        Ok(format!("{state:?}, paused: {paused}, frozen: {frozen:?}"))
    }

    /// Takes container and engine away, and says what could not be.
    pub(crate) fn end(self) -> Vec<String> {
        self.started.end()
    }

    fn details(&self) -> Outcome<Details> {
        Ok(self.started.engine.inspect(&self.id)?)
    }
}

/// From `ENGINE:ID:SOCKET`.
pub(crate) fn target(word: &str) -> Outcome<ContainerTarget> {
    let (kind, rest) = word.split_once(':').ok_or("ENGINE:ID:SOCKET")?;
    let (id, socket) = rest.split_once(':').ok_or("ENGINE:ID:SOCKET")?;
    let kind = if kind == "docker" {
        Kind::Docker
    } else {
        Kind::Podman
    };
    let engine = Engine::at(kind, PathBuf::from(socket));
    let details = engine.inspect(id)?;
    let pid = details.pid.ok_or("the container does not run")?;
    Ok(ContainerTarget {
        reference: ContainerRef::of(&engine, &details),
        process: ProcessIdentity::of(pid)?.ok_or("the container ended")?,
        name: details.name,
        image: details.image,
        labels: details.labels,
        restart_policy: details.restart_policy,
        auto_remove: details.auto_remove,
    })
}
