//! Asks endpoints whether they are well, by a connection that is made and ended.

use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;

use super::{Checks, Group};

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
                while round(&group, checks) {
                    if over.recv_timeout(checks.every) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })?;
        Ok(Self { _alive: alive })
    }
}

/// Asks all of them at once; false when there is nobody left who wants to know.
fn round(group: &Weak<Group>, checks: Checks) -> bool {
    let Some(group) = group.upgrade() else {
        return false;
    };
    let addresses = group.addresses();
    thread::scope(|scope| {
        for address in addresses {
            let group = &group;
            scope.spawn(move || {
                let well = TcpStream::connect_timeout(&address, checks.limit).is_ok();
                group.checked(address, well);
            });
        }
    });
    true
}
