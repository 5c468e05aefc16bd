use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use firedrill_kernel::clock::boottime;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::PortRange;
use firedrill_kernel::sock_diag::{self, Found, State, Transport, Wanted};
use firedrill_kernel::{Capability, KernelError};

use super::{Effect, EffectError, Observed, OwnerState, Prepared};
use crate::primitive::{ConnectionChoice, ConnectionHolder, ConnectionReset, Primitive};
use crate::residue::Reverted;
use crate::state::DrillId;
use crate::{Measurement, Quantity};

/// Connections that are reset where they are found. Nothing stays: whoever had them makes new ones.
#[derive(Debug)]
pub(crate) struct ResetConnections {
    reset: ConnectionReset,
    /// In the namespace, opened beforehand. Absent in a recovery, which has nothing to do.
    socket: Option<Socket>,
    count: u64,
    last: Option<Duration>,
    failed: Option<KernelError>,
}

const SSH: u16 = 22;

/// In which both sides take it for a connection. One that is closing has nothing left to lose.
const STATES: [State; 5] = [
    State::Established,
    State::SynSent,
    State::SynReceived,
    State::CloseWait,
    State::FinWait1,
];

impl ResetConnections {
    pub(super) fn prepare(reset: ConnectionReset) -> Result<Prepared, EffectError> {
        // Asked when a connection is reset, and there may be none yet.
        if Capability::NetAdmin.is_missing() {
            return Err(EffectError::Lacking {
                what: "resetting connections",
                capability: Capability::NetAdmin,
            });
        }
        let Some(namespace) = reset.namespace.open()? else {
            return Err(EffectError::Vanished {
                what: format!("the network namespace {}", reset.namespace),
            });
        };
        let socket = namespace.within(|| Socket::open(Protocol::SockDiag))?;
        Ok(Prepared::ready(Self {
            socket: Some(socket),
            ..Self::resume(reset)
        }))
    }

    pub(super) fn resume(reset: ConnectionReset) -> Self {
        Self {
            reset,
            socket: None,
            count: 0,
            last: None,
            failed: None,
        }
    }

    fn round(&mut self) -> Result<(), KernelError> {
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        self.last = Some(boottime());
        let spared: Vec<u32> = self
            .reset
            .choice
            .spare_processes
            .iter()
            // One whose sockets cannot be seen has ended.
            .flat_map(|process| sock_diag::inodes_of(process.pid).unwrap_or_default())
            .collect();
        let holder = Holder::of(&self.reset.holder)?;
        let wanted = Wanted {
            states: STATES.to_vec(),
            ..Wanted::default()
        };
        for found in sock_diag::list(socket, Transport::Tcp, &wanted)? {
            let meant = holder.has(&found)
                && !spared.contains(&found.inode)
                && is_chosen(&self.reset.choice, &found);
            if meant && sock_diag::destroy(socket, &found)? {
                self.count += 1;
            }
        }
        Ok(())
    }
}

impl Effect for ResetConnections {
    fn primitive(&self) -> Primitive {
        Primitive::ResetConnections(self.reset.clone())
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        Ok(self.round()?)
    }

    fn renew(&mut self, _deadline: Duration) {
        let Some(every) = self.reset.every else {
            return;
        };
        let due = self.last.is_none_or(|last| boottime() >= last + every);
        if due && self.failed.is_none() {
            // Seen when it is observed; the lease is renewed all the same.
            self.failed = self.round().err();
        }
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        Reverted::default()
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        let mut observed = Observed::one(true, String::new);
        if self.count == 0 {
            observed.idle.push("no connection matched".into());
        }
        observed.measured.push(Measurement::exact(
            Quantity::ConnectionsReset,
            None,
            self.count as f64,
        ));
        Ok(observed)
    }
}

/// Whose sockets, as far as that changes while processes come and go.
enum Holder {
    Anybody,
    Cgroups(Vec<u64>),
    Inodes(Vec<u32>),
}

impl Holder {
    fn of(holder: &ConnectionHolder) -> Result<Self, KernelError> {
        Ok(match holder {
            ConnectionHolder::Anybody => Self::Anybody,
            ConnectionHolder::Cgroup(path) => {
                let mut ids = Vec::new();
                below(path, &mut ids);
                Self::Cgroups(ids)
            }
            ConnectionHolder::Process(process) => {
                let alive = process.stat()?.is_some();
                Self::Inodes(if alive {
                    sock_diag::inodes_of(process.pid)?
                } else {
                    Vec::new()
                })
            }
        })
    }

    fn has(&self, found: &Found) -> bool {
        match self {
            Self::Anybody => true,
            Self::Cgroups(ids) => found.cgroup.is_some_and(|id| ids.contains(&id)),
            // Zero is nobody's: a connection that no process has accepted or that all have closed.
            Self::Inodes(inodes) => found.inode != 0 && inodes.contains(&found.inode),
        }
    }
}

/// The numbers of a cgroup and of all below it; a part that vanishes meanwhile has none.
fn below(path: &Path, ids: &mut Vec<u64>) {
    ids.extend(sock_diag::cgroup_id(path));
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), ids);
        }
    }
}

fn is_chosen(choice: &ConnectionChoice, found: &Found) -> bool {
    let (local, remote) = (canonical(found.local), canonical(found.remote));
    if choice.spare.contains(&local) || choice.spare.contains(&remote) {
        return false;
    }
    if !choice.ssh && (local.port() == SSH || remote.port() == SSH) {
        return false;
    }
    let peer = if choice.peers.is_empty() {
        // A host's talk with itself is not its traffic, unless it is named.
        !remote.ip().is_loopback()
    } else {
        choice.peers.iter().any(|peer| peer.contains(remote.ip()))
    };
    let within = |ports: &[PortRange], port: u16| {
        ports
            .iter()
            .any(|range| (range.first..=range.last).contains(&port))
    };
    let or_any = |ports: &[PortRange], port| ports.is_empty() || within(ports, port);
    peer && (choice.ports.is_empty()
        || within(&choice.ports, local.port())
        || within(&choice.ports, remote.port()))
        && or_any(&choice.remote_ports, remote.port())
        && or_any(&choice.local_ports, local.port())
        && (choice.local_addresses.is_empty() || choice.local_addresses.contains(&local.ip()))
        && thrown(choice, found.cookie)
}

/// The same connection gets the same throw every time, else each would be met in the end.
fn thrown(choice: &ConnectionChoice, cookie: u64) -> bool {
    let mut hasher = DefaultHasher::new();
    (choice.seed, cookie).hash(&mut hasher);
    (hasher.finish() as f64) < choice.share * u64::MAX as f64
}

/// An IPv4 peer of an IPv6 socket is an IPv4 peer.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
