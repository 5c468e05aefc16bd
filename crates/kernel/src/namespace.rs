//! Network namespaces: which one it is, entering it for a moment, and finding it again.
//!
//! A namespace is known by what identifies it, never by its name alone: a name can come to mean
//! another namespace, and the inode number of a dead namespace is given out again. Other kinds of
//! namespaces are not here.

mod search;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use crate::{KernelError, sys};

const NAMED: &str = "/run/netns";
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace, and how it was named. To be kept in a log: it holds nothing open.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetNamespace {
    pub id: NamespaceId,
    pub named: NamespaceName,
}

/// What tells a namespace from every other one of this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceId {
    pub device: u64,
    /// Of nsfs. Given out again once the namespace is dead.
    pub inode: u64,
    /// The kernel's number for it, never given out again. Absent before Linux 5.14, and where
    /// entering the namespace was not allowed.
    pub cookie: Option<u64>,
}

/// How a namespace was named by whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceName {
    /// The one of the calling thread at that time.
    Current,
    /// A file in `/run/netns`, as `ip netns` makes them.
    Named(String),
    /// The one of a process.
    Process(u32),
    /// A bind mount, or a file of `/proc`.
    Path(PathBuf),
}

impl NetNamespace {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When `/proc` does not show it.
    pub fn current() -> Result<OpenNamespace, KernelError> {
        OpenNamespace::open(Path::new(OWN), NamespaceName::Current)
    }

    /// A namespace that `ip netns` or its like has named.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn named(name: &str) -> Result<OpenNamespace, KernelError> {
        let path = Path::new(NAMED).join(name);
        if name.is_empty() || name.contains('/') || name == ".." || name == "." {
            return Err(KernelError::Malformed {
                path,
                what: "network namespace",
            });
        }
        OpenNamespace::open(&path, NamespaceName::Named(name.to_owned()))
    }

    /// The namespace of a process. The caller checks that the pid is still who it was.
    ///
    /// # Errors
    /// When the process is gone or may not be looked at.
    pub fn of_process(pid: u32) -> Result<OpenNamespace, KernelError> {
        OpenNamespace::open(&process_path(pid), NamespaceName::Process(pid))
    }

    /// A namespace by a file that stands for it.
    ///
    /// # Errors
    /// When the file is not a namespace, or cannot be opened.
    pub fn at(path: &Path) -> Result<OpenNamespace, KernelError> {
        OpenNamespace::open(path, NamespaceName::Path(path.to_owned()))
    }

    /// Finds a namespace again, by the names and the processes that hold it. `None` when nothing
    /// holds it: it is gone, and everything in it is undone.
    ///
    /// # Errors
    /// When `/proc` cannot be listed.
    pub fn find(id: NamespaceId) -> Result<Option<OpenNamespace>, KernelError> {
        search::find(id)
    }

    /// Every namespace of this host that can be opened from here, each once: the own one, the named
    /// ones and those of processes, up to a few hundred.
    #[must_use]
    pub fn all() -> Vec<OpenNamespace> {
        search::all()
    }

    /// Opens it again: by its name when that still means the same namespace, else by looking
    /// everywhere. `None` when it is gone.
    ///
    /// # Errors
    /// When `/proc` cannot be listed; when nothing else leads to it and its name, which is there,
    /// cannot be opened: it may be there or not.
    pub fn open(&self) -> Result<Option<OpenNamespace>, KernelError> {
        let by_name = match &self.named {
            NamespaceName::Current => Self::current(),
            NamespaceName::Named(name) => Self::named(name),
            NamespaceName::Process(pid) => Self::of_process(*pid),
            NamespaceName::Path(path) => Self::at(path),
        };
        match by_name {
            Ok(open) if open.namespace.is_same(self) => Ok(Some(open)),
            Ok(_) => Self::find(self.id),
            Err(error) => match Self::find(self.id)? {
                None if leaves_it_open(&error) => Err(error),
                found => Ok(found),
            },
        }
    }

    /// Runs `work` in it; see [`OpenNamespace::within`].
    ///
    /// # Errors
    /// [`KernelError::NamespaceGone`], and those of [`OpenNamespace::within`].
    pub fn within<T, E: From<KernelError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let open = self.open()?.ok_or_else(|| KernelError::NamespaceGone {
            namespace: self.to_string(),
        })?;
        open.within(work)
    }

    /// Whether both are the same namespace, whatever they are called.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.id.is_same(other.id)
    }
}

impl NamespaceId {
    /// Whether both mean the same namespace: by the cookies where both are known.
    #[must_use]
    pub fn is_same(self, other: Self) -> bool {
        let cookies = self.cookie.zip(other.cookie);
        (self.device, self.inode) == (other.device, other.inode)
            && cookies.is_none_or(|(ours, theirs)| ours == theirs)
    }
}

impl fmt::Display for NetNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.named {
            NamespaceName::Current => write!(f, "net:[{}]", self.id.inode),
            NamespaceName::Named(name) => write!(f, "{name} (net:[{}])", self.id.inode),
            NamespaceName::Process(pid) => {
                write!(f, "of process {pid} (net:[{}])", self.id.inode)
            }
            NamespaceName::Path(path) => {
                write!(f, "{} (net:[{}])", path.display(), self.id.inode)
            }
        }
    }
}

