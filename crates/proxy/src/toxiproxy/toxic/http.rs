//! Toxics on HTTP requests: ours, Toxiproxy has none.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::LatencyToxic;
use super::messages::OnMessages;
use crate::message::{BodyChange, HeaderChange, HttpAction, HttpFault, HttpMatch, Kind, Pattern};
use crate::stream::Direction;

/// The requests that a toxic is meant for; all if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// `GET`, `POST`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// With `*` for any characters; without what comes after a `?`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Pattern>,
    /// Names, and what their values are like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Pattern>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpDelay {
    #[serde(flatten)]
    pub requests: Requests,
    #[serde(flatten)]
    pub latency: LatencyToxic,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpAbort {
    #[serde(flatten)]
    pub requests: Requests,
    #[serde(default = "unavailable")]
    pub status: u16,
    #[serde(default)]
    pub body: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpReset {
    #[serde(flatten)]
    pub requests: Requests,
}

/// One of the three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpBody {
    #[serde(flatten)]
    pub requests: Requests,
    /// What stands in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<String>,
    /// Bytes after which it breaks off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncate: Option<u64>,
    /// The share of its parts with a flipped bit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpHeader {
    #[serde(flatten)]
    pub requests: Requests,
    #[serde(default)]
    pub change: HeaderWord,
    #[serde(default)]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderWord {
    #[default]
    Set,
    Add,
    Remove,
}

fn unavailable() -> u16 {
    503
}

impl Requests {
    fn fault(&self, action: HttpAction) -> Kind {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.clone()));
        Kind::Http(HttpFault {
            matching: HttpMatch {
                methods: self.methods.clone(),
                path: self.path.clone(),
                headers: headers.collect(),
            },
            action,
        })
    }
}

impl OnMessages for HttpDelay {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        let delay = HttpAction::Delay(self.latency.latency());
        Ok(self.requests.fault(delay))
    }

    fn latency(&self) -> Option<&LatencyToxic> {
        Some(&self.latency)
    }
}

impl OnMessages for HttpAbort {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        if !(200..=599).contains(&self.status) {
            return Err(format!("status is {}; it is from 200 to 599", self.status));
        }
        Ok(self.requests.fault(HttpAction::Abort {
            status: self.status,
            body: Bytes::copy_from_slice(self.body.as_bytes()),
        }))
    }
}

impl OnMessages for HttpReset {
    fn fault(&self, _direction: Direction) -> Result<Kind, String> {
        Ok(self.requests.fault(HttpAction::Reset))
    }
}

impl OnMessages for HttpBody {
    fn fault(&self, direction: Direction) -> Result<Kind, String> {
        let change = match (&self.replace, self.truncate, self.corrupt) {
            (Some(text), None, None) => {
                BodyChange::Replace(Bytes::copy_from_slice(text.as_bytes()))
            }
            (None, Some(after), None) => BodyChange::Truncate { after },
            (None, None, Some(share)) if (0.0..=1.0).contains(&share) => {
                BodyChange::Corrupt { share }
            }
            (None, None, Some(share)) => {
                return Err(format!("corrupt is {share}; it is a share from 0 to 1"));
            }
            _ => return Err("it has one of the attributes replace, truncate and corrupt".into()),
        };
        Ok(self.requests.fault(HttpAction::Body { direction, change }))
    }
}

impl OnMessages for HttpHeader {
    fn fault(&self, direction: Direction) -> Result<Kind, String> {
        let (name, value) = (self.name.clone(), self.value.clone());
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(format!("{name:?} is no name of a header"));
        }
        let framing = ["content-length", "transfer-encoding"];
        if framing.contains(&name.to_ascii_lowercase().as_str()) {
            let why = "says where the message ends; http_body changes bodies and their length";
            return Err(format!("{name} {why}"));
        }
        let visible = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        if !value.bytes().all(visible) {
            return Err(format!("{value:?} is no value of a header"));
        }
        let change = match self.change {
            HeaderWord::Set => HeaderChange::Set { name, value },
            HeaderWord::Add => HeaderChange::Add { name, value },
            HeaderWord::Remove => HeaderChange::Remove { name },
        };
        Ok(self
            .requests
            .fault(HttpAction::Header { direction, change }))
    }
}
