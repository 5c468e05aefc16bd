//! An HTTP/1.1 answer (RFC 9112), read whole and within bounds.

use std::io::{self, Read};

/// A status and its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Why there is no answer, or none that can be read.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("the connection failed")]
    Read(#[source] io::Error),
    #[error("{0}")]
    Malformed(String),
}

/// How the end of a body is told (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Empty,
    Length(usize),
    Chunked,
    UntilClose,
}

/// Bytes that have arrived, and where more come from.
struct Source<'a, R> {
    reader: &'a mut R,
    buffer: Vec<u8>,
}

/// Engines send below 1 KiB of headers.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// About 1 KiB per container in a list: room for some ten thousand containers.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A chunk's size in hexadecimal, its extensions and the end of the line.
const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// Interim answers (1xx) before the real one.
const INTERIM_MAX: usize = 4;
const READ_BYTES: usize = 16 * 1024;

impl Answer {
    /// Reads one, and nothing behind it: at most 16 KiB of head and 16 MiB of body. How long that may
    /// take is the reader's to say.
    ///
    /// # Errors
    /// When the reader fails, or what it gives is no answer within these bounds.
    pub fn read(reader: &mut impl Read) -> Result<Self, AnswerError> {
        let mut source = Source {
            reader,
            buffer: Vec::new(),
        };
        for _ in 0..=INTERIM_MAX {
            let (status, framing) = source.head()?;
            if (100..200).contains(&status) {
                continue;
            }
            let body = match framing {
                Framing::Empty => Vec::new(),
                Framing::Length(length) => source.exactly(length)?,
                Framing::Chunked => source.chunks()?,
                Framing::UntilClose => source.rest()?,
            };
            return Ok(Self { status, body });
        }
        Err(malformed("too many interim answers"))
    }
}

