//! Sockets that are closed when the kernel has come to rest.

use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use rustix::event::Timespec;

/// Longer than a grace period takes.
const LATER: Duration = Duration::from_millis(100);

/// Hands a socket to the thread that closes them; without one, it is closed at once.
pub(super) fn close_later(socket: OwnedFd) {
    static CLOSER: OnceLock<Option<Sender<OwnedFd>>> = OnceLock::new();
    if let Some(closer) = CLOSER.get_or_init(start) {
        // Its other end lives as long as the process.
        let _ = closer.send(socket);
    }
}

fn start() -> Option<Sender<OwnedFd>> {
    let (sender, sockets) = mpsc::channel();
    let thread = std::thread::Builder::new().name("closer".to_owned());
    thread.spawn(move || close_all(&sockets)).ok()?;
    Some(sender)
}

fn close_all(sockets: &Receiver<OwnedFd>) {
    let later = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(LATER.subsec_nanos()),
    };
    while let Ok(first) = sockets.recv() {
        let closing: Vec<OwnedFd> = std::iter::once(first).chain(sockets.try_iter()).collect();
        // Cut short by a signal, it closes sooner.
        let _ = rustix::event::poll(&mut [], Some(&later));
        drop(closing);
    }
}
