//! What has our name and should be gone.

use std::path::Path;
use std::time::{Duration, Instant};

use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::process::{self, Stat};
use firedrill_kernel::qdisc::{self, Handle};
use firedrill_kernel::{KernelError, nftables};

use crate::primitive::{FreezeKind, PacketFilter, Primitive, RootQdisc};
use crate::residue::Residue;
use crate::state::wait;

/// As workers call themselves, and what they fork.
const WORKER: &str = "firedrill-work";
const GUARDIAN: &str = "firedrill-guard";

/// How long a worker that was killed, or whose guardian was, may take to be gone: the kernel takes
/// back its memory first.
const DYING_LIMIT: Duration = Duration::from_secs(2);

/// What of these effects is still there by its name. To be asked after their undo, and needs no
/// reading before it. After a recovery, workers without a guardian are looked for as well.
pub(crate) fn ours_left<'a>(
    effects: impl IntoIterator<Item = &'a Primitive>,
    recovered: bool,
) -> Vec<Residue> {
    let mut left = Vec::new();
    let mut had_worker = false;
    for effect in effects {
        match effect {
            Primitive::FilterPackets(filter) => left.extend(table_left(filter).unwrap_or(None)),
            Primitive::ReplaceRoot(root) => left.extend(root_left(root).unwrap_or(None)),
            Primitive::FreezeCgroup(freeze) if freeze.kind == FreezeKind::Own => {
                left.extend(cgroup_left(&freeze.cgroup));
            }
            Primitive::RunWorker(_) => had_worker = true,
            _ => {}
        }
    }
    if had_worker && recovered {
        left.extend(workers_left(is_orphaned));
    }
    left
}

/// What a worker that has ended has forked: it is in the worker's session.
pub(crate) fn session_left(worker: u32) -> Vec<Residue> {
    workers_left(|stat| stat.session == worker)
}

fn table_left(filter: &PacketFilter) -> Result<Option<Residue>, KernelError> {
    let Some(mut socket) = socket(&filter.namespace, Protocol::Netfilter)? else {
        return Ok(None);
    };
    let name = &filter.ruleset.table;
    let found = nftables::tables(&mut socket)?;
    socket.close_later();
    Ok(found
        .iter()
        .any(|table| table.name == *name)
        .then(|| still_there(format!("the nftables table {name}"))))
}

fn root_left(root: &RootQdisc) -> Result<Option<Residue>, KernelError> {
    let Some(mut socket) = socket(&root.namespace, Protocol::Route)? else {
        return Ok(None);
    };
    let found = qdisc::root(&mut socket, root.bands.interface)?;
    let is_ours = |handle: Handle| handle == root.bands.handle;
    Ok(found
        .filter(|found| is_ours(found.handle))
        .map(|_| still_there(format!("the root qdisc of {}", root.name))))
}

fn cgroup_left(path: &Path) -> Option<Residue> {
    path.exists().then(|| Residue::CgroupLeft {
        cgroup: path.into(),
        why: "it was still there after its undo".into(),
    })
}

fn workers_left(is_one: impl Fn(&Stat) -> bool) -> Vec<Residue> {
    let end = Instant::now() + DYING_LIMIT;
    loop {
        let left = workers(&is_one);
        if left.is_empty() || Instant::now() >= end {
            let residue = |pid: &u32| still_there(format!("worker {pid}"));
            return left.iter().map(residue).collect();
        }
        wait(Duration::from_millis(2));
    }
}

fn workers(is_one: impl Fn(&Stat) -> bool) -> Vec<u32> {
    let is_ours = |stat: &Stat| stat.comm == WORKER && !stat.is_gone() && is_one(stat);
    let all = process::list().unwrap_or_default().into_iter();
    all.filter(|pid| matches!(process::stat(*pid), Ok(Some(stat)) if is_ours(&stat)))
        .collect()
}

/// A worker is a child of its guardian, or a descendant.
fn is_orphaned(worker: &Stat) -> bool {
    let line = process::ancestors(worker.pid).unwrap_or_default();
    !line
        .iter()
        .any(|pid| matches!(process::stat(*pid), Ok(Some(stat)) if stat.comm == GUARDIAN))
}

/// `None` when the namespace has ended.
fn socket(namespace: &NetNamespace, protocol: Protocol) -> Result<Option<Socket>, KernelError> {
    let Some(open) = namespace.open()? else {
        return Ok(None);
    };
    open.within(|| Socket::open(protocol)).map(Some)
}

fn still_there(effect: String) -> Residue {
    Residue::EffectLeft {
        effect,
        why: "it was still there after its undo".into(),
    }
}
