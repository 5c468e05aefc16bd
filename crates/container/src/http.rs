//! One HTTP/1.1 request and its answer on a Unix socket, with one deadline for the whole exchange.

mod answer;

use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

pub use answer::{Answer, AnswerError};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Method {
    Get,
    Post,
}

/// What can go wrong before there is an answer.
#[derive(Debug)]
pub(crate) enum HttpError {
    Connect(io::Error),
    /// The deadline passed.
    Late,
    Connection(io::Error),
    Malformed(String),
}

/// The target is a path with its query, already encoded.
pub(crate) fn exchange(
    socket: &Path,
    method: Method,
    target: &str,
    patience: Duration,
) -> Result<Answer, HttpError> {
    let mut stream = send(socket, method, target, patience)?.0;
    Answer::read(&mut stream).map_err(HttpError::from)
}

/// A request whose answer is not read yet.
#[derive(Debug)]
pub(crate) struct Sent(TimedStream);

pub(crate) fn send(
    socket: &Path,
    method: Method,
    target: &str,
    patience: Duration,
) -> Result<Sent, HttpError> {
    let deadline = Instant::now() + patience;
    let mut stream = TimedStream {
        stream: connect(socket, patience)?,
        deadline,
    };
    stream.send(&request(method, target))?;
    Ok(Sent(stream))
}

impl Sent {
    /// Whether the answer (or the end of the connection) has begun to arrive.
    pub(crate) fn is_answered(&self, limit: Duration) -> bool {
        let limit = Timespec::try_from(limit).ok();
        let mut arrived = [PollFd::new(&self.0.stream, PollFlags::IN)];
        // An interrupted wait is only shorter.
        rustix::event::poll(&mut arrived, limit.as_ref()).is_ok_and(|count| count > 0)
    }

    /// Becomes readable with the answer.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.stream.as_fd()
    }

    pub(crate) fn finish(mut self, patience: Duration) -> Result<Answer, HttpError> {
        self.0.deadline = Instant::now() + patience;
        Answer::read(&mut self.0).map_err(HttpError::from)
    }
}

fn request(method: Method, target: &str) -> String {
    let (word, length) = match method {
        Method::Get => ("GET", ""),
        Method::Post => ("POST", "Content-Length: 0\r\n"),
    };
    format!(
        "{word} {target} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n{length}Connection: close\r\n\r\n"
    )
}

/// `UnixStream::connect` would block without bound while the listener's backlog is full; the send
/// time-out of the socket bounds that too (unix(7)).
fn connect(socket: &Path, patience: Duration) -> Result<UnixStream, HttpError> {
    let refused = |errno: rustix::io::Errno| HttpError::Connect(errno.into());
    let address = SocketAddrUnix::new(socket).map_err(refused)?;
    let fd = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(refused)?;
    set_socket_timeout(&fd, Timeout::Send, Some(patience)).map_err(refused)?;
    rustix::net::connect(&fd, &address).map_err(|errno| match errno {
        rustix::io::Errno::AGAIN => HttpError::Late,
        other => refused(other),
    })?;
    Ok(UnixStream::from(fd))
}

/// A stream whose every read and write ends at one deadline, however slowly bytes trickle in.
#[derive(Debug)]
struct TimedStream {
    stream: UnixStream,
    deadline: Instant,
}

impl TimedStream {
    fn send(&mut self, request: &str) -> Result<(), HttpError> {
        let left = self.left().map_err(HttpError::from)?;
        self.stream
            .set_write_timeout(Some(left))
            .and_then(|()| self.stream.write_all(request.as_bytes()))
            .map_err(HttpError::from)
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left)
    }
}

impl Read for TimedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

impl From<io::Error> for HttpError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A time-out of a socket is reported as EAGAIN.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Late,
            _ => Self::Connection(error),
        }
    }
}

impl From<AnswerError> for HttpError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Read(error) => error.into(),
            AnswerError::Malformed(problem) => Self::Malformed(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn answered_with(bytes: &'static [u8]) -> Result<Answer, HttpError> {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0_u8; 1024];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(bytes).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let answer = exchange(&socket, Method::Post, "/x?y=1", Duration::from_secs(20));
        let request = server.join().unwrap();
        assert!(request.starts_with("POST /x?y=1 HTTP/1.1\r\n"), "{request}");
        answer
    }

    #[test]
    fn an_answer_comes_back_over_a_socket() {
        let answer =
            answered_with(b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (409, &b"{}"[..]));
    }

    #[test]
    fn an_engine_that_hangs_up_is_not_an_empty_answer() {
        let cut = answered_with(b"HTTP/1.1 200 OK\r\nContent-Le");
        assert!(matches!(cut, Err(HttpError::Malformed(_))), "{cut:?}");
    }

    #[test]
    fn an_engine_that_never_answers_is_late() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let _listening = UnixListener::bind(&socket).unwrap();
        let late = exchange(&socket, Method::Get, "/", Duration::from_millis(50));
        assert!(matches!(late, Err(HttpError::Late)), "{late:?}");
    }

    #[test]
    fn an_engine_with_a_full_backlog_is_late_too() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let fd = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&fd, &SocketAddrUnix::new(&socket).unwrap()).unwrap();
        rustix::net::listen(&fd, 0).unwrap();
        let _first = UnixStream::connect(&socket).unwrap();
        let late = exchange(&socket, Method::Get, "/", Duration::from_millis(50));
        assert!(matches!(late, Err(HttpError::Late)), "{late:?}");
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_an_error() {
        let long = "x".repeat(4096);
        let error = exchange(Path::new(&long), Method::Get, "/", Duration::from_secs(1));
        assert!(matches!(error, Err(HttpError::Connect(_))), "{error:?}");
    }
}
