//! Root disciplines of ours that outlived their drill and its log.
//!
//! One is ours by its handle and by all that is on it. It is a stray when nothing leads into it: no
//! guardian is to be seen, and its network namespace has no table of ours.

use firedrill_kernel::namespace::{NetNamespace, OpenNamespace};
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::qdisc::{self, Deletion, Handle, Qdisc, QdiscError, Spot};
use firedrill_kernel::{KernelError, link, nftables, process};

/// The major number of the handles of our roots, which says whose they are in `tc qdisc`.
pub const ROOT_MAJOR: u16 = 0xfd00;

/// Its band beside the normal way, and what is attached there.
const BAND: u16 = 2;
const ATTACHED: u16 = ROOT_MAJOR + 1;

/// A root with our handle that nothing leads into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayRoot {
    pub interface: String,
    pub namespace: NetNamespace,
    /// What is on it and not of ours; then it is not for us to remove.
    pub foreign: Option<String>,
    spot: Spot,
}

/// Looks at every network namespace that can be entered from here. None while a guardian runs: it
/// may be its.
#[must_use]
pub fn stray_roots() -> Vec<StrayRoot> {
    if guardian_runs() {
        return Vec::new();
    }
    let namespaces = NetNamespace::all();
    // One that may not be entered or read, or has ended, is not looked at.
    let found = namespaces.iter().filter_map(|open| strays_in(open).ok());
    found.flatten().collect()
}

impl StrayRoot {
    /// Removes it; the kernel attaches its default again. `false` when it is not ours (any more).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&self) -> Result<bool, QdiscError> {
        let Some(open) = self.namespace.open()? else {
            return Ok(false);
        };
        // Somebody may have attached something since it was found.
        let now = strays_in(&open)?;
        if self.foreign.is_some() || !now.contains(self) {
            return Ok(false);
        }
        let mut socket = open.within(|| Socket::open(Protocol::Route))?;
        Ok(qdisc::delete(&mut socket, self.spot)? == Deletion::Deleted)
    }
}

fn guardian_runs() -> bool {
    let all = process::list().unwrap_or_default().into_iter();
    let mut names = all.filter_map(|pid| process::stat(pid).ok().flatten());
    names.any(|stat| stat.comm == "firedrill-guard" && !stat.is_gone())
}

fn strays_in(open: &OpenNamespace) -> Result<Vec<StrayRoot>, KernelError> {
    let mut route = open.within(|| Socket::open(Protocol::Route))?;
    let present = qdisc::list_all(&mut route)?;
    let is_root = |one: &&Qdisc| one.parent == Handle::ROOT && one.handle.major() == ROOT_MAJOR;
    let roots: Vec<&Qdisc> = present.iter().filter(is_root).collect();
    if roots.is_empty() {
        return Ok(Vec::new());
    }
    let mut filter = open.within(|| Socket::open(Protocol::Netfilter))?;
    let tables = nftables::tables(&mut filter)?;
    filter.close_later();
    if tables
        .iter()
        .any(|table| table.name.starts_with("firedrill-"))
    {
        return Ok(Vec::new());
    }
    let links = link::list(&mut route)?;
    let mut strays = Vec::new();
    for root in roots {
        let Some(link) = links.iter().find(|link| link.index == root.interface) else {
            continue;
        };
        strays.push(StrayRoot {
            interface: link.name.clone(),
            namespace: open.namespace().clone(),
            foreign: foreign_on(&mut route, root, &present)?,
            spot: Spot::root(root.interface, root.handle),
        });
    }
    Ok(strays)
}

/// What would go with the root and we never put there.
fn foreign_on(
    socket: &mut Socket,
    root: &Qdisc,
    present: &[Qdisc],
) -> Result<Option<String>, KernelError> {
    if !["prio", "htb"].contains(&root.kind.as_str()) {
        return Ok(Some(format!("it is a {}", root.kind)));
    }
    let band = root.handle.class(BAND);
    for one in present.iter().filter(|one| one.interface == root.interface) {
        let is_apart = one.parent == Handle::ROOT || one.parent == Handle::INGRESS;
        // The kernel's own have no handle.
        let is_ours = one.parent == band && one.handle == Handle::of_major(ATTACHED);
        if !is_apart && !is_ours && one.handle != Handle::NONE {
            return Ok(Some(format!("{} {} is below it", one.kind, one.handle)));
        }
    }
    for class in qdisc::classes(socket, root.interface)? {
        let first_of_prio = root.kind == "prio" && class.handle == root.handle.class(1);
        if class.handle.major() == ROOT_MAJOR && class.handle != band && !first_of_prio {
            return Ok(Some(format!("it has a class {}", class.handle)));
        }
    }
    for parent in [root.handle, band] {
        if let Some(filter) = qdisc::filters(socket, root.interface, parent)?.first() {
            return Ok(Some(format!("it has a filter, {}", filter.kind)));
        }
    }
    Ok(None)
}
