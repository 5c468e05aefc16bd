//! The TCP and UDP sockets of a network namespace: listing them, and destroying them as if the
//! network had reset them.
//!
//! A socket is named by its addresses and the kernel's cookie, which is never given out again: a
//! successor with the same addresses is not destroyed in its place. Source: sock_diag(7),
//! linux/inet_diag.h, net/ipv4/inet_diag.c.
//!
//! Not here: Unix, raw and netlink sockets, and choosing what to destroy.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::KernelError;
use crate::netlink::{Message, Parsed, Socket};

/// A socket as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    pub transport: Transport,
    pub state: State,
    /// An IPv4 peer of an IPv6 socket shows as `::ffff:a.b.c.d`.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The interface that it is bound to; zero for none.
    pub interface: u32,
    pub cookie: u64,
    pub uid: u32,
    /// Of sockfs, as in `/proc/PID/fd`; zero when no process has it open any more.
    pub inode: u32,
    /// Of the unified hierarchy: see [`cgroup_id`]. `None` where the kernel does not say.
    pub cgroup: Option<u64>,
    pub receive_queue_bytes: u32,
    pub send_queue_bytes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Tcp,
    Udp,
}

/// `TCP_*` of net/tcp_states.h. A UDP socket is established when it is connected, else closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Established,
    SynSent,
    SynReceived,
    FinWait1,
    FinWait2,
    TimeWait,
    Closed,
    CloseWait,
    LastAck,
    Listen,
    Closing,
}

/// Addresses that start with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

/// Which sockets; `None` and empty match everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    pub states: Vec<State>,
    pub local: Option<Prefix>,
    pub remote: Option<Prefix>,
    /// First and last, both included.
    pub local_ports: Option<(u16, u16)>,
    pub remote_ports: Option<(u16, u16)>,
    pub uid: Option<u32>,
    pub cgroup: Option<u64>,
    /// Of sockfs: see [`inodes_of`].
    pub inodes: Option<Vec<u32>>,
}

const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;

/// `struct inet_diag_sockid` and `struct inet_diag_msg`.
const ID: usize = 48;
const HEADER: usize = 72;

const CGROUP_ID: u16 = 21;

const FAMILIES: [u8; 2] = [libc::AF_INET as u8, libc::AF_INET6 as u8];

/// All states; kernels show half-open connections of a listener as `SYN_RECV`.
const EVERY_STATE: u32 = u32::MAX;

impl Transport {
    fn protocol(self) -> u8 {
        match self {
            Self::Tcp => libc::IPPROTO_TCP as u8,
            Self::Udp => libc::IPPROTO_UDP as u8,
        }
    }
}

impl State {
    fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Closed,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => return None,
        })
    }
}

