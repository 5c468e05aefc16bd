//! Asks endpoints whether they are well: by a connection, or by a request on it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::{Checks, Group};

/// What says how a request went: `HTTP/1.1 200` (RFC 9112, section 4).
const STATUS: usize = 12;

/// Checks a group as long as it is there. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Checker {
    /// Nothing is ever sent: it tells by being gone.
    _alive: SyncSender<()>,
}

impl Checker {
    /// # Errors
    /// When the system has no thread for it.
    pub(crate) fn start(group: &Arc<Group>, checks: Checks) -> std::io::Result<Self> {
        let (alive, over) = sync_channel(0);
        let group = Arc::downgrade(group);
        thread::Builder::new()
            .name("health".to_owned())
            .spawn(move || {
                while round(&group, &checks) {
                    if over.recv_timeout(checks.every) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })?;
        Ok(Self { _alive: alive })
    }
}

/// Asks all of them at once; false when there is nobody left who wants to know.
fn round(group: &Weak<Group>, checks: &Checks) -> bool {
    let Some(group) = group.upgrade() else {
        return false;
    };
    let addresses = group.addresses();
    thread::scope(|scope| {
        for address in addresses {
            let group = &group;
            scope.spawn(move || {
                let well = is_well(address, checks);
                group.checked(address, well.unwrap_or(false));
            });
        }
    });
    true
}

/// # Errors
/// When it is not, by what its connection says.
fn is_well(address: SocketAddr, checks: &Checks) -> std::io::Result<bool> {
    let until = Instant::now() + checks.limit;
    let mut stream = TcpStream::connect_timeout(&address, checks.limit)?;
    let Some(path) = &checks.path else {
        return Ok(true);
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: firedrill-proxy\r\n\
         connection: close\r\n\r\n"
    );
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(request.as_bytes())?;
    let mut status = [0; STATUS];
    let mut length = 0;
    while length < STATUS {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut status[length..])? {
            0 => return Ok(false),
            more => length += more,
        }
    }
    Ok(status.starts_with(b"HTTP/1.") && matches!(status[8..10], [b' ', b'2' | b'3']))
}

/// # Errors
/// When nothing is.
fn left(until: Instant) -> std::io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    // As a time-out of a socket, no time is all of it.
    if left.is_zero() {
        return Err(std::io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}
