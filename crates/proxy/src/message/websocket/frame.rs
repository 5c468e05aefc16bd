//! How frames begin (RFC 6455, 5.2).

/// Bytes of the longest beginning.
pub(super) const HEADER_MOST: usize = 14;

/// The most that a control frame carries.
const CONTROL_MOST: u64 = 125;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const CLOSE: u8 = 0x8;

/// What a frame says of itself before its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of this beginning.
    pub(super) size: usize,
    /// Bytes of the payload.
    pub(super) length: u64,
    pub(super) opcode: Opcode,
    /// Its message ends with it.
    pub(super) is_last: bool,
    mask: Option<[u8; 4]>,
    /// With the bits that extensions have a meaning for.
    first: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    /// Close, ping or pong; between the frames of a message, too.
    Control,
}

/// Bytes that no frame begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoFrame;

impl Header {
    /// The one that these bytes begin with; none if they are too few.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, NoFrame> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = match first & 0x0f {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            CLOSE..=0xa => Opcode::Control,
            _ => return Err(NoFrame),
        };
        let is_last = first & FIN != 0;
        let (length, wide) = match second & !MASKED {
            126 => (number(rest, 2), 2),
            127 => (number(rest, 8), 8),
            short => (Some(u64::from(short)), 0),
        };
        if opcode == Opcode::Control && (!is_last || wide > 0) {
            return Err(NoFrame);
        }
        let Some(length) = length else {
            return Ok(None);
        };
        // The highest bit is none of the length.
        if length > i64::MAX as u64 {
            return Err(NoFrame);
        }
        let mask = match second & MASKED {
            0 => None,
            _ => match rest.get(wide..wide + 4) {
                Some(mask) => mask.try_into().ok(),
                None => return Ok(None),
            },
        };
        Ok(Some(Self {
            size: 2 + wide + mask.map_or(0, |mask: [u8; 4]| mask.len()),
            length,
            opcode,
            is_last,
            mask,
            first: *first,
        }))
    }

    /// The beginning of one that is shorter, and the last of its message.
    pub(super) fn cut(&self, length: u64) -> Vec<u8> {
        written(self.first | FIN, length, self.mask)
    }
}

/// A whole frame that says why the connection ends; a client's is masked.
pub(super) fn close(code: u16, reason: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    payload.truncate(CONTROL_MOST as usize);
    let mut frame = written(FIN | CLOSE, payload.len() as u64, mask);
    let mask = mask.unwrap_or_default();
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

fn written(first: u8, length: u64, mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { MASKED } else { 0 };
    let mut header = Vec::with_capacity(HEADER_MOST);
    header.push(first);
    match length {
        0..=125 => header.push(masked | length as u8),
        126..=0xffff => {
            header.push(masked | 126);
            header.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            header.push(masked | 127);
            header.extend_from_slice(&length.to_be_bytes());
        }
    }
    header.extend(mask.into_iter().flatten());
    header
}

/// The number in so many bytes, the highest first.
fn number(bytes: &[u8], width: usize) -> Option<u64> {
    let digits = bytes.get(..width)?;
    Some(
        digits
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            length in prop_oneof![0_u64..200, 60_000_u64..70_000, any::<u64>().prop_map(|n| n >> 1)],
            mask: Option<[u8; 4]>,
            rsv in 0_u8..8,
        ) {
            let bytes = written(FIN | rsv << 4 | 2, length, mask);
            let header = Header::read(&bytes).unwrap().unwrap();
            prop_assert_eq!((header.length, header.size), (length, bytes.len()));
            prop_assert_eq!((header.opcode, header.is_last), (Opcode::Binary, true));
            prop_assert!(bytes.len() <= HEADER_MOST);
            prop_assert_eq!(header.cut(length), bytes.clone());
            for part in 0..bytes.len() {
                prop_assert_eq!(Header::read(&bytes[..part]), Ok(None));
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_told() {
        let frames: [&[u8]; 5] = [
            b"\x83\x00",
            b"\x8b\x00",
            b"\x09\x00",
            b"\x89\x7e\x00\x7e",
            b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
        ];
        for frame in frames {
            assert_eq!(Header::read(frame), Err(NoFrame), "{frame:?}");
        }
    }

    #[test]
    fn a_close_says_why_in_at_most_125_bytes() {
        assert_eq!(close(1001, "bye", None), b"\x88\x05\x03\xe9bye");
        let masked = close(1001, "bye", Some([1, 2, 3, 4]));
        assert_eq!(masked, b"\x88\x85\x01\x02\x03\x04\x02\xeba}d");
        assert_eq!(close(1001, &"x".repeat(200), None).len(), 127);
    }
}
