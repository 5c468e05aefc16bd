//! Packets: three bytes of length, a number that begins at 0 for each command, and a content.

use crate::message::MysqlError;
use crate::message::wire::{HEAD_MOST, Shape};

/// A packet this long is not the last of what it is part of.
pub(super) const FULL: u64 = 0xff_ffff;

/// What is looked at of a packet that is no statement.
const LOOK: u64 = 24;

/// What is looked at of a greeting, and of its answer.
const GREETING: u64 = 256;

pub(super) fn of_statements(bytes: &[u8]) -> Shape<u64> {
    // 3: a query, 22: one to prepare.
    let Some(length) = length(bytes) else {
        return Shape::Unknown;
    };
    match bytes.get(4) {
        None if length > 0 => Shape::Unknown,
        Some(3 | 22) => shape(length, HEAD_MOST as u64),
        _ => shape(length, LOOK),
    }
}

pub(super) fn of_greetings(bytes: &[u8]) -> Shape<u64> {
    length(bytes).map_or(Shape::Unknown, |length| shape(length, GREETING))
}

pub(super) fn of_replies(bytes: &[u8]) -> Shape<u64> {
    length(bytes).map_or(Shape::Unknown, |length| shape(length, LOOK))
}

fn shape(length: u64, look: u64) -> Shape<u64> {
    Shape::of_length(4 + length, 4 + look, ())
}

/// The length of the content of the packet that begins here.
pub(super) fn length(bytes: &[u8]) -> Option<u64> {
    let [one, two, three, _] = *bytes.first_chunk::<4>()?;
    Some(u64::from(u32::from_le_bytes([one, two, three, 0])))
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(two))
}

pub(super) fn double_word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(four))
}

/// A number that says how long it is, and its length.
pub(super) fn number(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = match first {
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        0xfb | 0xff => return None,
        small => return Some((small.into(), 1)),
    };
    let mut all = [0; 8];
    all[..length].copy_from_slice(bytes.get(1..=length)?);
    Some((u64::from_le_bytes(all), length + 1))
}

pub(super) fn error(number: u8, error: &MysqlError) -> Vec<u8> {
    let mut content = vec![0xff];
    content.extend_from_slice(&error.code.to_le_bytes());
    content.push(b'#');
    content.extend_from_slice(error.state.bytes());
    // The server's own are shorter, too.
    content.extend(error.message.bytes().take(512));
    let mut bytes = (content.len() as u32).to_le_bytes()[..3].to_vec();
    bytes.push(number);
    bytes.extend(content);
    bytes
}
