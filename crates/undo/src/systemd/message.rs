//! D-Bus messages, as far as a service manager is asked: calls with strings, answers with one text.
//!
//! Little-endian throughout. Source: D-Bus specification, "Marshaling" and "Message Protocol".

/// A method call whose arguments are strings.
pub(super) struct Call<'a> {
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) arguments: &'a [&'a str],
}

/// The part of a message of which the length is known before it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    kind: u8,
    body: usize,
    fields: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// With its first text, empty where it has none.
    Answer {
        to: u32,
        text: String,
    },
    Refusal {
        to: u32,
        name: String,
        why: String,
    },
    Other,
}

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const SIGNATURE: u8 = 8;

impl Call<'_> {
    pub(super) fn marshal(&self, serial: u32) -> Vec<u8> {
        let mut body = Vec::new();
        for argument in self.arguments {
            align(&mut body, 4);
            string(&mut body, argument);
        }
        let mut fields = Vec::new();
        for (code, kind, text) in [
            (PATH, b'o', self.path),
            (INTERFACE, b's', self.interface),
            (MEMBER, b's', self.member),
        ] {
            align(&mut fields, 8);
            fields.extend([code, 1, kind, 0]);
            string(&mut fields, text);
        }
        align(&mut fields, 8);
        fields.extend([SIGNATURE, 1, b'g', 0]);
        signature(&mut fields, self.arguments.len());
        let mut message = vec![b'l', METHOD_CALL, 0, 1];
        message.extend(length(&body).to_le_bytes());
        message.extend(serial.to_le_bytes());
        message.extend(length(&fields).to_le_bytes());
        message.extend(fields);
        align(&mut message, 8);
        message.extend(body);
        message
    }
}

impl Head {
    pub(super) const LENGTH: usize = 16;

    pub(super) fn parse(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        let mut cursor = Cursor { bytes, at: 0 };
        if cursor.byte()? != b'l' {
            return None;
        }
        let kind = cursor.byte()?;
        cursor.at = 4;
        let body = usize::try_from(cursor.word()?).ok()?;
        cursor.word()?;
        let fields = usize::try_from(cursor.word()?).ok()?;
        // The specification's own bounds, so that no sum below can overflow.
        (body <= 1 << 27 && fields <= 1 << 26).then_some(Self { kind, body, fields })
    }

    /// Bytes that follow: the fields up to a multiple of eight, and the body.
    pub(super) fn rest(self) -> usize {
        self.fields.next_multiple_of(8) + self.body
    }

    /// `None` when it is not well formed.
    pub(super) fn reply(self, rest: &[u8]) -> Option<Reply> {
        let fields = rest.get(..self.fields)?;
        let body = rest.get(self.fields.next_multiple_of(8)..)?;
        let (mut to, mut name, mut kinds) = (None, String::new(), String::new());
        let mut cursor = Cursor {
            bytes: fields,
            at: 0,
        };
        while cursor.at < fields.len() {
            cursor.align(8);
            let code = cursor.byte()?;
            match cursor.signature()?.as_str() {
                "u" => {
                    cursor.align(4);
                    let word = cursor.word()?;
                    if code == REPLY_SERIAL {
                        to = Some(word);
                    }
                }
                "g" => {
                    let text = cursor.signature()?;
                    if code == SIGNATURE {
                        kinds = text;
                    }
                }
                "s" | "o" => {
                    let text = cursor.string()?;
                    if code == ERROR_NAME {
                        name = text;
                    }
                }
                _ => return None,
            }
        }
        let mut cursor = Cursor { bytes: body, at: 0 };
        let text = match kinds.chars().next() {
            Some('s' | 'o') => cursor.string()?,
            Some('v') if matches!(cursor.signature()?.as_str(), "s" | "o") => cursor.string()?,
            _ => String::new(),
        };
        Some(match (self.kind, to) {
            (METHOD_RETURN, Some(to)) => Reply::Answer { to, text },
            (ERROR, Some(to)) => Reply::Refusal {
                to,
                name,
                why: text,
            },
            _ => Reply::Other,
        })
    }
}

