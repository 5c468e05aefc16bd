//! What has our name and should be gone.

use std::path::Path;
use std::time::{Duration, Instant};

use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::Ruleset;
use firedrill_kernel::process::{self, Stat};
use firedrill_kernel::{KernelError, nftables, qdisc};

use crate::effect::{chain, interception_is_left};
use crate::primitive::{FreezeKind, Primitive, RootQdisc};
use crate::residue::Residue;
use crate::state::wait;

/// As workers call themselves, and what they fork.
const WORKER: &str = "firedrill-work";
const GUARDIAN: &str = "firedrill-guard";

const STILL_THERE: &str = "it was still there after its undo";

/// How long a worker that was killed, or whose guardian was, may take to be gone: the kernel takes
/// back its memory first.
const DYING_LIMIT: Duration = Duration::from_secs(2);

/// What of these effects is still there by its name. To be asked after their undo, and needs no
/// reading before it. After a recovery, workers without a guardian are looked for as well. What cannot
/// be looked at is told as unknown, never taken for gone.
pub(crate) fn ours_left<'a>(
    effects: impl IntoIterator<Item = &'a Primitive>,
    recovered: bool,
) -> Vec<Residue> {
    let mut left = Vec::new();
    let mut had_worker = false;
    for effect in effects {
        match effect {
            Primitive::FilterPackets(filter) => {
                left.extend(table_left(&filter.namespace, &filter.ruleset));
            }
            Primitive::InterceptConnections(job) => {
                had_worker = true;
                left.extend(table_left(&job.namespace, &job.ruleset));
                let what = "the translation of connections that were led through the proxy";
                left.extend(told(what.into(), interception_is_left(job)));
            }
            Primitive::ReplaceRoot(root) => {
                let what = format!("the root qdisc of {}", root.name);
                left.extend(told(what, root_is_left(root)));
            }
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

fn table_left(namespace: &NetNamespace, ruleset: &Ruleset) -> Option<Residue> {
    let name = &ruleset.table;
    let what = format!("the nftables table {name}");
    told(what, table_is_left(namespace, name))
}

fn table_is_left(namespace: &NetNamespace, name: &str) -> Result<bool, KernelError> {
    let Some(mut socket) = socket(namespace, Protocol::Netfilter)? else {
        return Ok(false);
    };
    let found = nftables::tables(&mut socket)?;
    socket.close_later();
    Ok(found.iter().any(|table| table.name == name))
}

fn root_is_left(root: &RootQdisc) -> Result<bool, KernelError> {
    let Some(mut socket) = socket(&root.namespace, Protocol::Route)? else {
        return Ok(false);
    };
    let found = qdisc::root(&mut socket, root.bands.interface)?;
    Ok(found.is_some_and(|found| found.handle == root.bands.handle))
}

fn cgroup_left(path: &Path) -> Option<Residue> {
    match path.try_exists() {
        Ok(false) => None,
        Ok(true) => Some(Residue::CgroupLeft {
            cgroup: path.into(),
            why: STILL_THERE.into(),
        }),
        Err(error) => Some(Residue::Unknown {
            whether: format!("cgroup {} is gone", path.display()),
            why: error.to_string(),
        }),
    }
}

fn workers_left(is_one: impl Fn(&Stat) -> bool) -> Vec<Residue> {
    let end = Instant::now() + DYING_LIMIT;
    loop {
        let left = match workers(&is_one) {
            Ok(left) => left,
            Err(error) => {
                return told("every worker".into(), Err(error))
                    .into_iter()
                    .collect();
            }
        };
        if left.is_empty() || Instant::now() >= end {
            let residue = |pid: &u32| still_there(format!("worker {pid}"));
            return left.iter().map(residue).collect();
        }
        wait(Duration::from_millis(2));
    }
}

fn workers(is_one: impl Fn(&Stat) -> bool) -> Result<Vec<u32>, KernelError> {
    let is_ours = |stat: &Stat| stat.comm == WORKER && !stat.is_gone() && is_one(stat);
    let all = process::list()?.into_iter();
    Ok(all
        .filter(|pid| matches!(process::stat(*pid), Ok(Some(stat)) if is_ours(&stat)))
        .collect())
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

/// What was found of it: nothing, itself, or no answer.
fn told(what: String, is_left: Result<bool, KernelError>) -> Option<Residue> {
    match is_left {
        Ok(false) => None,
        Ok(true) => Some(still_there(what)),
        Err(error) => {
            let (whether, why) = (format!("{what} is gone"), chain(&error));
            Some(Residue::Unknown { whether, why })
        }
    }
}

fn still_there(effect: String) -> Residue {
    Residue::EffectLeft {
        effect,
        why: STILL_THERE.into(),
    }
}
