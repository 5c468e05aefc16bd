//! Messages of PostgreSQL's protocol, version 3: a letter, a length, and what it is about.

use crate::message::PostgresError;
use crate::message::wire::{HEAD_MOST, Shape};

/// A message is never longer.
const WHOLE_MOST: u32 = 1 << 30;

/// A connection says less than this when it begins.
const STARTUP_MOST: u32 = 10_000;

/// What is looked at of names.
const NAMES_MOST: u64 = 1 << 10;

/// What a connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Startup {
    /// May the connection be secured? One byte answers.
    Secure,
    /// A session that is served statements.
    Session,
    /// Something else, which ends with the connection.
    Other,
}

pub(super) fn startup_shape(bytes: &[u8]) -> Shape<u64> {
    let (Some(length), code) = (word(bytes, 0), word(bytes, 4)) else {
        return Shape::Unknown;
    };
    if !(8..=STARTUP_MOST).contains(&length) {
        return Shape::Garbage;
    }
    match code {
        None => Shape::Unknown,
        Some(code) if code >> 16 == 3 || code >> 16 == 1234 => {
            Shape::of_length(length.into(), length.into(), ())
        }
        Some(_) => Shape::Garbage,
    }
}

pub(super) fn startup(message: &[u8]) -> Startup {
    match word(message, 4) {
        Some(80_877_103 | 80_877_104) => Startup::Secure,
        Some(code) if code >> 16 == 3 && !replicates(&message[8..]) => Startup::Session,
        _ => Startup::Other,
    }
}

/// Whether the connection is one of replication.
fn replicates(mut pairs: &[u8]) -> bool {
    while let Some((name, rest)) = string(pairs)
        && let Some((value, rest)) = string(rest)
    {
        let is_off = [&b"false"[..], b"off", b"no", b"0"].contains(&value);
        if name == b"replication" && !is_off {
            return true;
        }
        pairs = rest;
    }
    false
}

pub(super) fn client_shape(bytes: &[u8]) -> Shape<u64> {
    shape(bytes, |kind| match kind {
        b'Q' | b'P' => Some(HEAD_MOST as u64),
        b'B' | b'E' | b'C' => Some(NAMES_MOST),
        b'D' | b'S' | b'H' | b'X' | b'd' | b'c' | b'f' | b'F' | b'p' => Some(5),
        _ => None,
    })
}

pub(super) fn server_shape(bytes: &[u8]) -> Shape<u64> {
    shape(bytes, |kind| match kind {
        b'R' => Some(9),
        b'Z' => Some(6),
        _ if b"KSvN123tTDCEAnIsGHWdcV".contains(&kind) => Some(5),
        _ => None,
    })
}

/// `looked_at` says how much of a message of this kind is.
fn shape(bytes: &[u8], looked_at: impl Fn(u8) -> Option<u64>) -> Shape<u64> {
    let Some(kind) = bytes.first() else {
        return Shape::Unknown;
    };
    // A letter that is none is told at once.
    let Some(looked_at) = looked_at(*kind) else {
        return Shape::Garbage;
    };
    match word(bytes, 1) {
        None => Shape::Unknown,
        Some(length @ 4..=WHOLE_MOST) => Shape::of_length(1 + u64::from(length), looked_at, ()),
        Some(_) => Shape::Garbage,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four))
}

/// A string, and what is behind it.
pub(super) fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// A text, of which the end may be missing.
pub(super) fn text(bytes: &[u8]) -> &[u8] {
    string(bytes).map_or(bytes, |(text, _)| text)
}

/// A message of this kind and content.
pub(super) fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).unwrap_or(u32::MAX);
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(content);
    bytes
}

pub(super) fn error(severity: &str, error: &PostgresError) -> Vec<u8> {
    let mut content = Vec::new();
    let fields: [(u8, &[u8]); 4] = [
        (b'S', severity.as_bytes()),
        (b'V', severity.as_bytes()),
        (b'C', error.state.bytes()),
        (b'M', error.message.as_bytes()),
    ];
    for (kind, text) in fields {
        content.push(kind);
        // The end of a field is a zero.
        content.extend(text.iter().filter(|byte| **byte != 0));
        content.push(0);
    }
    content.push(0);
    message(b'E', &content)
}
