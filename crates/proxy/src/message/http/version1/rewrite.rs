//! Heads that are others than they came, and answers of ours.

use bytes::Bytes;

use super::super::decision::Changes;
use super::super::{BodyChange, HeaderChange};
use super::head::lines;

/// The head with its changes; what it is not told to change stays byte for byte, in its place.
pub(super) fn head(head: &[u8], changes: &Changes) -> Vec<u8> {
    let mut all = lines(head);
    let first = all.next().unwrap_or_default();
    let mut rest: Vec<Vec<u8>> = all.map(<[u8]>::to_vec).collect();
    if let Some((BodyChange::Replace(body), _)) = &changes.body {
        rest.retain(|line| !is(line, "content-length") && !is(line, "transfer-encoding"));
        rest.push(format!("Content-Length: {}", body.len()).into_bytes());
    }
    for change in &changes.headers {
        match change {
            HeaderChange::Add { name, value } => {
                rest.push(format!("{name}: {value}").into_bytes());
            }
            HeaderChange::Set { name, value } => {
                rest.retain(|line| !is(line, name));
                rest.push(format!("{name}: {value}").into_bytes());
            }
            HeaderChange::Remove { name } => rest.retain(|line| !is(line, name)),
        }
    }
    let mut whole = Vec::with_capacity(head.len() + 256);
    for line in std::iter::once(first).chain(rest.iter().map(Vec::as_slice)) {
        whole.extend_from_slice(line);
        whole.extend_from_slice(b"\r\n");
    }
    whole.extend_from_slice(b"\r\n");
    whole
}

/// Whether a line is a header of this name.
fn is(line: &[u8], name: &str) -> bool {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    line[..colon].eq_ignore_ascii_case(name.as_bytes())
}

/// An answer of ours. `closes`: nothing more is answered on this connection.
pub(super) fn answer(status: u16, body: &Bytes, has_body: bool, closes: bool) -> Vec<u8> {
    let reason = reason(status);
    let length = body.len();
    let closing = if closes { "Connection: close\r\n" } else { "" };
    let mut whole = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         {closing}\r\n"
    )
    .into_bytes();
    if has_body {
        whole.extend_from_slice(body);
    }
    whole
}

/// What RFC 9110 calls it; nothing where it does not, which a status line may have too.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        418 => "I'm a teapot",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}
