//! What faults do to one direction of a stream: to its headers and to its body.

use bytes::Bytes;

use super::error::Code;
use super::hpack::Field;
use crate::chance::Chance;
use crate::message::grpc::Messages;
use crate::message::http::corruption::corrupt;
use crate::message::http::{BodyChange, HeaderChange, decision};

/// Everything that is changed. What is decided for a place in the body does not depend on how it
/// came.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) headers: Vec<HeaderChange>,
    /// With where its draws come from.
    pub(super) body: Option<(BodyChange, Chance)>,
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
    pub(super) fn new(decided: decision::Changes, cut: Option<Cut>) -> Self {
        Self {
            headers: decided.headers,
            body: decided.body,
            cut,
            offset: 0,
        }
    }

    pub(super) fn leaves_body(&self) -> bool {
        self.body.is_none() && self.cut.is_none()
    }

    /// What stands in the body's place.
    pub(super) fn replaced(&self) -> Option<Bytes> {
        match &self.body {
            Some((BodyChange::Replace(body), _)) => Some(body.clone()),
            _ => None,
        }
    }

    /// What goes on of the next part of a body, and whether it breaks off there.
    pub(super) fn apply(&mut self, mut body: Bytes) -> (Bytes, Option<Break>) {
        let begin = self.offset;
        self.offset += body.len() as u64;
        let mut end = None;
        match &self.body {
            Some((BodyChange::Corrupt { share }, chance)) => {
                let mut bytes = Vec::from(body);
                corrupt(&mut bytes, begin, *share, *chance);
                body = bytes.into();
            }
            Some((BodyChange::Truncate { after }, _)) if self.offset > *after => {
                body.truncate(after.saturating_sub(begin) as usize);
                end = Some(Break::Reset(Code::INTERNAL_ERROR));
            }
            _ => {}
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
