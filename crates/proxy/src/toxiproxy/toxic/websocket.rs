//! Toxics on the messages of WebSockets: ours, Toxiproxy has none. They are on those of the toxic's
//! direction.

use serde::{Deserialize, Serialize};

use super::LatencyToxic;
use super::messages::OnMessages;
use crate::message::{
    Kind, Pattern, WebSocketAction, WebSocketChange, WebSocketFault, WebSocketMatch,
    WebSocketMessage,
};
use crate::stream::Direction;

/// The messages that a toxic is meant for; all if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Messages {
    /// Of the request that began it; with `*` for any characters, without what comes after a `?`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Pattern>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<WebSocketMessage>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebSocketDelay {
    #[serde(flatten)]
    pub on: Messages,
    #[serde(flatten)]
    pub latency: LatencyToxic,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebSocketDrop {
    #[serde(flatten)]
    pub on: Messages,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebSocketClose {
    #[serde(flatten)]
    pub on: Messages,
    #[serde(default = "internal_error")]
    pub code: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// One of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebSocketMessageToxic {
    #[serde(flatten)]
    pub on: Messages,
    /// Bytes that are left of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncate: Option<u64>,
    /// The share of its parts with a flipped bit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<f64>,
}

/// Bytes of a reason: a control frame has 125, two of them for the code.
const REASON_MOST: usize = 123;

fn internal_error() -> u16 {
    1011
}

impl Messages {
    fn fault(&self, direction: Direction, action: WebSocketAction) -> Kind {
        Kind::WebSocket(WebSocketFault {
            direction,
            matching: WebSocketMatch {
                path: self.path.clone(),
                messages: self.messages.clone(),
            },
            action,
        })
    }
}

impl OnMessages for WebSocketDelay {
    fn fault(&self, direction: Direction) -> Result<Kind, String> {
        let delay = WebSocketAction::Delay(self.latency.latency());
        Ok(self.on.fault(direction, delay))
    }

    fn latency(&self) -> Option<&LatencyToxic> {
        Some(&self.latency)
    }
}

impl OnMessages for WebSocketDrop {
    fn fault(&self, direction: Direction) -> Result<Kind, String> {
        Ok(self.on.fault(direction, WebSocketAction::Drop))
    }
}

impl OnMessages for WebSocketClose {
    fn fault(&self, direction: Direction) -> Result<Kind, String> {
        let Self { on, code, reason } = self;
        // The others are reserved, or never said (RFC 6455, 7.4).
        if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            return Err(format!(
                "{code} is no code that a connection is closed with"
            ));
        }
        let length = reason.len();
        if length > REASON_MOST {
            let most = REASON_MOST;
            return Err(format!("reason has {length} bytes; it has {most} at most"));
        }
        Ok(on.fault(
            direction,
            WebSocketAction::Close {
                code: *code,
                reason: reason.clone(),
            },
        ))
    }
}

impl OnMessages for WebSocketMessageToxic {
    fn fault(&self, direction: Direction) -> Result<Kind, String> {
        let change = match (self.truncate, self.corrupt) {
            (Some(after), None) => WebSocketChange::Truncate { after },
            (None, Some(share)) if (0.0..=1.0).contains(&share) => {
                WebSocketChange::Corrupt { share }
            }
            (None, Some(share)) => {
                return Err(format!("corrupt is {share}; it is a share from 0 to 1"));
            }
            _ => return Err("it has one of the attributes truncate and corrupt".into()),
        };
        Ok(self.on.fault(direction, WebSocketAction::Change(change)))
    }
}
