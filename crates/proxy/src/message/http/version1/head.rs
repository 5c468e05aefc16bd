//! The beginning of a message (RFC 9112, sections 2 to 6), read strictly: what two readers may read
//! differently is how requests are smuggled.

use std::mem::MaybeUninit;

use memchr::memmem;

use super::body::Body;

/// Bytes of a request's or answer's beginning.
pub(super) const HEAD_MOST: usize = 64 << 10;

/// Headers of a message.
const HEADERS_MOST: usize = 128;

/// A head that is whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) bytes: &'a [u8],
}

/// Why a message is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It cannot be read, or in more than one way.
    Malformed,
    TooLarge,
    /// A way of ending the body that nobody here knows.
    UnknownCoding,
}

/// What is to be known of a request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a [u8],
    pub(super) path: &'a [u8],
    pub(super) body: Body,
    /// Whether other bytes than HTTP may follow.
    pub(super) may_become_other: bool,
    /// Whether these are to be a WebSocket's.
    pub(super) may_become_web_socket: bool,
    /// Whether the connection has to end with an answer of ours: its sender wants that, or waits to
    /// be told before it sends the body and then may or may not.
    pub(super) is_last: bool,
    pub(super) headers: Headers<'a>,
}

/// What is to be known of an answer.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Body,
    /// Whether a WebSocket follows, if other bytes than HTTP do.
    pub(super) is_web_socket: bool,
}

/// Names and values, as they came.
#[derive(Debug)]
pub(super) struct Headers<'a> {
    bytes: &'a [u8],
}

/// How the headers say that the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Length(u64),
    Chunked,
    OtherCoding,
}

/// How far a search for the end of a head goes back: a part of the end may be there already.
const OVERLAP: usize = 3;

impl<'a> Head<'a> {
    /// The head that these bytes begin with, of which the first `known` were looked at before.
    pub(super) fn find(bytes: &'a [u8], known: usize) -> Result<Option<Self>, Wrong> {
        let from = known.saturating_sub(OVERLAP);
        let most = bytes.len().min(HEAD_MOST);
        if let Some(at) = memmem::find(&bytes[from.min(most)..most], b"\r\n\r\n") {
            let bytes = &bytes[..from + at + 4];
            return Ok(Some(Self { bytes }));
        }
        if bytes.len() >= HEAD_MOST {
            return Err(Wrong::TooLarge);
        }
        Ok(None)
    }

    /// Reads it as a request.
    pub(super) fn request(self) -> Result<Request<'a>, Wrong> {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MOST];
        let mut request = httparse::Request::new(&mut []);
        self.complete(request.parse_with_uninit_headers(self.bytes, &mut headers))?;
        let (Some(method), Some(path)) = (request.method, request.path) else {
            return Err(Wrong::Malformed);
        };
        let mut may_become_other = method == "CONNECT";
        let may_become_web_socket = is_web_socket(request.headers);
        let mut is_last = request.version == Some(0);
        for header in &*request.headers {
            may_become_other |= header.name.eq_ignore_ascii_case("upgrade");
            is_last |= header.name.eq_ignore_ascii_case("expect")
                || (header.name.eq_ignore_ascii_case("connection") && closes(header.value));
        }
        let body = match told(request.headers)? {
            Told::Nothing => Body::Length(0),
            Told::Length(length) => Body::Length(length),
            Told::Chunked if request.version == Some(1) => Body::CHUNKED,
            Told::Chunked => return Err(Wrong::Malformed),
            Told::OtherCoding => return Err(Wrong::UnknownCoding),
        };
        Ok(Request {
            method: method.as_bytes(),
            path: path.as_bytes(),
            body,
            may_become_other,
            may_become_web_socket,
            is_last,
            headers: Headers { bytes: self.bytes },
        })
    }

    /// Reads it as the answer to a request, of which `has_body` says whether its answer may have one.
    pub(super) fn response(self, has_body: bool) -> Result<Response, Wrong> {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MOST];
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        self.complete(config.parse_response_with_uninit_headers(
            &mut response,
            self.bytes,
            &mut headers,
        ))?;
        let status = response.code.ok_or(Wrong::Malformed)?;
        let bodiless = !has_body || status < 200 || matches!(status, 204 | 304);
        let body = match told(response.headers)? {
            _ if bodiless => Body::Length(0),
            Told::Length(length) => Body::Length(length),
            Told::Chunked => Body::CHUNKED,
            Told::Nothing | Told::OtherCoding => Body::UntilEnd,
        };
        let is_web_socket = is_web_socket(response.headers);
        Ok(Response {
            status,
            body,
            is_web_socket,
        })
    }

    /// Whether it was read to its end, and every line ends as lines do.
    fn complete(self, parsed: httparse::Result<usize>) -> Result<(), Wrong> {
        match parsed {
            Ok(httparse::Status::Complete(length)) if length == self.bytes.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Wrong::TooLarge),
            _ => return Err(Wrong::Malformed),
        }
        let alone = |at: usize| at == 0 || self.bytes[at - 1] != b'\r';
        if memchr::memchr_iter(b'\n', self.bytes).any(alone) {
            return Err(Wrong::Malformed);
        }
        Ok(())
    }
}

