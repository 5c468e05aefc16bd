//! Container engines and systemd.

use std::path::Path;

use firedrill_container::{Engine, Kind};

use super::{Check, Subject, chain};

const RUNS: &str = "start one (`systemctl start docker`, `systemctl start podman.socket`), or set \
                    DOCKER_HOST=unix:///its/socket";

pub(super) fn engines() -> Vec<Check> {
    let found = Engine::found();
    if found.is_empty() {
        let why = "no socket of Docker or Podman";
        return vec![Check::unusable(Subject::Containers, NAME, why, Some(RUNS))];
    }
    found.iter().map(engine).collect()
}

/// What `usable` looks it up by.
pub(super) const NAME: &str = "container engine";

fn engine(engine: &Engine) -> Check {
    let socket = engine.socket.display();
    match engine.version() {
        Ok(version) => {
            let kind = match version.kind {
                Kind::Docker => "Docker",
                Kind::Podman => "Podman",
            };
            let why = format!(
                "{kind} {} (API {}) at {socket}",
                version.version, version.api
            );
            Check::usable(Subject::Containers, NAME, why)
        }
        Err(error) => {
            let why = format!("{socket}: {}", chain(&error));
            Check::unusable(Subject::Containers, NAME, why, error.hint())
        }
    }
}

pub(super) fn systemd() -> Check {
    let outcome = if Path::new("/run/systemd/system").is_dir() {
        Ok("it is this host's first process")
    } else {
        Err("it is not this host's first process".to_owned())
    };
    let fix = "services can be stopped where systemd runs them; elsewhere pause or kill processes";
    Check::of(Subject::Containers, "systemd", outcome, fix)
}
