//! Which kind of packet queue is tried first.
//!
//! A transaction that the kernel refuses is not free: it waits for a grace period, about 15 ms each
//! time, runs modprobe in vain, and drops what the queues of the namespace hold when it takes its
//! hooks out again.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use super::QueueMechanism;

use QueueMechanism::{Compat, CompatSplit, Native};

/// All of them, the likeliest first: what has worked in this process, else nft's own if the kernel
/// has it or could load it, else the xtables target.
pub(super) fn order() -> [QueueMechanism; 3] {
    match WORKED.load(Ordering::Relaxed) {
        NATIVE => [Native, Compat, CompatSplit],
        COMPAT => [Compat, CompatSplit, Native],
        COMPAT_SPLIT => [CompatSplit, Compat, Native],
        _ if has_native() => [Native, Compat, CompatSplit],
        _ => [Compat, CompatSplit, Native],
    }
}

/// Keeps in mind what has worked.
pub(super) fn remember(queue: QueueMechanism) {
    let number = match queue {
        Native => NATIVE,
        Compat => COMPAT,
        CompatSplit => COMPAT_SPLIT,
    };
    WORKED.store(number, Ordering::Relaxed);
}

static WORKED: AtomicU8 = AtomicU8::new(0);
const NATIVE: u8 = 1;
const COMPAT: u8 = 2;
const COMPAT_SPLIT: u8 = 3;

/// Whether the module is loaded, or is where modprobe looks for it. A kernel whose modules are not
/// to be seen from here (in a container) may have it all the same, and is asked last.
fn has_native() -> bool {
    if Path::new("/sys/module/nft_queue").exists() {
        return true;
    }
    let release = rustix::system::uname();
    let modules = Path::new("/lib/modules").join(release.release().to_string_lossy().as_ref());
    ["modules.builtin", "modules.dep"].iter().any(|list| {
        fs::read_to_string(modules.join(list)).is_ok_and(|list| list.contains("/nft_queue.ko"))
    })
}
