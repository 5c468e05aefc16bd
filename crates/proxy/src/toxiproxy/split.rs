//! Control and experiment on a proxy: ours, Toxiproxy has none.

use serde::{Deserialize, Serialize};

use super::answer::ApiError;
use crate::arms::{Key, Split};
use crate::counters::Requests;

/// `{"share": 0.01, "by": "header:x-user"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitWords {
    /// Of each arm, above 0 to 0.5.
    pub share: f64,
    /// `connection`, `client`, `header:NAME` or `cookie:NAME`.
    #[serde(default = "connection")]
    pub by: String,
    /// Another name divides anew.
    #[serde(default = "one")]
    pub name: String,
    /// Splits of several routes that name the same draw put the same user into the same arm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<String>,
    /// Whether a state file keeps it for the proxy's next start.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub kept: bool,
}

fn connection() -> String {
    "connection".into()
}

fn one() -> String {
    "split".into()
}

fn yes() -> bool {
    true
}

pub(super) fn is_true(value: &bool) -> bool {
    *value
}

/// What the requests of each arm got, since the proxy was last enabled.
#[derive(Debug, Clone, Serialize)]
pub struct ArmsView {
    pub none: RequestsView,
    pub control: RequestsView,
    pub experiment: RequestsView,
}

/// Raw counts; of times, `[longest of the bucket in seconds, how many]`.
#[derive(Debug, Clone, Serialize)]
pub struct RequestsView {
    pub well: u64,
    pub badly: u64,
    pub by_faults: u64,
    pub times: Vec<(f64, u64)>,
}

impl SplitWords {
    pub(super) fn split(&self) -> Result<Split, ApiError> {
        if !(self.share > 0.0 && self.share <= 0.5) {
            let share = self.share;
            let why = format!("share is {share}; it is that of each of two arms, above 0 to 0.5");
            return Err(ApiError::body(why));
        }
        let by = match self.by.split_once(':') {
            None if self.by == "connection" => Key::Connection,
            None if self.by == "client" => Key::Client,
            Some(("header", name)) if !name.is_empty() => Key::Header(name.into()),
            Some(("cookie", name)) if !name.is_empty() => Key::Cookie(name.into()),
            _ => {
                return Err(ApiError::body(format!(
                    "by is {:?}; it is connection, client, header:NAME or cookie:NAME",
                    self.by
                )));
            }
        };
        if self.draw.is_some() && !by.is_of_requests() {
            return Err(ApiError::body(format!(
                "draw is for header:NAME and cookie:NAME, which services pass on; by {} it would \
                 be the service in between that is drawn at the route behind it",
                self.by
            )));
        }
        if self.draw.as_deref() == Some("") {
            return Err(ApiError::body("draw is a name, not empty".into()));
        }
        Ok(Split {
            name: self.name.as_str().into(),
            share: self.share,
            by,
            draw: self.draw.as_deref().map(Into::into),
        })
    }
}

impl From<&Requests> for RequestsView {
    fn from(requests: &Requests) -> Self {
        let times = requests.times.counts();
        Self {
            well: requests.well,
            badly: requests.badly,
            by_faults: requests.ours,
            times: times
                .map(|(end, count)| (end.as_secs_f64(), count))
                .collect(),
        }
    }
}
