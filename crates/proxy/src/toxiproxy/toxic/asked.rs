//! Toxics as they are asked for.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Attributes, Stream, Toxic};
use crate::arms::Arm;
use crate::toxiproxy::answer::ApiError;

/// A toxic to be.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct NewToxic {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub r#type: String,
    #[serde(default)]
    pub stream: String,
    #[serde(default)]
    pub toxicity: Option<f64>,
    #[serde(default)]
    pub arm: Option<Arm>,
    /// Kept if nothing is said.
    #[serde(default)]
    pub kept: Option<bool>,
    #[serde(default)]
    pub attributes: Option<Map<String, Value>>,
}

/// What may change of a toxic.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ToxicChange {
    #[serde(default)]
    pub toxicity: Option<f64>,
    #[serde(default)]
    pub attributes: Option<Map<String, Value>>,
}

impl NewToxic {
    /// Checks it and fills in what was left out.
    pub(in crate::toxiproxy) fn toxic(self) -> Result<Toxic, ApiError> {
        let stream = match self.stream.to_ascii_lowercase().as_str() {
            "" | "downstream" => Stream::Downstream,
            "upstream" => Stream::Upstream,
            _ => return Err(ApiError::InvalidStream),
        };
        let toxic = Toxic {
            attributes: Attributes::read(&self.r#type, &self.attributes.unwrap_or_default())?,
            name: match self.name.as_str() {
                "" => format!("{}_{}", self.r#type, stream.word()),
                name => name.into(),
            },
            stream,
            toxicity: self.toxicity.unwrap_or(1.0),
            arm: self.arm,
            kept: self.kept.unwrap_or(true),
        };
        toxic.check()
    }
}
