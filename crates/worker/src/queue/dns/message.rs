//! DNS messages (RFC 1035): the one question is read, and an answer to it is written.

use std::net::{Ipv4Addr, Ipv6Addr};

const HEADER: usize = 12;
/// A pointer leads to an earlier place; this many in a row are followed.
const POINTERS: u32 = 16;
const LONGEST_NAME: usize = 255;

const RESPONSE: u8 = 0x80;
const TRUNCATED: u8 = 0x02;
const AUTHORITATIVE: u8 = 0x04;
const RECURSION_AVAILABLE: u8 = 0x80;
const A: u16 = 1;
const AAAA: u16 = 28;
const INTERNET: u16 = 1;

/// A message with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question<'a> {
    pub(super) is_response: bool,
    /// In lower case, the leftmost label first.
    pub(super) name: Vec<Vec<u8>>,
    kind: u16,
    class: u16,
    header: [u8; HEADER],
    /// As it was asked.
    bytes: &'a [u8],
}

impl<'a> Question<'a> {
    /// `None` for what is no standard query with one question, or its answer.
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let header: [u8; HEADER] = *message.first_chunk()?;
        let [_, _, flags, _, 0, 1, ..] = header else {
            return None;
        };
        // The opcode of a standard query is 0.
        if flags & 0x78 != 0 {
            return None;
        }
        let (name, after) = name(message)?;
        let kind = u16::from_be_bytes(*message.get(after..)?.first_chunk()?);
        let class = u16::from_be_bytes(*message.get(after + 2..)?.first_chunk()?);
        Some(Self {
            is_response: flags & RESPONSE != 0,
            name,
            kind,
            class,
            header,
            bytes: message.get(HEADER..after + 4)?,
        })
    }

    /// The answer that there is none, for this reason.
    pub(super) fn refusal(&self, code: u8) -> Option<Vec<u8>> {
        self.reply(code, &[])
    }

    /// The answer that these are the addresses. EDNS is left out, as by a server that does not know
    /// it (RFC 6891, section 7).
    pub(super) fn answer(&self, v4: &[Ipv4Addr], v6: &[Ipv6Addr], ttl: u32) -> Option<Vec<u8>> {
        let addresses: Vec<Vec<u8>> = match self.kind {
            _ if self.class != INTERNET => Vec::new(),
            A => v4.iter().map(|address| address.octets().into()).collect(),
            AAAA => v6.iter().map(|address| address.octets().into()).collect(),
            _ => Vec::new(),
        };
        let records: Vec<Vec<u8>> = addresses
            .iter()
            .map(|address| {
                // The name is that of the question, by a pointer to it.
                let mut record = vec![0xc0, HEADER as u8];
                record.extend(self.kind.to_be_bytes());
                record.extend(self.class.to_be_bytes());
                record.extend(ttl.to_be_bytes());
                record.extend((address.len() as u16).to_be_bytes());
                record.extend(address);
                record
            })
            .collect();
        self.reply(0, &records)
    }

    /// The id and what was asked stay as they were.
    fn reply(&self, code: u8, records: &[Vec<u8>]) -> Option<Vec<u8>> {
        let [id_high, id_low, flags, _, ..] = self.header;
        let flags = (flags | RESPONSE) & !(TRUNCATED | AUTHORITATIVE);
        let [count_high, count_low] = u16::try_from(records.len()).ok()?.to_be_bytes();
        let mut message = vec![id_high, id_low, flags, RECURSION_AVAILABLE | code];
        message.extend([0, 1, count_high, count_low, 0, 0, 0, 0]);
        message.extend(self.bytes);
        message.extend(records.iter().flatten());
        Some(message)
    }
}

/// The name of the first question, and where what follows it begins.
fn name(message: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    let mut after = None;
    let mut length = 1;
    let mut pointers = 0;
    loop {
        let size = *message.get(at)?;
        match size {
            0 => return Some((labels, after.unwrap_or(at + 1))),
            1..=63 => {
                let label = message.get(at + 1..at + 1 + usize::from(size))?;
                length += label.len() + 1;
                if length > LONGEST_NAME {
                    return None;
                }
                labels.push(label.to_ascii_lowercase());
                at += 1 + usize::from(size);
            }
            0xc0.. => {
                let low = *message.get(at + 1)?;
                let target = usize::from(u16::from_be_bytes([size & 0x3f, low]));
                pointers += 1;
                if target >= at || pointers > POINTERS {
                    return None;
                }
                after = after.or(Some(at + 2));
                at = target;
            }
            _ => return None,
        }
    }
}
