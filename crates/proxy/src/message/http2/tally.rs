//! Which requests have their answers, and how they went. Nothing else depends on it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::hpack::Field;
use crate::message::Answered;
use crate::message::grpc::is_grpc;

/// Requests that are waited for, at most; more are not counted.
const OPEN: usize = 4096;

/// By the number at the client.
#[derive(Debug, Default)]
pub(super) struct Tally {
    open: BTreeMap<u32, Open>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    /// The answer has begun; a call's is judged by its end.
    begun: Option<Duration>,
}

/// What a header block says of how a request went.
#[derive(Debug, Default)]
pub(super) struct Look {
    status: Option<u16>,
    is_call: bool,
    call_is_well: Option<bool>,
}

impl Look {
    pub(super) fn of(fields: &[Field]) -> Self {
        let mut look = Self::default();
        for field in fields {
            look.at(&field.name, &field.value);
        }
        look
    }

    pub(super) fn at(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b":status" => {
                let text = std::str::from_utf8(value).ok();
                self.status = text.and_then(|text| text.parse().ok());
            }
            b"content-type" => self.is_call = is_grpc(value),
            b"grpc-status" => self.call_is_well = Some(value == b"0"),
            _ => {}
        }
    }
}

impl Tally {
    pub(super) fn asked(&mut self, key: u32, now: Instant) {
        if self.open.len() < OPEN {
            let since = now;
            let begun = None;
            self.open.insert(key, Open { since, begun });
        }
    }

    /// Headers or trailers of an answer.
    pub(super) fn headers(
        &mut self,
        key: u32,
        look: &Look,
        end: bool,
        ours: bool,
        now: Instant,
    ) -> Option<Answered> {
        let open = self.open.get_mut(&key)?;
        let took = match (open.begun, look.status) {
            (Some(took), _) if end => took,
            (Some(_), _) | (None, None | Some(..200)) => return None,
            (None, Some(_)) => now.saturating_duration_since(open.since),
        };
        if look.is_call && look.call_is_well.is_none() && !end {
            open.begun = Some(took);
            return None;
        }
        let call_is_well = look.call_is_well.unwrap_or(open.begun.is_none());
        let well = call_is_well && look.status.is_none_or(|status| status < 500);
        self.open.remove(&key);
        Some(Answered { well, ours, took })
    }

    /// An answer's last byte is there. A call's has ended without a status, if it was not judged.
    pub(super) fn ended(&mut self, key: u32, ours: bool) -> Option<Answered> {
        let took = self.open.remove(&key)?.begun?;
        let well = false;
        Some(Answered { well, ours, took })
    }

    /// There will be no answer, or no more of it.
    pub(super) fn reset(&mut self, key: u32, ours: bool, now: Instant) -> Option<Answered> {
        let open = self.open.remove(&key)?;
        let so_far = now.saturating_duration_since(open.since);
        Some(Answered {
            well: false,
            ours,
            took: open.begun.unwrap_or(so_far),
        })
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, key: u32) {
        self.open.remove(&key);
    }
}
