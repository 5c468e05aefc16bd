//! Toxics on gRPC calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LatencyToxic;
use super::messages::OnMessages;
use crate::message::{GrpcAction, GrpcFault, GrpcMatch, GrpcStatus, Kind, Pattern};
use crate::stream::Direction;

/// The calls that a toxic is meant for; all if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    /// With its package: `shop.Cart`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Pattern>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Pattern>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Pattern>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrpcDelay {
    #[serde(flatten)]
    pub calls: Calls,
    #[serde(flatten)]
    pub latency: LatencyToxic,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrpcAbort {
    #[serde(flatten)]
    pub calls: Calls,
    #[serde(default = "unavailable")]
    pub status: u32,
    #[serde(default)]
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrpcCut {
    #[serde(flatten)]
    pub calls: Calls,
    /// Messages of the answer.
    #[serde(default)]
    pub after: u64,
    /// Without one, by a reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u32>,
    #[serde(default)]
    pub message: String,
}

fn unavailable() -> u32 {
    14
}

impl Calls {
    fn fault(&self, action: GrpcAction) -> Kind {
        let metadata = self.metadata.iter();
        let metadata = metadata.map(|(name, value)| (name.clone(), value.clone()));
        Kind::Grpc(GrpcFault {
            matching: GrpcMatch {
                service: self.service.clone(),
                method: self.method.clone(),
                metadata: metadata.collect(),
            },
            action,
        })
    }
}

/// Statuses are 0 to 16 (gRPC's `statuscodes.md`); 0 is no error.
fn status(code: u32, message: &str) -> Result<GrpcStatus, String> {
    if !(1..=16).contains(&code) {
        return Err(format!("status is {code}; an error of gRPC is 1 to 16"));
    }
    Ok(GrpcStatus {
        code,
        message: message.into(),
    })
}

impl OnMessages for GrpcDelay {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        Ok(self.calls.fault(GrpcAction::Delay(self.latency.latency())))
    }

    fn latency(&self) -> Option<&LatencyToxic> {
        Some(&self.latency)
    }
}

impl OnMessages for GrpcAbort {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        let status = status(self.status, &self.message)?;
        Ok(self.calls.fault(GrpcAction::Abort(status)))
    }
}

impl OnMessages for GrpcCut {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        let status = self.status.map(|code| status(code, &self.message));
        Ok(self.calls.fault(GrpcAction::Cut {
            after: self.after,
            status: status.transpose()?,
        }))
    }
}