/// Reads what it is given; every reader is `None` beyond the end.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn word(&mut self) -> Option<u32> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(4)?)?;
        self.at += 4;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn string(&mut self) -> Option<String> {
        self.align(4);
        let length = usize::try_from(self.word()?).ok()?;
        self.text(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(self.byte()?);
        self.text(length)
    }

    /// With the zero that ends it.
    fn text(&mut self, length: usize) -> Option<String> {
        let end = self.at.checked_add(length)?;
        let bytes = self.bytes.get(self.at..end)?;
        if self.bytes.get(end) != Some(&0) {
            return None;
        }
        self.at = end + 1;
        String::from_utf8(bytes.to_vec()).ok()
    }
}

fn align(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(length(text.as_bytes()).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

/// Of so many strings.
fn signature(bytes: &mut Vec<u8>, strings: usize) {
    bytes.push(u8::try_from(strings).unwrap_or(u8::MAX));
    bytes.resize(bytes.len() + strings.min(usize::from(u8::MAX)), b's');
    bytes.push(0);
}

/// What we send is far below four gigabytes.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(message: &[u8]) -> Option<Reply> {
        let head = Head::parse(message.get(..16)?.try_into().ok()?)?;
        head.reply(message.get(16..)?)
    }

    /// An answer as systemd writes it: header fields in another order than ours.
    fn answer(kind: u8, body: &[u8], kinds: &[u8]) -> Vec<u8> {
        let mut fields = vec![REPLY_SERIAL, 1, b'u', 0, 7, 0, 0, 0];
        fields.extend([SIGNATURE, 1, b'g', 0, u8::try_from(kinds.len()).unwrap()]);
        fields.extend(kinds);
        fields.push(0);
        align(&mut fields, 8);
        fields.extend([ERROR_NAME, 1, b's', 0]);
        string(&mut fields, "a.b");
        let mut message = vec![b'l', kind, 0, 1];
        message.extend(length(body).to_le_bytes());
        message.extend(3_u32.to_le_bytes());
        message.extend(length(&fields).to_le_bytes());
        message.extend(&fields);
        align(&mut message, 8);
        message.extend(body);
        message
    }

    #[test]
    fn a_path_a_text_in_a_variant_and_a_refusal_are_read() {
        let mut path = Vec::new();
        string(&mut path, "/a");
        let text = "/a".to_owned();
        assert_eq!(
            read(&answer(METHOD_RETURN, &path, b"o")),
            Some(Reply::Answer { to: 7, text })
        );
        let mut variant = vec![1, b's', 0, 0];
        string(&mut variant, "active");
        let text = "active".to_owned();
        assert_eq!(
            read(&answer(METHOD_RETURN, &variant, b"v")),
            Some(Reply::Answer { to: 7, text })
        );
        let mut why = Vec::new();
        string(&mut why, "no");
        let refusal = Reply::Refusal {
            to: 7,
            name: "a.b".into(),
            why: "no".into(),
        };
        assert_eq!(read(&answer(ERROR, &why, b"s")), Some(refusal));
    }

    #[test]
    fn our_own_calls_are_well_formed() {
        let call = Call {
            path: "/a",
            interface: "b.c",
            member: "D",
            arguments: &["e", "four"],
        };
        let message = call.marshal(9);
        let head = Head::parse(message.first_chunk().unwrap()).unwrap();
        assert_eq!(head.rest() + Head::LENGTH, message.len());
        assert_eq!(head.reply(&message[16..]), Some(Reply::Other));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
            let mut message = answer(METHOD_RETURN, &bytes, b"v");
            let _ = read(&message);
            message.truncate(bytes.len());
            let _ = read(&message);
        }
    }
}
