//! What faults do to one direction of a stream: to its headers and to its body.

use bytes::Bytes;

use super::error::Code;
use super::hpack::Field;
use crate::chance::Chance;
use crate::message::grpc::Messages;
use crate::message::http::{BODY_PART, HeaderChange};

/// Everything that is changed. What is decided for a place in the body does not depend on how it
/// came.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) headers: Vec<HeaderChange>,
    pub(super) replace: Option<Bytes>,
    /// Bytes after which it breaks off.
    pub(super) truncate: Option<u64>,
    pub(super) corrupt: Vec<(Chance, f64)>,
    pub(super) cut: Option<Cut>,
    /// Bytes that have come.
    offset: u64,
}

/// The end of an answer behind so many messages.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) after: u64,
    pub(super) messages: Messages,
    pub(super) how: Break,
}

/// How a body ends before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Break {
    Reset(Code),
    Trailers(Vec<Field>),
}

impl Changes {
    pub(super) fn leaves_body(&self) -> bool {
        let Self {
            replace,
            truncate,
            corrupt,
            cut,
            ..
        } = self;
        replace.is_none() && truncate.is_none() && corrupt.is_empty() && cut.is_none()
    }

    /// What goes on of the next part of a body, and whether it breaks off there.
    pub(super) fn apply(&mut self, mut body: Bytes) -> (Bytes, Option<Break>) {
        let begin = self.offset;
        self.offset += body.len() as u64;
        for (chance, share) in &self.corrupt {
            body = corrupted(*chance, *share, begin, body);
        }
        let mut end = None;
        if let Some(after) = self.truncate
            && self.offset > after
        {
            body.truncate(after.saturating_sub(begin) as usize);
            end = Some(Break::Reset(Code::INTERNAL_ERROR));
        }
        if let Some(cut) = &mut self.cut
            && let Some(at) = cut.messages.end_of(cut.after, &body)
        {
            body.truncate(at);
            end = Some(cut.how.clone());
        }
        (body, end)
    }
}

fn corrupted(chance: Chance, share: f64, begin: u64, body: Bytes) -> Bytes {
    let end = begin + body.len() as u64;
    let flip = |part: u64| {
        let chance = chance.of(part);
        let bit = chance.of(1).below(BODY_PART * 8);
        let place = (part * BODY_PART + bit / 8, 1 << (bit % 8));
        chance.happens(share).then_some(place)
    };
    let flips: Vec<(u64, u8)> = (begin / BODY_PART..=end.saturating_sub(1) / BODY_PART)
        .filter_map(flip)
        .filter(|(at, _)| (begin..end).contains(at))
        .collect();
    if flips.is_empty() {
        return body;
    }
    let mut body = Vec::from(body);
    for (at, mask) in flips {
        body[(at - begin) as usize] ^= mask;
    }
    body.into()
}

/// Changes a header list. Names on the wire are in lower case, and `host` is `:authority`.
pub(super) fn change(fields: &mut Vec<Field>, change: &HeaderChange) {
    let (name, value) = match change {
        HeaderChange::Add { name, value } | HeaderChange::Set { name, value } => {
            (name, Some(value))
        }
        HeaderChange::Remove { name } => (name, None),
    };
    let name = match name.to_ascii_lowercase() {
        host if host == "host" && fields.iter().any(|field| field.is(":authority")) => {
            ":authority".to_owned()
        }
        name => name,
    };
    let at = fields.iter().position(|field| field.is(&name));
    if !matches!(change, HeaderChange::Add { .. }) {
        fields.retain(|field| !field.is(&name));
    }
    let Some(value) = value else {
        return;
    };
    // A pseudo-header stands before the others, and a changed one where it stood.
    let place = match at {
        Some(at) if !matches!(change, HeaderChange::Add { .. }) => at,
        _ if name.starts_with(':') => 0,
        _ => fields.len(),
    };
    fields.insert(place.min(fields.len()), Field::new(&name, value));
}

/// Tells the length of a body of ours.
pub(super) fn set_length(fields: &mut Vec<Field>, length: usize) {
    let told = HeaderChange::Set {
        name: "content-length".into(),
        value: length.to_string(),
    };
    change(fields, &told);
}
