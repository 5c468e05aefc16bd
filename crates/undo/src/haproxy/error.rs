use std::io;
use std::path::PathBuf;

use firedrill_kernel::KernelError;

use super::{Administrative, Server};

/// Why a load balancer did not do as asked, or is not asked.
#[derive(Debug, thiserror::Error)]
pub enum HaproxyError {
    #[error("no HAProxy answers at {}", socket.display())]
    Unreachable { socket: PathBuf, source: io::Error },
    #[error("{} is not a socket", socket.display())]
    NoSocket { socket: PathBuf },
    #[error(
        "the socket {} belongs to user {owner}, neither to root nor to this user",
        socket.display()
    )]
    Foreign { socket: PathBuf, owner: u32 },
    #[error("the connection to HAProxy at {} failed during `{command}`", socket.display())]
    Talk {
        socket: PathBuf,
        command: String,
        source: io::Error,
    },
    #[error("HAProxy at {} did not answer `{command}` in time", socket.display())]
    Late { socket: PathBuf, command: String },
    #[error(
        "the answer to `{command}` from {} is not one of HAProxy: {said:?}",
        socket.display()
    )]
    Confused {
        socket: PathBuf,
        command: String,
        said: String,
    },
    #[error(
        "the socket {} has level {level}, which changes nothing; its line in HAProxy's \
         configuration needs `level admin`",
        socket.display()
    )]
    NotAdmin { socket: PathBuf, level: String },
    #[error("{server} is {found} and not {wanted}, as it was told; HAProxy said: {said:?}")]
    NotSet {
        server: Server,
        wanted: Administrative,
        found: String,
        said: String,
    },
    #[error("there is no server {server}")]
    NoServer { server: Server },
    #[error("there is no backend {backend}; there are {present}")]
    NoBackend { backend: String, present: String },
    #[error("no server of {place} is {wanted}; there are {present}")]
    NothingMatches {
        place: String,
        wanted: String,
        present: String,
    },
    #[error("every server that was chosen is out of use already: {servers}")]
    OutOfUse { servers: String },
    #[error(
        "backend {backend} would have {remaining} servers in use, fewer than remaining-min, {needed}"
    )]
    TooFewRemain {
        backend: String,
        remaining: u64,
        needed: u64,
    },
    #[error(transparent)]
    Kernel(KernelError),
}
