//! Where a body ends (RFC 9112, sections 6 and 7).

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    Chunked(Chunked),
    /// All that comes.
    UntilEnd,
}

/// Where in a chunked body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunked {
    at: At,
    /// Bytes of the line, or of the trailers.
    line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the digits of a size; none yet in the first of these.
    SizeBegins,
    Size(u64),
    /// Behind a size, up to the end of its line.
    Extension(u64),
    SizeLineFeed(u64),
    Data(u64),
    DataReturn,
    DataLineFeed,
    /// At the beginning of a line of the trailers.
    Trailer,
    InTrailer,
    TrailerLineFeed,
    LastLineFeed,
    Over,
}

/// The next bytes of a body: so many, of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    Data(usize),
    Framing(usize),
}

/// A body that says of itself what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Bytes of a line with a size, and of all trailers together.
const LINE_MOST: usize = 8 << 10;

/// A size has so many digits at most: 2^60 bytes is more than anyone sends.
const SIZE_MOST: u64 = 1 << 60;

impl Body {
    pub(super) const CHUNKED: Self = Self::Chunked(Chunked {
        at: At::SizeBegins,
        line: 0,
    });

    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.at == At::Over,
            Self::UntilEnd => false,
        }
    }

    /// What the first of these bytes are; at least one, of a body that is not over.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<Run, Malformed> {
        match self {
            Self::Length(left) => {
                let length = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= length as u64;
                Ok(Run::Data(length))
            }
            Self::Chunked(chunked) => chunked.next(bytes),
            Self::UntilEnd => Ok(Run::Data(bytes.len())),
        }
    }
}

impl Chunked {
    fn next(&mut self, bytes: &[u8]) -> Result<Run, Malformed> {
        if let At::Data(left) = &mut self.at {
            let length = bytes
                .len()
                .min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= length as u64;
            if *left == 0 {
                self.at = At::DataReturn;
            }
            return Ok(Run::Data(length));
        }
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(self.at, At::Data(_) | At::Over) {
                return Ok(Run::Framing(at));
            }
            self.at = self.step(*byte)?;
        }
        Ok(Run::Framing(bytes.len()))
    }

    fn step(&mut self, byte: u8) -> Result<At, Malformed> {
        self.line += 1;
        if self.line > LINE_MOST {
            return Err(Malformed);
        }
        let digit = char::from(byte).to_digit(16).map(u64::from);
        match (self.at, byte, digit) {
            (At::SizeBegins, _, Some(digit)) => Ok(At::Size(digit)),
            (At::Size(size), _, Some(digit)) if size < SIZE_MOST >> 4 => {
                Ok(At::Size(size << 4 | digit))
            }
            (At::Size(size), b'\r', _) => Ok(At::SizeLineFeed(size)),
            (At::Size(size), b';' | b' ' | b'\t', _) => Ok(At::Extension(size)),
            (At::Extension(size), b'\r', _) => Ok(At::SizeLineFeed(size)),
            // A line feed alone ends a line for some and not for others.
            (At::Extension(_), b'\n', _) => Err(Malformed),
            (At::Extension(size), _, _) => Ok(At::Extension(size)),
            (At::SizeLineFeed(0), b'\n', _) => Ok(At::Trailer),
            (At::SizeLineFeed(size), b'\n', _) => {
                self.line = 0;
                Ok(At::Data(size))
            }
            (At::DataReturn, b'\r', _) => Ok(At::DataLineFeed),
            (At::DataLineFeed, b'\n', _) => Ok(At::SizeBegins),
            (At::Trailer, b'\r', _) => Ok(At::LastLineFeed),
            (At::Trailer | At::InTrailer, b'\n', _) => Err(Malformed),
            (At::InTrailer, b'\r', _) => Ok(At::TrailerLineFeed),
            (At::Trailer | At::InTrailer, _, _) => Ok(At::InTrailer),
            (At::TrailerLineFeed, b'\n', _) => Ok(At::Trailer),
            (At::LastLineFeed, b'\n', _) => Ok(At::Over),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The data of a chunked body that comes in parts of this size, and the bytes behind it.
    fn read(whole: &[u8], size: usize) -> Result<(Vec<u8>, usize), Malformed> {
        let mut body = Body::CHUNKED;
        let (mut data, mut used) = (Vec::new(), 0);
        for part in whole.chunks(size) {
            let mut at = 0;
            while at < part.len() && !body.is_over() {
                match body.next(&part[at..])? {
                    Run::Data(length) => {
                        data.extend_from_slice(&part[at..at + length]);
                        at += length;
                    }
                    Run::Framing(length) => at += length,
                }
            }
            used += at;
        }
        Ok((data, used))
    }

    #[test]
    fn chunks_are_put_together_however_they_come() {
        let whole = b"4\r\nWiki\r\n5;name=\"x\"\r\npedia\r\n0\r\nTrailer: 1\r\n\r\nGET";
        for size in 1..whole.len() {
            let (data, used) = read(whole, size).unwrap();
            assert_eq!(data, b"Wikipedia");
            assert_eq!(&whole[used..], b"GET");
        }
    }

    #[test]
    fn what_two_readers_may_read_differently_is_refused() {
        let bodies: [&[u8]; 9] = [
            b"\r\nx",
            b"0x4\r\nWiki\r\n",
            b"4\nWiki\r\n",
            b"4\r\nWikix\r\n",
            b"-1\r\n",
            b"4;a\nb\r\nWiki\r\n",
            b"ffffffffffffffffff\r\n",
            b"0\r\nTrailer: 1\n\r\n",
            b"+4\r\nWiki\r\n",
        ];
        for body in bodies {
            assert_eq!(read(body, body.len()), Err(Malformed), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_parts_are_read_alike(
            bytes in proptest::collection::vec(prop_oneof![Just(b'0'), Just(b'2'), Just(b'\r'), Just(b'\n'), Just(b';'), any::<u8>()], 0..60),
            size in 1_usize..9,
        ) {
            prop_assert_eq!(read(&bytes, 60), read(&bytes, size));
        }
    }
}