/// Whether the connection is to become a WebSocket, or has (RFC 6455, 4.1).
fn is_web_socket(headers: &[httparse::Header<'_>]) -> bool {
    headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("upgrade")
            && header.value.eq_ignore_ascii_case(b"websocket")
    })
}

fn told(headers: &[httparse::Header<'_>]) -> Result<Told, Wrong> {
    let mut told = Told::Nothing;
    for header in headers {
        let now = if header.name.eq_ignore_ascii_case("content-length") {
            Told::Length(length(header.value)?)
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if header.value.eq_ignore_ascii_case(b"chunked") {
                Told::Chunked
            } else {
                Told::OtherCoding
            }
        } else {
            continue;
        };
        match told {
            Told::Nothing => told = now,
            // The same length twice is the same length.
            Told::Length(_) if told == now => {}
            _ => return Err(Wrong::Malformed),
        }
    }
    Ok(told)
}

/// Whether a list of options has the one that ends the connection.
fn closes(options: &[u8]) -> bool {
    let mut options = options.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    options.any(|option| option.eq_ignore_ascii_case(b"close"))
}

/// Digits and nothing else.
fn length(value: &[u8]) -> Result<u64, Wrong> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits);
    let length = text.and_then(|text| text.parse().ok());
    length.ok_or(Wrong::Malformed)
}

impl<'a> Headers<'a> {
    /// Names and values.
    pub(super) fn list(&self) -> Vec<(&'a [u8], &'a [u8])> {
        lines(self.bytes)
            .skip(1)
            .filter_map(|line| {
                let colon = memchr::memchr(b':', line)?;
                Some((&line[..colon], line[colon + 1..].trim_ascii()))
            })
            .collect()
    }
}

/// The lines of a head, without their ends and without the empty one.
pub(super) fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = head.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<(Body, bool), Wrong> {
        let head = Head::find(text.as_bytes(), 0)?.ok_or(Wrong::Malformed)?;
        let request = head.request()?;
        Ok((request.body, request.may_become_other))
    }

    #[test]
    fn requests_end_where_they_say() {
        let head =
            |headers: &str| request(&format!("POST /a HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        assert_eq!(head(""), Ok((Body::Length(0), false)));
        assert_eq!(head("Content-Length: 7\r\n"), Ok((Body::Length(7), false)));
        assert_eq!(
            head("content-length:7\r\nContent-Length: 7\r\n"),
            Ok((Body::Length(7), false))
        );
        assert_eq!(
            head("Transfer-Encoding: Chunked\r\n"),
            Ok((Body::CHUNKED, false))
        );
        assert_eq!(head("Upgrade: websocket\r\n"), Ok((Body::Length(0), true)));
    }

    #[test]
    fn requests_that_could_be_smuggled_are_refused() {
        let heads = [
            "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n",
            "Content-Length: 7\r\nContent-Length: 8\r\n",
            "Content-Length: 7, 7\r\n",
            "Content-Length: +7\r\n",
            "Content-Length: 0x7\r\n",
            "Content-Length:\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length : 7\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\x0bchunked\r\n",
            "X: a\nContent-Length: 7\r\n",
            "X: a\r\n folded: b\r\n",
            " X: a\r\n",
            "X: a\0b\r\n",
            "X\r\n",
            ": a\r\n",
        ];
        for lines in heads {
            let text = format!("POST /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            assert_eq!(request(&text).err(), Some(Wrong::Malformed), "{lines:?}");
        }
        let coded = "POST /a HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
        assert_eq!(request(coded).err(), Some(Wrong::UnknownCoding));
        let old = "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(request(old).err(), Some(Wrong::Malformed));
        let unlike = [
            "GET /a\r\n\r\n",
            "GET  /a HTTP/1.1\r\n\r\n",
            "GET /a HTTP/2.0\r\n\r\n",
        ];
        for text in unlike {
            assert_eq!(request(text).err(), Some(Wrong::Malformed), "{text:?}");
        }
    }

    #[test]
    fn heads_have_a_limit() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HEAD_MOST));
        assert_eq!(request(&long).err(), Some(Wrong::TooLarge));
        let many = "A: b\r\n".repeat(HEADERS_MOST + 1);
        let many = format!("GET / HTTP/1.1\r\n{many}\r\n");
        assert_eq!(request(&many).err(), Some(Wrong::TooLarge));
    }
}
