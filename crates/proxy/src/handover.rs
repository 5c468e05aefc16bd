//! One proxy takes over from another without a connection being refused: the listening sockets
//! themselves go over, with connections that nobody has accepted yet.
//!
//! The old one says what it has, the new one opens it and says so, and the old one accepts nothing
//! more. Until then both can accept; if the new one fails, nothing has changed.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::toxiproxy::Collection;

/// Sockets that go over in one message, at most (SCM_MAX_FD of the kernel is 253).
const SOCKETS_MOST: usize = 250;

/// Bytes of what is said beside them.
const TEXT_MOST: u32 = 64 << 20;

/// How long either side waits for a word of the other.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the new proxy says when it has opened everything.
const TAKEN: u8 = b'+';

/// A listener that goes over, and how many connections it has accepted: their numbers go on.
#[derive(Debug)]
pub struct Inherited {
    pub name: String,
    pub listener: OwnedFd,
    pub accepted: u64,
}

/// Everything that an older proxy has.
#[derive(Debug)]
pub struct Estate {
    pub seed: u64,
    /// In the form of a configuration.
    pub proxies: Value,
    /// The interface's own.
    pub api: OwnedFd,
    pub listeners: Vec<Inherited>,
    /// The key of its authority, if it has one: what clients trust is to go on.
    pub authority: Option<String>,
    older: UnixStream,
}

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    seed: u64,
    proxies: Value,
    /// Names and counts, in the order of the sockets after the interface's.
    listeners: Vec<(String, u64)>,
    #[serde(default)]
    authority: Option<String>,
}

impl Estate {
    /// What the proxy that listens at this path has; nothing if there is none.
    ///
    /// # Errors
    /// When it does not say what it has.
    pub fn ask(path: &Path) -> io::Result<Option<Self>> {
        let mut older = match UnixStream::connect(path) {
            Ok(older) => older,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        older.set_read_timeout(Some(PATIENCE))?;
        let (length, sockets) = receive_sockets(&older)?;
        if length > TEXT_MOST {
            return Err(unlike("it says too much"));
        }
        let mut text = vec![0; length as usize];
        older.read_exact(&mut text)?;
        let told: Told = serde_json::from_slice(&text)?;
        let mut sockets = sockets.into_iter();
        let api = sockets.next();
        let api = api.ok_or_else(|| unlike("it has no interface"))?;
        let listeners: Vec<_> = told
            .listeners
            .into_iter()
            .zip(sockets.by_ref())
            .map(|((name, accepted), listener)| Inherited {
                name,
                listener,
                accepted,
            })
            .collect();
        Ok(Some(Self {
            seed: told.seed,
            proxies: told.proxies,
            api,
            listeners,
            authority: told.authority,
            older,
        }))
    }

    /// All of it is open here: the older one accepts nothing more, and has left its path when this
    /// returns.
    ///
    /// # Errors
    /// When the older one does not say so.
    pub fn taken(mut self) -> io::Result<()> {
        self.older.write_all(&[TAKEN])?;
        // It says nothing more, and ends.
        match self.older.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(unlike("it says something else")),
            Err(error) => Err(error),
        }
    }
}

/// Hands over to whoever asks at this path; `gone` is called when one has taken everything.
///
/// # Errors
/// When the path cannot be listened on.
pub fn offer(
    path: &Path,
    seed: u64,
    api: OwnedFd,
    collection: Arc<Collection>,
    gone: impl FnOnce() + Send + 'static,
) -> io::Result<Offer> {
    // A socket where nobody listens: whoever did has been asked before. Anything else stays, and then
    // the path is taken.
    if std::fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let offer = Offer { path: path.into() };
    let place = offer.path.clone();
    thread::Builder::new()
        .name("hand over".to_owned())
        .spawn(move || {
            for heir in listener.incoming().flatten() {
                if let Ok(heir) = hand_over(heir, seed, &api, &collection) {
                    let _not_there = std::fs::remove_file(&place);
                    gone();
                    // The heir goes on when it sees that nobody is here any more.
                    drop(heir);
                    return;
                }
            }
        })?;
    Ok(offer)
}

/// Somebody may ask at a path, as long as this is there.
#[derive(Debug)]
pub struct Offer {
    path: PathBuf,
}

impl Offer {
    /// Nobody can ask any more.
    pub fn withdraw(self) {
        let _not_there = std::fs::remove_file(&self.path);
    }
}

/// Says what there is; the heir, when it has taken it and this proxy accepts nothing more.
fn hand_over(
    mut heir: UnixStream,
    seed: u64,
    api: &OwnedFd,
    collection: &Collection,
) -> io::Result<UnixStream> {
    heir.set_read_timeout(Some(PATIENCE))?;
    let listeners = collection.fabric().listeners()?;
    let told = Told {
        seed,
        proxies: serde_json::to_value(collection.all())?,
        listeners: listeners
            .iter()
            .map(|one| (one.name.clone(), one.accepted))
            .collect(),
        authority: collection.authority_key(),
    };
    let text = serde_json::to_vec(&told)?;
    let mut sockets = vec![api.as_fd()];
    sockets.extend(listeners.iter().map(|one| one.listener.as_fd()));
    if sockets.len() > SOCKETS_MOST {
        return Err(unlike("too many routes to hand over at once"));
    }
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MOST))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&sockets));
    let length = (text.len() as u32).to_le_bytes();
    let parts = [IoSlice::new(&length)];
    rustix::net::sendmsg(&heir, &parts, &mut ancillary, SendFlags::NOSIGNAL)?;
    heir.write_all(&text)?;
    let mut word = [0];
    heir.read_exact(&mut word)?;
    if word != [TAKEN] {
        return Err(unlike("the other proxy says something else"));
    }
    collection.fabric().accept_no_more();
    Ok(heir)
}

fn receive_sockets(older: &UnixStream) -> io::Result<(u32, Vec<OwnedFd>)> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MOST))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut length = [0; 4];
    let mut parts = [IoSliceMut::new(&mut length)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let got = rustix::net::recvmsg(older, &mut parts, &mut ancillary, flags)?;
    if got.bytes != 4 {
        return Err(unlike("it says nothing"));
    }
    let mut sockets = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            sockets.extend(received);
        }
    }
    Ok((u32::from_le_bytes(length), sockets))
}

fn unlike(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}