impl Prefix {
    /// Whether the address is in it. An IPv4 address of an IPv6 socket counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let shift = 32_u32.saturating_sub(self.length.into());
                let differing = ours.to_bits() ^ theirs.to_bits();
                differing.checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let shift = 128_u32.saturating_sub(self.length.into());
                let differing = ours.to_bits() ^ theirs.to_bits();
                differing.checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl Wanted {
    #[must_use]
    pub fn matches(&self, found: &Found) -> bool {
        let within = |prefix: &Option<Prefix>, address: SocketAddr| {
            prefix.is_none_or(|prefix| prefix.contains(address.ip()))
        };
        let between = |ports: &Option<(u16, u16)>, address: SocketAddr| {
            ports.is_none_or(|(first, last)| (first..=last).contains(&address.port()))
        };
        (self.states.is_empty() || self.states.contains(&found.state))
            && within(&self.local, found.local)
            && within(&self.remote, found.remote)
            && between(&self.local_ports, found.local)
            && between(&self.remote_ports, found.remote)
            && self.uid.is_none_or(|uid| uid == found.uid)
            && self.cgroup.is_none_or(|id| found.cgroup == Some(id))
            && self
                .inodes
                .as_ref()
                .is_none_or(|inodes| inodes.contains(&found.inode))
    }
}

/// The sockets of one transport that match, over IPv4 and IPv6, in the namespace of the netlink
/// socket.
///
/// # Errors
/// When the kernel refuses (it has no `INET_DIAG`, or not for UDP).
pub fn list(
    socket: &mut Socket,
    transport: Transport,
    wanted: &Wanted,
) -> Result<Vec<Found>, KernelError> {
    let mut found = Vec::new();
    for family in FAMILIES {
        let header = request(family, transport, EVERY_STATE, &[0; ID]);
        let message = Message::new("list sockets", BY_FAMILY, 0, &header);
        let replies = socket.dump(&message)?;
        let sockets = replies
            .iter()
            .filter_map(|reply| Found::parse(reply, transport));
        found.extend(sockets.filter(|found| wanted.matches(found)));
    }
    Ok(found)
}

/// Destroys a socket: its owner gets ECONNABORTED at the next call, its peer is sent a reset.
/// `false` if this very socket is gone.
///
/// # Errors
/// `EOPNOTSUPP` in the kernel's reason where it was built without `INET_DIAG_DESTROY`; `EPERM`
/// without CAP_NET_ADMIN.
pub fn destroy(socket: &mut Socket, found: &Found) -> Result<bool, KernelError> {
    let family = match found.local {
        SocketAddr::V4(_) => libc::AF_INET as u8,
        SocketAddr::V6(_) => libc::AF_INET6 as u8,
    };
    let header = request(family, found.transport, EVERY_STATE, &found.id());
    let doing = format!("destroy the socket {} to {}", found.local, found.remote);
    match socket.request(&Message::new(doing, DESTROY, 0, &header)) {
        Ok(()) => Ok(true),
        // ESTALE: these addresses have another socket now.
        Err(error) if matches!(error.netlink_errno(), Some(Errno::NOENT | Errno::STALE)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// What identifies a cgroup of the unified hierarchy in [`Found::cgroup`]: the inode of its
/// directory.
///
/// # Errors
/// When it is gone.
pub fn cgroup_id(path: &Path) -> Result<u64, KernelError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.ino()),
        Err(source) => Err(KernelError::Read {
            path: path.into(),
            source,
        }),
    }
}

/// The sockets that a process has open, by their inode; none if it is gone.
///
/// # Errors
/// When its descriptors may not be looked at.
pub fn inodes_of(pid: u32) -> Result<Vec<u32>, KernelError> {
    let path = PathBuf::from(format!("/proc/{pid}/fd"));
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(KernelError::Read { path, source }),
    };
    let mut inodes: Vec<u32> = entries
        .filter_map(|entry| {
            // A descriptor may be closed between list and read.
            let target = fs::read_link(entry.ok()?.path()).ok()?;
            let inode = target.to_str()?.strip_prefix("socket:[")?;
            inode.strip_suffix(']')?.parse().ok()
        })
        .collect();
    inodes.sort_unstable();
    inodes.dedup();
    Ok(inodes)
}

impl Found {
    fn parse(reply: &Parsed, transport: Transport) -> Option<Self> {
        let header = reply.header::<HEADER>()?;
        let address = |start: usize, port: usize| -> Option<SocketAddr> {
            let octets = header.get(start..)?.first_chunk::<16>()?;
            let port = u16::from_be_bytes(*header.get(port..)?.first_chunk()?);
            let ip = match i32::from(header[0]) {
                libc::AF_INET => IpAddr::from(Ipv4Addr::from(*octets.first_chunk::<4>()?)),
                libc::AF_INET6 => IpAddr::from(Ipv6Addr::from(*octets)),
                _ => return None,
            };
            Some(SocketAddr::new(ip, port))
        };
        let word = |start: usize| -> Option<u32> {
            Some(u32::from_ne_bytes(*header.get(start..)?.first_chunk()?))
        };
        Some(Self {
            transport,
            state: State::from_number(header[1])?,
            local: address(8, 4)?,
            remote: address(24, 6)?,
            interface: word(40)?,
            cookie: u64::from(word(44)?) | u64::from(word(48)?) << 32,
            receive_queue_bytes: word(56)?,
            send_queue_bytes: word(60)?,
            uid: word(64)?,
            inode: word(68)?,
            cgroup: reply
                .attributes(HEADER)
                .get(CGROUP_ID)
                .and_then(|id| id.u64()),
        })
    }

    /// `struct inet_diag_sockid`
    fn id(&self) -> [u8; ID] {
        let mut id = [0; ID];
        id[..2].copy_from_slice(&self.local.port().to_be_bytes());
        id[2..4].copy_from_slice(&self.remote.port().to_be_bytes());
        id[4..20].copy_from_slice(&octets(self.local.ip()));
        id[20..36].copy_from_slice(&octets(self.remote.ip()));
        id[36..40].copy_from_slice(&self.interface.to_ne_bytes());
        let halves = [self.cookie as u32, (self.cookie >> 32) as u32];
        id[40..44].copy_from_slice(&halves[0].to_ne_bytes());
        id[44..].copy_from_slice(&halves[1].to_ne_bytes());
        id
    }
}

/// `struct inet_diag_req_v2`
fn request(family: u8, transport: Transport, states: u32, id: &[u8; ID]) -> [u8; 8 + ID] {
    let mut request = [0; 8 + ID];
    request[..2].copy_from_slice(&[family, transport.protocol()]);
    request[4..8].copy_from_slice(&states.to_ne_bytes());
    request[8..].copy_from_slice(id);
    request
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.octets());
            octets
        }
    }
}

#[cfg(test)]
mod tests;
