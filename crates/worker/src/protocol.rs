//! What guardian and worker say to each other: one JSON object per packet of a seqpacket socket.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Measurement;
use crate::job::Job;

/// Bytes in one packet; below the kernel's default socket buffer, which bounds it.
pub(crate) const PACKET_MAX: usize = 192 * 1024;

/// From the guardian. Deadlines are in nanoseconds of BOOTTIME.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub(crate) enum Request<J = Job> {
    /// The first one, and only once.
    Begin {
        job: J,
        deadline: u64,
    },
    Deadline {
        deadline: u64,
    },
    Measure {
        number: u64,
    },
    /// Nothing new comes to the worker any more: what it holds for others goes on its way now.
    Release,
}

/// [`Request::Release`], written out: it is sent on a starved host, where nothing is allocated.
pub(crate) const RELEASE: &[u8] = br#"{"request":"release"}"#;

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// The fault is in place, or on its way where it takes time.
    Ready,
    /// It is not, or not any more; the worker ends.
    Failed { why: String },
    /// The deadline is now this one.
    Beat { deadline: u64 },
    Measured {
        number: u64,
        measurements: Vec<Measurement>,
    },
    /// Nothing is held any more.
    Released,
}

/// What a receive gave.
#[derive(Debug)]
pub(crate) enum Received<T> {
    Packet(T),
    Nothing,
    Closed,
    Garbage,
}

/// # Errors
/// `InvalidInput` when the packet is too large; what the socket says otherwise.
pub(crate) fn send<T: Serialize>(socket: impl AsFd, packet: &T) -> io::Result<()> {
    let bytes = serde_json::to_vec(packet)?;
    if bytes.len() > PACKET_MAX {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    rustix::net::send(socket, &bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// # Errors
/// What the socket says.
pub(crate) fn send_release(socket: impl AsFd) -> io::Result<()> {
    rustix::net::send(socket, RELEASE, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// # Errors
/// What the socket says, except that it is empty or closed.
pub(crate) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> io::Result<Received<T>> {
    let mut attempt = rustix::net::recv(&socket, &mut *buffer, RecvFlags::DONTWAIT);
    if matches!(attempt, Err(Errno::CONNRESET)) {
        // The other end died with packets unread. What it had said before is still to be read.
        attempt = rustix::net::recv(&socket, &mut *buffer, RecvFlags::DONTWAIT);
    }
    let length = match attempt {
        Ok((_, length)) => length,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
        Err(Errno::CONNRESET | Errno::PIPE) => return Ok(Received::Closed),
        Err(error) => return Err(error.into()),
    };
    if length == 0 {
        return Ok(Received::Closed);
    }
    let bytes = buffer.get(..length).unwrap_or_default();
    Ok(serde_json::from_slice(bytes).map_or(Received::Garbage, Received::Packet))
}

/// As it goes over the socket; a time after the year 2500 is the year 2500.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{RELEASE, Request};

    #[test]
    fn the_release_that_is_written_out_is_the_one_that_is_read() {
        let read: Request = serde_json::from_slice(RELEASE).unwrap();
        assert!(matches!(read, Request::Release));
    }
}
