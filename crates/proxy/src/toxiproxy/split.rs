//! Control and experiment on a proxy: ours, Toxiproxy has none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::ApiError;
use crate::arms::{Key, Split};
use crate::counters::Requests;
use crate::message::Protocol;
use crate::users::{Counted, USERS_MOST, Users};

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
    /// Whether users are counted besides requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<UsersWords>,
}

/// `{"epoch": 5000}`: a user counts by what came to it in its first so many milliseconds, at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsersWords {
    /// From [`EPOCH_LEAST`] to [`EPOCH_MOST`].
    #[serde(default = "epoch")]
    pub epoch: u64,
}

/// Milliseconds: below, hardly a user has two answers in one; above, answers come too late.
const EPOCH_LEAST: u64 = 100;
const EPOCH_MOST: u64 = 3_600_000;

fn epoch() -> u64 {
    5000
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

/// The users of both arms, each counted once in the epoch of its first answer, when that is over.
#[derive(Debug, Clone, Serialize)]
pub struct UsersView {
    /// Goes up when they are counted anew, from zero, because the arms' faults are others.
    pub run: u64,
    /// Milliseconds.
    pub epoch: u64,
    pub control: OutcomesView,
    pub experiment: OutcomesView,
    /// Users that are remembered, about; there is no room for more.
    pub most: u64,
    /// Answers to users for whom there was no room, in either arm.
    pub left_out: u64,
}

/// Well: no bad answer came to them.
#[derive(Debug, Clone, Serialize)]
pub struct OutcomesView {
    pub well: u64,
    pub badly: u64,
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
    /// For a proxy of this protocol.
    pub(super) fn split(&self, protocol: Protocol) -> Result<Split, ApiError> {
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
        if by.is_of_requests() && protocol != Protocol::Http {
            let why = "headers and cookies divide requests where the proxy's protocol is http";
            return Err(ApiError::body(why.into()));
        }
        if self.users.is_some() && matches!(protocol, Protocol::Tcp | Protocol::Udp) {
            let why = "users are counted by the answers that they get; say the proxy's protocol";
            return Err(ApiError::body(why.into()));
        }
        Ok(Split {
            name: self.name.as_str().into(),
            share: self.share,
            users: self.epoch(&by)?,
            by,
            draw: self.draw.as_deref().map(Into::into),
        })
    }

    fn epoch(&self, by: &Key) -> Result<Option<Duration>, ApiError> {
        let Some(UsersWords { epoch }) = self.users else {
            return Ok(None);
        };
        if !by.tells_users() {
            let why = "users are counted where cookie:NAME, header:NAME or client divides them; \
                       a connection does not say whose it is";
            return Err(ApiError::body(why.into()));
        }
        if !(EPOCH_LEAST..=EPOCH_MOST).contains(&epoch) {
            return Err(ApiError::body(format!(
                "an epoch is {epoch} ms; it is {EPOCH_LEAST} to {EPOCH_MOST} ms"
            )));
        }
        Ok(Some(Duration::from_millis(epoch)))
    }
}

impl From<&Counted> for UsersView {
    fn from(counted: &Counted) -> Self {
        let [control, experiment] = [counted.control, counted.experiment]
            .map(|Users { well, badly }| OutcomesView { well, badly });
        Self {
            run: counted.run,
            epoch: u64::try_from(counted.epoch.as_millis()).unwrap_or(u64::MAX),
            control,
            experiment,
            most: USERS_MOST,
            left_out: counted.left_out,
        }
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
