//! Toxics on Kafka requests.

use serde::{Deserialize, Serialize};

use super::LatencyToxic;
use super::messages::OnMessages;
use crate::message::kafka::api;
use crate::message::{KafkaAction, KafkaFault, KafkaMatch, Kind, Pattern};
use crate::stream::Direction;

/// The requests that a toxic is meant for; all if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// `Produce`, `Fetch`, …, in any case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apis: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KafkaDelay {
    #[serde(flatten)]
    pub requests: Requests,
    #[serde(flatten)]
    pub latency: LatencyToxic,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KafkaErrorToxic {
    #[serde(flatten)]
    pub requests: Requests,
    /// -1 is UNKNOWN_SERVER_ERROR.
    #[serde(default = "unknown")]
    pub code: i16,
}

fn unknown() -> i16 {
    -1
}

impl Requests {
    fn fault(&self, action: KafkaAction) -> Result<Kind, String> {
        let number = |name: &String| {
            let unknown = || format!("Kafka has no API {name}; there are Produce, Fetch, …");
            api(name).ok_or_else(unknown)
        };
        let apis = self.apis.iter().map(number);
        Ok(Kind::Kafka(KafkaFault {
            matching: KafkaMatch {
                apis: apis.collect::<Result<_, _>>()?,
                topic: self.topic.clone(),
            },
            action,
        }))
    }
}

impl OnMessages for KafkaDelay {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        self.requests
            .fault(KafkaAction::Delay(self.latency.latency()))
    }

    fn latency(&self) -> Option<&LatencyToxic> {
        Some(&self.latency)
    }
}

impl OnMessages for KafkaErrorToxic {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        if self.code == 0 {
            return Err("code is 0, which is no error of Kafka".into());
        }
        self.requests.fault(KafkaAction::Error(self.code))
    }
}