impl<R: Read> Source<'_, R> {
    /// Reads once more; `false` at the end of the stream.
    fn more(&mut self) -> Result<bool, AnswerError> {
        let mut bytes = [0_u8; READ_BYTES];
        loop {
            match self.reader.read(&mut bytes) {
                Ok(length) => {
                    self.buffer.extend(bytes.iter().take(length));
                    return Ok(length > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(AnswerError::Read(error)),
            }
        }
    }

    fn more_or_cut(&mut self, of: &str) -> Result<(), AnswerError> {
        match self.more()? {
            true => Ok(()),
            false => Err(malformed(&format!("it ends within its {of}"))),
        }
    }

    fn head(&mut self) -> Result<(u16, Framing), AnswerError> {
        loop {
            if let Some((length, status, framing)) = parse_head(&self.buffer)? {
                self.take(length);
                return Ok((status, framing));
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(malformed("its head is too long"));
            }
            self.more_or_cut("head")?;
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, AnswerError> {
        if length > BODY_BYTES_MAX {
            return Err(too_large());
        }
        while self.buffer.len() < length {
            self.more_or_cut("body")?;
        }
        Ok(self.take(length))
    }

    fn rest(&mut self) -> Result<Vec<u8>, AnswerError> {
        while self.more()? {
            if self.buffer.len() > BODY_BYTES_MAX {
                return Err(too_large());
            }
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Trailers are left unread: the connection ends with this answer.
    fn chunks(&mut self) -> Result<Vec<u8>, AnswerError> {
        let mut body = Vec::new();
        loop {
            let size = self.chunk_size()?;
            if size == 0 {
                return Ok(body);
            }
            if size > BODY_BYTES_MAX - body.len() {
                return Err(too_large());
            }
            body.append(&mut self.exactly(size)?);
            if self.exactly(2)? != b"\r\n" {
                return Err(malformed("a chunk does not end where it says"));
            }
        }
    }

    fn chunk_size(&mut self) -> Result<usize, AnswerError> {
        loop {
            match httparse::parse_chunk_size(&self.buffer) {
                Ok(httparse::Status::Complete((length, size))) => {
                    self.take(length);
                    return usize::try_from(size).map_err(|_| too_large());
                }
                Ok(httparse::Status::Partial) if self.buffer.len() < CHUNK_LINE_BYTES_MAX => {
                    self.more_or_cut("chunks")?;
                }
                _ => return Err(malformed("a chunk has no readable size")),
            }
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }
}

/// The length of the head, the status and the framing; `None` while the head is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, u16, Framing)>, AnswerError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(malformed(&format!("it is not HTTP ({error})"))),
    };
    let status = response.code.ok_or_else(|| malformed("it has no status"))?;
    let framing = framing(status, response.headers)?;
    Ok(Some((length, status, framing)))
}

fn framing(status: u16, headers: &[httparse::Header<'_>]) -> Result<Framing, AnswerError> {
    if (100..200).contains(&status) || status == 204 || status == 304 {
        return Ok(Framing::Empty);
    }
    let mut framing = Framing::UntilClose;
    for header in headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if !header.value.eq_ignore_ascii_case(b"chunked") {
                return Err(malformed("its transfer encoding is unknown"));
            }
            // A length beside chunks is to be ignored (RFC 9112, section 6.3).
            return Ok(Framing::Chunked);
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value)
                .ok()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|text| text.parse().ok())
                .map(Framing::Length)
                .ok_or_else(|| malformed("its length is not a number"))?;
            if framing != Framing::UntilClose && framing != length {
                return Err(malformed("it has two lengths"));
            }
            framing = length;
        }
    }
    Ok(framing)
}

fn malformed(problem: &str) -> AnswerError {
    AnswerError::Malformed(problem.to_owned())
}

fn too_large() -> AnswerError {
    AnswerError::Malformed(format!("its body is larger than {BODY_BYTES_MAX} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives one byte per read, as the worst of peers would.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let few = buffer.len().min(1);
            self.0.read(&mut buffer[..few])
        }
    }

    fn read(bytes: &[u8]) -> Result<Answer, String> {
        let whole = Answer::read(&mut &bytes[..]);
        let trickled = Answer::read(&mut Trickle(bytes));
        let text = |error| match error {
            AnswerError::Malformed(problem) => problem,
            AnswerError::Read(error) => panic!("reading a slice failed: {error}"),
        };
        let (whole, trickled) = (whole.map_err(text), trickled.map_err(text));
        assert_eq!(whole, trickled, "how the bytes arrive must not matter");
        whole
    }

    fn body(bytes: &[u8]) -> String {
        String::from_utf8(read(bytes).unwrap().body).unwrap()
    }

    #[test]
    fn a_body_ends_by_length_by_chunks_or_with_the_connection() {
        assert_eq!(
            body(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"),
            "abc"
        );
        assert_eq!(body(b"HTTP/1.1 200 OK\r\n\r\nabcdef"), "abcdef");
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n3;x=y\r\nabc\r\nB\r\ndefghijklmn\r\n0\r\nTrailer: x\r\n\r\n";
        assert_eq!(body(chunks), "abcdefghijklmn");
    }

    #[test]
    fn an_answer_without_content_does_not_wait_for_any() {
        for status in [204, 304] {
            let bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
            let answer = read(bytes.as_bytes()).unwrap();
            assert_eq!((answer.status, answer.body.len()), (status, 0));
        }
    }

    #[test]
    fn interim_answers_are_skipped_and_not_for_ever() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\n";
        let last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(
            read(format!("{interim}{last}").as_bytes()).unwrap().status,
            200
        );
        let many = interim.repeat(INTERIM_MAX + 1) + last;
        assert_eq!(
            read(many.as_bytes()),
            Err("too many interim answers".into())
        );
    }

    #[test]
    fn what_is_cut_or_contradicts_itself_is_refused() {
        for bytes in [
            &b""[..],
            b"HTTP/1.1 200",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        ] {
            let text = String::from_utf8_lossy(bytes);
            assert!(read(bytes).is_err(), "was accepted: {text}");
        }
    }

    #[test]
    fn sizes_beyond_the_limits_are_refused_before_they_are_read() {
        let large = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
        assert_eq!(
            read(large.as_bytes()),
            Err("its body is larger than 16777216 bytes".into())
        );
        let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n";
        assert!(read(chunk.as_bytes()).is_err());
        let head = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(2 * HEAD_BYTES_MAX));
        assert_eq!(read(head.as_bytes()), Err("its head is too long".into()));
        let endless = Answer::read(&mut b"HTTP/1.1 200 OK\r\n\r\n".chain(io::repeat(b'x')));
        assert!(matches!(endless, Err(AnswerError::Malformed(_))));
    }

    const REAL: &[u8] = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n{\"Id\":\"0123abcd\"}\r\n0\r\n\r\n";

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let _ = read(&bytes);
        }

        #[test]
        fn random_bytes_after_a_good_head_never_panic(
            chunked in any::<bool>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..512),
        ) {
            let framing = if chunked { "Transfer-Encoding: chunked" } else { "X: y" };
            let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
            let answer = read(&[head.as_bytes(), &bytes].concat());
            prop_assert!(chunked || answer.unwrap().body == bytes);
        }

        #[test]
        fn a_real_answer_with_changed_bytes_never_panics(
            changes in proptest::collection::vec((0..REAL.len(), any::<u8>()), 1..6),
            length in 0..=REAL.len(),
        ) {
            let mut bytes = REAL.to_vec();
            for (at, byte) in changes {
                bytes[at] = byte;
            }
            let _ = read(&bytes[..length]);
        }
    }
}
