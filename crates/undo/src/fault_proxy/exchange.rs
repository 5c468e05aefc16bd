//! A request and its answer over TCP, with one deadline.

use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use firedrill_container::{Answer, AnswerError};

use super::ProxyError;

#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// The path is encoded already.
pub(super) fn ask(
    api: SocketAddr,
    method: Method,
    path: &str,
    body: Option<&str>,
    until: Instant,
) -> Result<Answer, ProxyError> {
    let request = || format!("{} {path}", method.word());
    let late = || ProxyError::Late {
        api,
        request: request(),
    };
    let talk = |source: io::Error| {
        if is_late(&source) {
            return late();
        }
        let request = request();
        ProxyError::Talk {
            api,
            request,
            source,
        }
    };
    let stream = left(until)
        .and_then(|left| TcpStream::connect_timeout(&api, left))
        .map_err(|source| {
            if is_late(&source) {
                late()
            } else {
                ProxyError::Unreachable { api, source }
            }
        })?;
    let mut stream = TimedStream { stream, until };
    stream
        .send(&head_and_body(api, method, path, body))
        .map_err(talk)?;
    Answer::read(&mut stream).map_err(|error| match error {
        AnswerError::Read(source) => talk(source),
        AnswerError::Malformed(why) => ProxyError::Confused {
            api,
            request: request(),
            why,
        },
    })
}

fn head_and_body(api: SocketAddr, method: Method, path: &str, body: Option<&str>) -> String {
    let content = match body {
        Some(body) => format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        ),
        None => String::new(),
    };
    format!(
        "{} {path} HTTP/1.1\r\nHost: {api}\r\nUser-Agent: firedrill\r\n{content}Connection: close\r\n\r\n{}",
        method.word(),
        body.unwrap_or_default()
    )
}

/// A time-out of a socket is reported as EAGAIN.
fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// A stream whose every read and write ends at one deadline, however slowly bytes trickle in.
#[derive(Debug)]
struct TimedStream {
    stream: TcpStream,
    until: Instant,
}

impl TimedStream {
    fn send(&mut self, request: &str) -> io::Result<()> {
        self.stream.set_write_timeout(Some(left(self.until)?))?;
        self.stream.write_all(request.as_bytes())
    }
}

impl Read for TimedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.until)?))?;
        self.stream.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    fn asked(api: SocketAddr) -> Result<Answer, ProxyError> {
        ask(api, Method::Get, "/proxies", None, Instant::now() + SOON)
    }

    #[test]
    fn a_proxy_that_never_answers_is_late_and_one_that_is_not_there_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = listener.local_addr().unwrap();
        let late = asked(api).unwrap_err();
        assert!(matches!(late, ProxyError::Late { .. }), "{late}");
        assert!(!late.is_gone());
        drop(listener);
        let gone = asked(api).unwrap_err();
        assert!(gone.is_gone(), "{gone}");
    }

    #[test]
    fn what_is_cut_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}")
                .unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let until = Instant::now() + Duration::from_secs(20);
        let cut = ask(api, Method::Post, "/x", Some("{\"a\":1}"), until).unwrap_err();
        assert!(matches!(cut, ProxyError::Confused { .. }), "{cut}");
        let request = server.join().unwrap();
        assert!(request.starts_with("POST /x HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with("Content-Length: 7\r\nConnection: close\r\n\r\n{\"a\":1}"));
    }
}