/// A namespace held open: it stays alive for as long as this does.
#[derive(Debug)]
pub struct OpenNamespace {
    namespace: NetNamespace,
    file: File,
}

impl OpenNamespace {
    /// Its identity, for a log.
    #[must_use]
    pub fn namespace(&self) -> &NetNamespace {
        &self.namespace
    }

    /// What tells it from every other one.
    #[must_use]
    pub fn id(&self) -> NamespaceId {
        self.namespace.id
    }

    /// Runs `work` with the calling thread in the namespace, and comes back. Sockets opened by it
    /// stay in the namespace; threads started by it too.
    ///
    /// # Errors
    /// What `work` gives; [`KernelError::Call`] when the namespace cannot be entered (it takes
    /// CAP_SYS_ADMIN); [`KernelError::NamespaceNotLeft`] when the thread could not come back. It
    /// must then end: whatever it does next it does in the wrong namespace.
    pub fn within<T, E: From<KernelError>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        enter(&self.file, &self.namespace, work)
    }

    fn open(path: &Path, named: NamespaceName) -> Result<Self, KernelError> {
        let mut open = Self::open_unchecked(path, named)?;
        let cookie = enter(&open.file, &open.namespace, cookie_here);
        open.namespace.id.cookie = match cookie {
            Err(error @ KernelError::NamespaceNotLeft { .. }) => return Err(error),
            other => other.ok(),
        };
        Ok(open)
    }

    /// Without the cookie, for which the namespace has to be entered.
    fn open_unchecked(path: &Path, named: NamespaceName) -> Result<Self, KernelError> {
        let (file, id) = open_file(path)?;
        let namespace = NetNamespace { id, named };
        Ok(Self { namespace, file })
    }
}

impl AsFd for OpenNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Runs `work` in a new network namespace that ends with it, on a thread that ends with it.
///
/// # Errors
/// What `work` gives, and [`KernelError::Call`] when no namespace can be made (it takes
/// CAP_SYS_ADMIN).
pub fn in_fresh<T, E>(work: impl FnOnce() -> Result<T, E> + Send) -> Result<T, E>
where
    T: Send,
    E: From<KernelError> + Send,
{
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            sys::unshare_network().map_err(|errno| {
                KernelError::call("a network namespace of its own (unshare)", errno)
            })?;
            work()
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The way back is opened before the way in is taken.
fn enter<T, E: From<KernelError>>(
    file: &File,
    namespace: &NetNamespace,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let (home, home_id) = open_file(Path::new(OWN))?;
    if home_id.is_same(namespace.id) {
        return work();
    }
    let network = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(file.as_fd(), network)
        .map_err(|errno| KernelError::call("entering a network namespace (setns)", errno))?;
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let back = move_into_link_name_space(home.as_fd(), network);
    match (outcome, back) {
        (Err(panic), _) => resume_unwind(panic),
        (Ok(_), Err(errno)) => Err(KernelError::NamespaceNotLeft {
            namespace: namespace.to_string(),
            source: errno.into(),
        }
        .into()),
        (Ok(outcome), Ok(())) => outcome,
    }
}

fn open_file(path: &Path) -> Result<(File, NamespaceId), KernelError> {
    /// `NSFS_MAGIC` of linux/magic.h.
    const NSFS: u64 = 0x6e73_6673;
    let read = |source| KernelError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(read)?;
    let system = rustix::fs::fstatfs(&file).map_err(|errno| read(errno.into()))?;
    // Before Linux 3.19 it was a file of proc itself; those kernels have no nftables to speak of.
    if u64::try_from(system.f_type) != Ok(NSFS) {
        return Err(KernelError::Malformed {
            path: path.to_owned(),
            what: "network namespace",
        });
    }
    let metadata = file.metadata().map_err(read)?;
    let id = NamespaceId {
        device: metadata.dev(),
        inode: metadata.ino(),
        cookie: None,
    };
    Ok((file, id))
}

/// Whether a name that could not be opened may still stand for the namespace.
fn leaves_it_open(error: &KernelError) -> bool {
    let KernelError::Read { source, .. } = error else {
        return false;
    };
    let gone = [Errno::NOENT, Errno::SRCH].map(Errno::raw_os_error);
    !source
        .raw_os_error()
        .is_some_and(|errno| gone.contains(&errno))
}

/// The cookie of the namespace in which the calling thread is.
fn cookie_here() -> Result<u64, KernelError> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|errno| KernelError::call("a socket", errno))?;
    sys::namespace_cookie(socket.as_fd()).map_err(|source| KernelError::Call {
        call: "the cookie of a network namespace",
        source,
    })
}

fn process_path(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/net"))
}

/// What a directory holds; nothing when it does not exist.
fn entries(directory: &Path) -> Result<Vec<fs::DirEntry>, KernelError> {
    let read = |source| KernelError::Read {
        path: directory.to_owned(),
        source,
    };
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect::<io::Result<_>>().map_err(read),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(read(error)),
    }
}

#[cfg(test)]
mod tests;
