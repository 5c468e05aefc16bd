//! Containers of Docker and Podman, over the Engine API on their Unix sockets: finding them, looking
//! at them, signalling, pausing, stopping and starting them.
//!
//! Map:
//! - [`Engine`]: an engine by its socket, and everything that is asked of it; [`Request`]: what it
//!   has not answered yet;
//! - [`Container`], [`Details`]: what a list and an inspection say;
//! - [`Selector`]: which containers are meant;
//! - [`ContainerRef`]: one run of one container, for an undo log, and how its pause is undone;
//! - `http`: one request and one answer over a Unix socket, bounded in time and size; [`Answer`]
//!   reads one from any other stream as well.
//!
//! Blocking and without tokio, because the guardian undoes with it. Each request is a connection of
//! its own: an engine that was restarted between fault and undo is just connected to again.
//!
//! Deliberately absent: TCP, TLS and ssh (an engine on another machine is not ours to break), images,
//! networks, volumes, creating and removing containers, streams, retries, and choosing targets.
//!
//! Source: Docker Engine API 1.41 (`api/swagger.yaml` of moby), and Podman's compatible API.

mod container;
mod engine;
mod error;
mod http;
mod reference;
mod selector;

pub use container::{Container, Details, RestartPolicy, State};
pub use engine::{Change, Engine, Kind, Request, Version};
pub use error::EngineError;
pub use http::{Answer, AnswerError};
pub use reference::{ContainerRef, Standing, Unpaused};
pub use selector::Selector;
