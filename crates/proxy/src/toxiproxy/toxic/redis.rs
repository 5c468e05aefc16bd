//! Toxics on Redis commands.

use serde::{Deserialize, Serialize};

use super::LatencyToxic;
use super::messages::OnMessages;
use crate::message::{Kind, Pattern, RedisAction, RedisError, RedisFault, RedisMatch};
use crate::stream::Direction;

/// The commands that a toxic is meant for; all if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Commands {
    /// `GET`, `HSET`, …, in any case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedisDelay {
    #[serde(flatten)]
    pub commands: Commands,
    #[serde(flatten)]
    pub latency: LatencyToxic,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedisErrorToxic {
    #[serde(flatten)]
    pub commands: Commands,
    /// Such as `LOADING Redis is loading the dataset in memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Commands {
    fn fault(&self, action: RedisAction) -> Kind {
        Kind::Redis(RedisFault {
            matching: RedisMatch {
                commands: self.commands.clone(),
                key: self.key.clone(),
            },
            action,
        })
    }
}

impl OnMessages for RedisDelay {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        let delay = RedisAction::Delay(self.latency.latency());
        Ok(self.commands.fault(delay))
    }

    fn latency(&self) -> Option<&LatencyToxic> {
        Some(&self.latency)
    }
}

impl OnMessages for RedisErrorToxic {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        let error = match &self.error {
            Some(text) => RedisError::new(text.clone()).map_err(|error| error.to_string())?,
            None => RedisError::default(),
        };
        Ok(self.commands.fault(RedisAction::Error(error)))
    }
}
