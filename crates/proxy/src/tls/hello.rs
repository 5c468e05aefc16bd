//! What a client says before anything is encrypted: the name it wants, and the protocols it speaks.
//! Pure: it is given the first bytes of a connection, and told more each time there are more.

use std::borrow::Cow;

/// Bytes within which a ClientHello has to be complete, with the headers of its records.
pub const LIMIT: usize = 16 << 10;

/// What a ClientHello says that matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// In lower case.
    pub name: Option<String>,
    /// The client's order.
    pub alpn: Vec<Vec<u8>>,
}

/// Why these bytes are not, and will not be, a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAHello {
    #[error("it does not begin as TLS does")]
    NotTls,
    #[error("it is not complete within {LIMIT} bytes")]
    TooLong,
    #[error("its parts do not fit into each other")]
    Malformed,
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER: usize = 5;
const MESSAGE_HEADER: usize = 4;
/// What a record holds at most (RFC 8446, 5.1).
const RECORD_MAX: usize = 1 << 14;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
/// Bytes of a name in DNS, at most.
const NAME_MAX: usize = 253;

/// The ClientHello that these bytes begin with; none while it is not complete.
///
/// # Errors
/// When no more bytes can make it one.
pub fn read(bytes: &[u8]) -> Result<Option<Hello>, NotAHello> {
    match message(bytes)? {
        Some(message) => hello(&message).map(Some).ok_or(NotAHello::Malformed),
        None if bytes.len() >= LIMIT => Err(NotAHello::TooLong),
        None => Ok(None),
    }
}

/// The body of the first handshake message, from as many records as it lies in.
fn message(bytes: &[u8]) -> Result<Option<Cow<'_, [u8]>>, NotAHello> {
    let mut whole: Cow<'_, [u8]> = Cow::default();
    let mut rest = bytes;
    loop {
        // Looked at before the record is complete: who speaks something else may wait for an answer.
        let begins = rest.first().is_none_or(|kind| *kind == HANDSHAKE)
            && rest.get(1).is_none_or(|major| *major == 3);
        if !begins {
            return Err(NotAHello::NotTls);
        }
        let Some(header) = rest.get(..RECORD_HEADER) else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if length == 0 || length > RECORD_MAX {
            return Err(NotAHello::NotTls);
        }
        let there = &rest[RECORD_HEADER..];
        let record = &there[..length.min(there.len())];
        if whole.is_empty() {
            whole = Cow::Borrowed(record);
        } else {
            whole.to_mut().extend_from_slice(record);
        }
        if whole.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(NotAHello::NotTls);
        }
        if let Some(&[_, high, middle, low]) = whole.first_chunk::<MESSAGE_HEADER>() {
            let end = MESSAGE_HEADER + u32::from_be_bytes([0, high, middle, low]) as usize;
            if end > LIMIT {
                return Err(NotAHello::TooLong);
            }
            if whole.len() >= end {
                return Ok(Some(match whole {
                    Cow::Borrowed(whole) => Cow::Borrowed(&whole[MESSAGE_HEADER..end]),
                    Cow::Owned(whole) => Cow::Owned(whole[MESSAGE_HEADER..end].to_vec()),
                }));
            }
        }
        if there.len() < length {
            return Ok(None);
        }
        rest = &there[length..];
    }
}

/// RFC 8446, 4.1.2. Every length has to fit, and nothing may be left over.
fn hello(message: &[u8]) -> Option<Hello> {
    let mut fields = Fields(message);
    let _version = fields.take(2)?;
    let _random = fields.take(32)?;
    let _session = fields.of_length::<1>()?;
    let _suites = fields.of_length::<2>()?;
    let _compression = fields.of_length::<1>()?;
    let mut hello = Hello::default();
    if fields.is_empty() {
        // TLS 1.0 knows no extensions.
        return Some(hello);
    }
    let mut extensions = Fields(fields.of_length::<2>()?);
    let mut seen = [false; 2];
    while !extensions.is_empty() {
        let kind = extensions.number()?;
        let mut body = Fields(extensions.of_length::<2>()?);
        let first = |seen: &mut bool| (!std::mem::replace(seen, true)).then_some(());
        match kind {
            SERVER_NAME => {
                first(&mut seen[0])?;
                hello.name = server_name(body.of_length::<2>()?)?;
            }
            ALPN => {
                first(&mut seen[1])?;
                hello.alpn = protocols(body.of_length::<2>()?)?;
            }
            _ => continue,
        }
        if !body.is_empty() {
            return None;
        }
    }
    fields.is_empty().then_some(hello)
}

/// RFC 6066, 3: a list, of which nothing but one host name was ever defined.
fn server_name(list: &[u8]) -> Option<Option<String>> {
    let mut list = Fields(list);
    let mut name = None;
    while !list.is_empty() {
        let kind = list.take(1)?;
        let value = list.of_length::<2>()?;
        if kind == [0] && name.replace(host_name(value)?).is_some() {
            return None;
        }
    }
    Some(name)
}

fn host_name(value: &[u8]) -> Option<String> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let is_name = (1..=NAME_MAX).contains(&value.len()) && value.iter().all(fits);
    let text = is_name.then(|| std::str::from_utf8(value).ok()).flatten()?;
    Some(text.to_ascii_lowercase())
}

fn protocols(list: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut list = Fields(list);
    let mut all = Vec::new();
    while !list.is_empty() {
        let name = list.of_length::<1>()?;
        if name.is_empty() {
            return None;
        }
        all.push(name.to_vec());
    }
    Some(all)
}

/// What has not been read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// What stands behind its length, a number of so many bytes.
    fn of_length<const WIDTH: usize>(&mut self) -> Option<&'a [u8]> {
        let length = self.take(WIDTH)?;
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        self.take(length)
    }
}

#[cfg(test)]
mod tests;
