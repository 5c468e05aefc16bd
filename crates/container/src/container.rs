//! What engines say of containers, in the words of the Engine API.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A line of the list of containers. Engines do not give pids there: inspect for one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Listed")]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without the leading slash.
    pub names: Vec<String>,
    /// As it was named when the container was created.
    pub image: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub image_id: String,
    pub state: State,
    pub labels: BTreeMap<String, String>,
}

/// What an inspection says, with what `/proc` adds for a running container.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Inspected")]
pub struct Details {
    pub id: String,
    pub name: String,
    pub image: String,
    pub labels: BTreeMap<String, String>,
    pub state: State,
    /// As the engine has it; see [`Details::frozen`].
    pub paused: bool,
    /// Whether the kernel has its cgroup frozen; `None` where that cannot be seen. Docker learns of
    /// pauses by events, and for some milliseconds may say the opposite of what is so.
    pub frozen: Option<bool>,
    /// Of its first process, in the engine's pid namespace; `None` while it does not run.
    pub pid: Option<u32>,
    /// RFC 3339 as the engine wrote it, to the nanosecond; `None` if it was never started.
    pub started_at: Option<String>,
    /// Restarts by the engine itself, not those that were asked for.
    pub restart_count: u64,
    pub restart_policy: RestartPolicy,
    /// Removed by the engine as soon as it ends: `start` cannot bring it back.
    pub auto_remove: bool,
    /// As it was asked for when the container was created; often empty.
    pub cgroup_parent: String,
    /// Docker's file for its network namespace; `None` with Podman and while it does not run.
    pub network_sandbox: Option<PathBuf>,
    /// `/proc/PID/cgroup`: per hierarchy its controllers (none for the unified one) and the path.
    pub cgroups: Vec<(String, PathBuf)>,
    /// `/proc/PID/ns/net`, while it runs.
    pub network_namespace: Option<PathBuf>,
}

/// When an engine starts a container again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    No,
    Always,
    UnlessStopped,
    OnFailure {
        /// 0 is without limit.
        retries_max: u64,
    },
}

/// The state of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum State {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Stopping,
    /// Docker's `exited`; Podman also says `stopped`.
    Exited,
    Dead,
    /// A word that we do not know: nothing is concluded from it.
    Unknown(String),
}

impl Details {
    /// Whether engine and kernel say the same of a pause, as far as both can be asked.
    pub(crate) fn is_settled(&self) -> bool {
        self.frozen.is_none_or(|frozen| frozen == self.paused)
    }
}

impl State {
    /// Whether there are processes that a signal, a pause or a stop would reach.
    #[must_use]
    pub fn has_processes(&self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Stopping)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Stopping => "stopping",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Unknown(word) => word,
        })
    }
}

impl From<String> for State {
    fn from(word: String) -> Self {
        match word.as_str() {
            "created" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "stopping" => Self::Stopping,
            "exited" | "stopped" => Self::Exited,
            "dead" => Self::Dead,
            _ => Self::Unknown(word),
        }
    }
}

impl From<State> for String {
    fn from(state: State) -> Self {
        state.to_string()
    }
}

/// `GET /containers/json`
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    names: Option<Vec<String>>,
    #[serde(default)]
    image: String,
    #[serde(default, rename = "ImageID")]
    image_id: String,
    state: State,
    labels: Option<BTreeMap<String, String>>,
}

impl From<Listed> for Container {
    fn from(listed: Listed) -> Self {
        let names = listed.names.unwrap_or_default();
        Self {
            id: listed.id,
            names: names.iter().map(|name| without_slash(name)).collect(),
            image: listed.image,
            image_id: listed.image_id,
            state: listed.state,
            labels: listed.labels.unwrap_or_default(),
        }
    }
}

/// `GET /containers/ID/json`
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    state: InspectedState,
    #[serde(default)]
    restart_count: u64,
    #[serde(default)]
    host_config: HostConfig,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    network_settings: NetworkSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedState {
    status: State,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    started_at: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    restart_policy: InspectedPolicy,
    auto_remove: bool,
    cgroup_parent: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectedPolicy {
    name: String,
    maximum_retry_count: u64,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    image: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct NetworkSettings {
    sandbox_key: String,
}

impl From<Inspected> for Details {
    fn from(inspected: Inspected) -> Self {
        let policy = inspected.host_config.restart_policy;
        let state = inspected.state;
        let sandbox = inspected.network_settings.sandbox_key;
        Self {
            id: inspected.id,
            name: without_slash(&inspected.name),
            image: inspected.config.image,
            labels: inspected.config.labels.unwrap_or_default(),
            // Some engines leave the status at `running` and only set the flag.
            paused: state.paused || state.status == State::Paused,
            frozen: None,
            pid: (state.pid != 0).then_some(state.pid),
            state: state.status,
            // The zero time of Go.
            started_at: (!state.started_at.is_empty() && !state.started_at.starts_with("0001-"))
                .then_some(state.started_at),
            restart_count: inspected.restart_count,
            restart_policy: match policy.name.as_str() {
                "always" => RestartPolicy::Always,
                "unless-stopped" => RestartPolicy::UnlessStopped,
                "on-failure" => RestartPolicy::OnFailure {
                    retries_max: policy.maximum_retry_count,
                },
                _ => RestartPolicy::No,
            },
            auto_remove: inspected.host_config.auto_remove,
            cgroup_parent: inspected.host_config.cgroup_parent,
            network_sandbox: (!sandbox.is_empty()).then(|| PathBuf::from(sandbox)),
            cgroups: Vec::new(),
            network_namespace: None,
        }
    }
}

fn without_slash(name: &str) -> String {
    name.strip_prefix('/').unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inspection_with_the_least_and_with_nulls_is_read() {
        let text = r#"{"Id":"ab","Name":"/c1","State":{"Status":"created","Pid":0,"StartedAt":"0001-01-01T00:00:00Z"},"Config":{"Labels":null}}"#;
        let details: Details = serde_json::from_str(text).unwrap();
        assert_eq!((details.name.as_str(), details.pid), ("c1", None));
        assert_eq!(details.started_at, None);
        assert_eq!(details.restart_policy, RestartPolicy::No);
        assert!(!details.paused && !details.state.has_processes());
    }

    #[test]
    fn restart_policies_are_told_apart() {
        let text = r#"{"Id":"ab","Name":"c1","State":{"Status":"running","Paused":true,"Pid":7,"StartedAt":"2026-01-01T00:00:00.1Z"},"HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3},"AutoRemove":true}}"#;
        let details: Details = serde_json::from_str(text).unwrap();
        assert_eq!(
            details.restart_policy,
            RestartPolicy::OnFailure { retries_max: 3 }
        );
        assert!(details.paused && details.auto_remove);
        assert_eq!(details.pid, Some(7));
    }

    #[test]
    fn an_unknown_state_is_kept_and_concludes_nothing() {
        let state = State::from("melting".to_owned());
        assert_eq!(state.to_string(), "melting");
        assert!(!state.has_processes());
        let written = serde_json::to_string(&State::Paused).unwrap();
        assert_eq!(
            serde_json::from_str::<State>(&written).unwrap(),
            State::Paused
        );
    }
}
