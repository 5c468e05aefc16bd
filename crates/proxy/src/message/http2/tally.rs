//! Which requests have their answers, and how they went. Nothing else depends on it.

use std::collections::BTreeMap;
use std::time::Instant;

use super::hpack::Field;
use crate::arms::Member;
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
    member: Option<Member>,
    answer: Answer,
}

/// How an answer looks that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    None,
    Begun {
        well: bool,
    },
    /// A call's, whose status is to come.
    Call,
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
    pub(super) fn asked(&mut self, key: u32, member: Option<Member>, now: Instant) {
        if self.open.len() < OPEN {
            let open = Open {
                since: now,
                member,
                answer: Answer::None,
            };
            self.open.insert(key, open);
        }
    }

    /// Headers or trailers of an answer; whether they are its end.
    pub(super) fn headers(
        &mut self,
        key: u32,
        look: &Look,
        ours: bool,
        end: Option<Instant>,
    ) -> Option<Answered> {
        let open = self.open.get_mut(&key)?;
        open.answer = match (open.answer, look.status) {
            (Answer::None, None | Some(..200)) => return None,
            (Answer::None, Some(status)) => match look.call_is_well {
                None if look.is_call && end.is_none() => Answer::Call,
                call_is_well => Answer::Begun {
                    well: status < 500 && call_is_well != Some(false),
                },
            },
            (Answer::Call, _) => Answer::Begun {
                well: look.call_is_well == Some(true),
            },
            (begun, _) => begun,
        };
        self.ended(key, ours, end?)
    }

    /// An answer's last byte is there. A call's without a status went badly.
    pub(super) fn ended(&mut self, key: u32, ours: bool, now: Instant) -> Option<Answered> {
        let open = self.open.remove(&key)?;
        Some(Answered {
            well: open.answer == Answer::Begun { well: true },
            ours,
            took: now.saturating_duration_since(open.since),
            member: open.member,
        })
    }

    /// There will be no answer, or no more of it.
    pub(super) fn reset(&mut self, key: u32, ours: bool, now: Instant) -> Option<Answered> {
        let answered = self.ended(key, ours, now)?;
        Some(Answered {
            well: false,
            ..answered
        })
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, key: u32) {
        self.open.remove(&key);
    }
}
