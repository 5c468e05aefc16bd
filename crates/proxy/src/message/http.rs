//! Faults on HTTP requests, whatever version they come in.

pub(super) mod corruption;
pub(super) mod decision;
mod version1;

use bytes::Bytes;

use super::pattern::Pattern;
use crate::stream::{Direction, Latency};

pub use version1::Version1;

/// A fault on some of the requests of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpFault {
    pub matching: HttpMatch,
    pub action: HttpAction,
}

/// Which requests a fault is meant for: all that fit every part that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpMatch {
    /// Any of these, as they are written (`GET`); empty for all.
    pub methods: Vec<String>,
    /// The path, without what comes after a `?`.
    pub path: Option<Pattern>,
    /// Names in any case, and what their value is like.
    pub headers: Vec<(String, Pattern)>,
}

/// What becomes of a request, or of its answer.
#[derive(Debug, Clone, PartialEq)]
pub enum HttpAction {
    /// The request goes on later. Its jitter is drawn for each request; its correlation is not used.
    Delay(Latency),
    /// It does not go on: this is its answer.
    Abort { status: u16, body: Bytes },
    /// It does not go on: its connection is reset (HTTP/2: its stream).
    Reset,
    /// The body of the request (upstream) or of the answer (downstream) is another.
    Body {
        direction: Direction,
        change: BodyChange,
    },
    /// A header of the request (upstream) or of the answer (downstream) is another.
    Header {
        direction: Direction,
        change: HeaderChange,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum BodyChange {
    /// This stands in its place, with its length told.
    Replace(Bytes),
    /// It breaks off after so many bytes, and the connection with it: what was told of its length
    /// stays.
    Truncate { after: u64 },
    /// One bit is flipped in this share of its parts of [`BODY_PART`] bytes, among the first
    /// [`BODY_PLACE`] bytes of the part, so that short bodies have their share.
    Corrupt { share: f64 },
}

/// Bytes of a body that are corrupted together or not at all: what a TCP segment carries, mostly.
pub const BODY_PART: u64 = 1448;

/// Bytes at the beginning of a part that may be hit.
pub const BODY_PLACE: u64 = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderChange {
    /// One of this name and value comes besides.
    Add { name: String, value: String },
    /// Those of this name go, and this one comes.
    Set { name: String, value: String },
    /// Those of this name go.
    Remove { name: String },
}

impl HttpMatch {
    /// `headers` are names and values as they came. `path` may have a query behind it.
    pub fn fits(&self, method: &[u8], path: &[u8], headers: &[(&[u8], &[u8])]) -> bool {
        let end = path.iter().position(|byte| *byte == b'?');
        let path = &path[..end.unwrap_or(path.len())];
        let any = self.methods.is_empty();
        let method_fits = any || self.methods.iter().any(|one| one.as_bytes() == method);
        let path_fits = self.path.as_ref().is_none_or(|one| one.matches(path));
        let header_fits = |(name, value): &(String, Pattern)| {
            headers.iter().any(|(other, text)| {
                other.eq_ignore_ascii_case(name.as_bytes()) && value.matches(text)
            })
        };
        method_fits && path_fits && self.headers.iter().all(header_fits)
    }
}
