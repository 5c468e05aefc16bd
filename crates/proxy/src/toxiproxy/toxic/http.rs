//! Toxics on HTTP requests: ours, Toxiproxy has none.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::LatencyToxic;
use crate::message::{BodyChange, HeaderChange, HttpAction, HttpFault, HttpMatch, Pattern};
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
    fn fault(&self, action: HttpAction) -> HttpFault {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.clone()));
        HttpFault {
            matching: HttpMatch {
                methods: self.methods.clone(),
                path: self.path.clone(),
                headers: headers.collect(),
            },
            action,
        }
    }
}

impl HttpDelay {
    pub(super) fn fault(&self) -> HttpFault {
        self.requests
            .fault(HttpAction::Delay(self.latency.latency()))
    }
}

impl HttpAbort {
    pub(super) fn wrong(&self) -> Option<String> {
        let known = (200..=599).contains(&self.status);
        (!known).then(|| format!("status is {}; it is from 200 to 599", self.status))
    }

    pub(super) fn fault(&self) -> HttpFault {
        self.requests.fault(HttpAction::Abort {
            status: self.status,
            body: Bytes::copy_from_slice(self.body.as_bytes()),
        })
    }
}

impl HttpReset {
    pub(super) fn fault(&self) -> HttpFault {
        self.requests.fault(HttpAction::Reset)
    }
}

impl HttpBody {
    fn change(&self) -> Option<BodyChange> {
        match (&self.replace, self.truncate, self.corrupt) {
            (Some(text), None, None) => {
                Some(BodyChange::Replace(Bytes::copy_from_slice(text.as_bytes())))
            }
            (None, Some(after), None) => Some(BodyChange::Truncate { after }),
            (None, None, Some(share)) => Some(BodyChange::Corrupt { share }),
            _ => None,
        }
    }

    pub(super) fn wrong(&self) -> Option<String> {
        if self.change().is_none() {
            let what = "it has one of the attributes replace, truncate and corrupt";
            return Some(what.into());
        }
        let share = self.corrupt.filter(|share| !(0.0..=1.0).contains(share))?;
        Some(format!("corrupt is {share}; it is a share from 0 to 1"))
    }

    pub(super) fn fault(&self, direction: Direction) -> HttpFault {
        // Refused before if there is none.
        let nothing = BodyChange::Corrupt { share: 0.0 };
        self.requests.fault(HttpAction::Body {
            direction,
            change: self.change().unwrap_or(nothing),
        })
    }
}

impl HttpHeader {
    pub(super) fn wrong(&self) -> Option<String> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(token) {
            return Some(format!("{:?} is no name of a header", self.name));
        }
        let visible = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        let framing = ["content-length", "transfer-encoding"];
        if framing.contains(&self.name.to_ascii_lowercase().as_str()) {
            let why = "says where the message ends; http_body changes bodies and their length";
            return Some(format!("{} {why}", self.name));
        }
        (!self.value.bytes().all(visible))
            .then(|| format!("{:?} is no value of a header", self.value))
    }

    pub(super) fn fault(&self, direction: Direction) -> HttpFault {
        let (name, value) = (self.name.clone(), self.value.clone());
        let change = match self.change {
            HeaderWord::Set => HeaderChange::Set { name, value },
            HeaderWord::Add => HeaderChange::Add { name, value },
            HeaderWord::Remove => HeaderChange::Remove { name },
        };
        self.requests
            .fault(HttpAction::Header { direction, change })
    }
}
