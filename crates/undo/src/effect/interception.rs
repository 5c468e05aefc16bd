use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use firedrill_kernel::KernelError;
use firedrill_kernel::conntrack::{self, Flow, Tracked};
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::Transport;
use firedrill_worker::interception::{Carried, Interception};
use firedrill_worker::{Job, JobError, WorkerHandle};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::packets::FilteredPackets;
use super::work::HeldByWorker;
use super::{Effect, EffectError, Observed, OwnerState, Prepared, chain};
use crate::primitive::{PacketFilter, Primitive, Work};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;

/// Connections that a worker's rules lead through the worker's proxy.
///
/// The rules belong to the worker and end with it, however it ends. What they have decided for
/// connections that are there lives on in the kernel, and is forgotten here: at the undo, and at once
/// when the worker dies.
#[derive(Debug)]
pub(crate) struct InterceptedConnections {
    interception: Box<Interception>,
    held: HeldByWorker,
    /// In the namespace, opened beforehand. Absent in a recovery.
    socket: Option<Socket>,
    /// The worker is being closed.
    closing: bool,
}

/// How long a worker may take to be closed, most of which the kernel waits until nobody looks at its
/// rules any more; and how often its translations are forgotten meanwhile.
const CLOSING_LIMIT: Duration = Duration::from_millis(100);
const AGAIN: Duration = Duration::from_millis(1);

impl InterceptedConnections {
    pub(super) fn prepare(interception: Box<Interception>) -> Result<Prepared, EffectError> {
        interception
            .validate()
            .map_err(|error| EffectError::Job(JobError::Interception(error)))?;
        let Some(namespace) = interception.namespace.open()? else {
            return Err(EffectError::Vanished {
                what: format!("the network namespace {}", interception.namespace),
            });
        };
        let mut socket = namespace.within(|| Socket::open(Protocol::Netfilter))?;
        // Whoever may not look up what is tracked could not have it forgotten either.
        if let Some(nobody) = interception.listen.first() {
            let flow = Flow {
                protocol: protocol(&interception),
                source: *nobody,
                destination: *nobody,
            };
            conntrack::answered_by(&mut socket, &flow)?;
        }
        Ok(Prepared::ready(Self {
            socket: Some(socket),
            ..Self::resume(interception)
        }))
    }

    pub(super) fn resume(interception: Box<Interception>) -> Self {
        let work = Work {
            job: Job::Intercept(interception.clone()),
            place: Vec::new(),
        };
        Self {
            interception,
            held: HeldByWorker::resume(work),
            socket: None,
            closing: false,
        }
    }

    /// Datagrams go directly from the moment on at which the rules are gone, which is before the
    /// worker has ended. A connection's translation stays as long: its RST needs it.
    fn forget_while_closing(&mut self) {
        let begun = Instant::now();
        let hung_up = |worker: &WorkerHandle| {
            let mut fds = [PollFd::from_borrowed_fd(worker.lifeline(), PollFlags::IN)];
            matches!(
                rustix::event::poll(&mut fds, Some(&Timespec::default())),
                Ok(1)
            )
        };
        while self.held.running().is_some_and(hung_up) && begun.elapsed() < CLOSING_LIMIT {
            self.closing = true;
            if let Some(socket) = &mut self.socket {
                forget_at_once(socket, &self.interception);
            }
            let ended = |worker: &WorkerHandle| worker.wait_for_end(AGAIN).unwrap_or(true);
            if self.held.running().is_none_or(ended) {
                return;
            }
        }
    }

    fn forget(&mut self) -> Result<(), KernelError> {
        let Some(socket) = &mut self.socket else {
            let Some(mut socket) = socket_in(&self.interception)? else {
                return Ok(());
            };
            return forget(&mut socket, &self.interception);
        };
        forget(socket, &self.interception)
    }
}

impl Effect for InterceptedConnections {
    fn primitive(&self) -> Primitive {
        Primitive::InterceptConnections(self.interception.clone())
    }

    fn apply(&mut self, deadline: Duration) -> Result<(), EffectError> {
        self.held.apply(deadline)
    }

