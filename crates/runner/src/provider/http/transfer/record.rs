//! Header names as the server wrote them.
//!
//! HTTP names ignore case and `hyper` lowers it; `requests` does not, and documents ask for
//! `$.headers['ETag']`. So the beginning of the stream is read along.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::header::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Read along at most; names that come later stay in lower case.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The first bytes of a response.
#[derive(Clone, Default)]
pub(super) struct Head(Arc<Mutex<Vec<u8>>>);

impl Head {
    /// The headers with their own spelling, in order of first appearance.
    pub(super) fn name(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let spelling = self.spelling();
        let named = |name: &str| {
            spelling
                .get(name)
                .cloned()
                .unwrap_or_else(|| name.to_owned())
        };
        headers
            .keys()
            .map(|name| {
                let values: Vec<String> = headers
                    .get_all(name)
                    .iter()
                    .map(|value| latin_1(value.as_bytes()))
                    .collect();
                (named(name.as_str()), values.join(", "))
            })
            .collect()
    }

    /// By lower-case name, the first spelling.
    fn spelling(&self) -> HashMap<String, String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spelling = HashMap::new();
        let mut interim = false;
        for line in bytes.split(|&byte| byte == b'\n') {
            let line = latin_1(line.strip_suffix(b"\r").unwrap_or(line));
            if line.starts_with("HTTP/") {
                interim = line
                    .split(' ')
                    .nth(1)
                    .is_some_and(|status| status.starts_with('1'));
                spelling.clear();
            } else if line.is_empty() && !interim {
                break;
            } else if let Some((name, _)) = line.split_once(':') {
                spelling
                    .entry(name.to_ascii_lowercase())
                    .or_insert_with(|| name.to_owned());
            }
        }
        spelling
    }
}

fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// A stream whose first bytes are kept.
pub(super) struct Recorder<S> {
    stream: S,
    head: Head,
}

impl<S> Recorder<S> {
    pub(super) fn new(stream: S, head: Head) -> Self {
        Self { stream, head }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorder<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = polled {
            let mut head = self.head.0.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = &buffer.filled()[before..];
            let room = HEAD_BYTES_MAX.saturating_sub(head.len()).min(fresh.len());
            head.extend_from_slice(&fresh[..room]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorder<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
