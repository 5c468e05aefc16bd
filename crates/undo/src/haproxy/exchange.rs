//! A line of commands and its answer, with one deadline.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::HaproxyError;

/// A row of statistics has a kilobyte, and some have ten thousand servers.
const ANSWER_MAX: usize = 32 << 20;

/// Enough of a line of commands to know it by.
const SHOWN: usize = 60;

pub(super) fn ask(socket: &Path, line: &str, until: Instant) -> Result<String, HaproxyError> {
    let bytes = exchange(socket, line, until).map_err(|error| told(socket, line, error))?;
    String::from_utf8(bytes).map_err(|error| HaproxyError::Confused {
        socket: socket.into(),
        command: shown(line),
        said: super::answer::words(&String::from_utf8_lossy(error.as_bytes())),
    })
}

/// Where it failed.
enum Failure {
    Connecting(io::Error),
    Talking(io::Error),
}

fn exchange(socket: &Path, line: &str, until: Instant) -> Result<Vec<u8>, Failure> {
    let mut stream = connect(socket, until).map_err(Failure::Connecting)?;
    talk(&mut stream, line, until).map_err(Failure::Talking)
}

/// `UnixStream::connect` would block without bound while the listener's backlog is full; the send
/// time-out of the socket bounds that too (unix(7)).
fn connect(socket: &Path, until: Instant) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    let flags = SocketFlags::CLOEXEC;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    set_socket_timeout(&fd, Timeout::Send, Some(left(until)?))?;
    rustix::net::connect(&fd, &address)?;
    Ok(fd.into())
}

fn talk(stream: &mut UnixStream, line: &str, until: Instant) -> io::Result<Vec<u8>> {
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut all = Vec::new();
    let mut some = vec![0; 16 << 10];
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        let count = stream.read(&mut some)?;
        if count == 0 {
            return Ok(all);
        }
        all.extend(some.iter().take(count));
        if all.len() > ANSWER_MAX {
            return Err(io::Error::other("the answer does not end"));
        }
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

fn told(socket: &Path, line: &str, failure: Failure) -> HaproxyError {
    let (socket, command) = (socket.to_path_buf(), shown(line));
    match failure {
        // A time-out of a socket is reported as EAGAIN.
        Failure::Connecting(error) | Failure::Talking(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ) =>
        {
            HaproxyError::Late { socket, command }
        }
        Failure::Connecting(source) => HaproxyError::Unreachable { socket, source },
        Failure::Talking(source) => HaproxyError::Talk {
            socket,
            command,
            source,
        },
    }
}

fn shown(line: &str) -> String {
    if line.chars().count() <= SHOWN {
        return line.into();
    }
    let begin: String = line.chars().take(SHOWN).collect();
    format!("{begin}…")
}