    fn renew(&mut self, deadline: Duration) {
        self.held.renew(deadline);
    }

    fn release(&mut self) {
        self.held.release();
    }

    fn settle(&mut self) {
        self.held.settle();
    }

    fn watched(&self) -> Option<BorrowedFd<'_>> {
        let worker = self.held.running()?;
        if self.interception.carried == Carried::Udp && !self.closing {
            return Some(worker.lifeline());
        }
        Some(worker.pidfd().as_fd())
    }

    fn watched_ended(&mut self) {
        if self.interception.carried == Carried::Udp {
            self.forget_while_closing();
        }
        if self.held.running().is_none_or(WorkerHandle::is_alive) {
            return;
        }
        // What is not forgotten now is at the undo, which tells.
        let _ = self.forget();
        self.held.note_end();
    }

    fn restore(&mut self, drill: &DrillId, owner: OwnerState) -> Reverted {
        let mut reverted = self.held.restore(drill, owner);
        // Only after the worker: its last packets are translated, too. Its table went with it where
        // the kernel knows owners.
        let rules = PacketFilter {
            namespace: self.interception.namespace.clone(),
            ruleset: self.interception.ruleset.clone(),
        };
        reverted.merge(FilteredPackets::resume(rules).restore(drill, owner));
        if let Err(error) = self.forget() {
            reverted.residue.push(Residue::EffectLeft {
                effect: "the translation of connections that were led through the proxy".into(),
                why: chain(&error),
            });
        }
        reverted.undone = 1;
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        self.held.observe()
    }
}

/// Whether a translation of it is still there.
pub(crate) fn is_left(interception: &Interception) -> Result<bool, KernelError> {
    let Some(mut socket) = socket_in(interception)? else {
        return Ok(false);
    };
    Ok(!translated(&mut socket, interception)?.is_empty())
}

/// `None` when the namespace has ended, and everything in it.
fn socket_in(interception: &Interception) -> Result<Option<Socket>, KernelError> {
    match interception.namespace.open()? {
        Some(open) => open.within(|| Socket::open(Protocol::Netfilter)).map(Some),
        None => Ok(None),
    }
}

/// What can be forgotten without listing everything; whether that is all.
fn forget_at_once(socket: &mut Socket, interception: &Interception) -> bool {
    let protocol = protocol(interception);
    let mut all = true;
    for at in &interception.listen {
        all &= match at {
            SocketAddr::V4(at) if !at.ip().is_unspecified() => {
                conntrack::forget_translated_to(socket, protocol, *at).is_ok()
            }
            _ => false,
        };
    }
    all
}

fn forget(socket: &mut Socket, interception: &Interception) -> Result<(), KernelError> {
    if forget_at_once(socket, interception) {
        return Ok(());
    }
    for tracked in translated(socket, interception)? {
        conntrack::forget(socket, &tracked)?;
    }
    Ok(())
}

/// As IANA numbers it.
fn protocol(interception: &Interception) -> u8 {
    match interception.carried {
        Carried::Tcp => Transport::Tcp.number(),
        Carried::Udp => Transport::Udp.number(),
    }
}

/// Connections that were translated to the proxy. Nobody else listens on its port, so that a
/// translation to it, at an address of this host, is nobody else's.
fn translated(
    socket: &mut Socket,
    interception: &Interception,
) -> Result<Vec<Tracked>, KernelError> {
    let mut found = conntrack::list(socket)?;
    found.retain(|one| {
        one.destination_translated && Some(one.reply.source.port()) == interception.port()
    });
    if found.is_empty() {
        return Ok(found);
    }
    let listens_at = |address: IpAddr| {
        let mut listen = interception.listen.iter().map(SocketAddr::ip);
        listen.any(|at| at == address || (at.is_unspecified() && is_of_this_host(address)))
    };
    interception.namespace.within(|| {
        found.retain(|one| listens_at(one.reply.source.ip()));
        Ok(found)
    })
}

/// In the namespace of the calling thread: only an address of its own can be bound.
fn is_of_this_host(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
