//! A packet queue in a worker of ours, and the way into it.

use std::path::{Path, PathBuf};

use firedrill_kernel::namespace::{NamespaceName, NetNamespace};
use firedrill_kernel::nftables::Action;
use firedrill_undo::{Primitive, Work};
use firedrill_worker::Job;
use firedrill_worker::queue::{Program, QueueJob};

use crate::fault::{CompileError, Site};

/// A queue that a worker will serve. The worker comes first, the rules that lead into it second;
/// they are taken back in the other order.
pub(super) struct PacketQueue {
    number: u16,
    job: Job,
}

/// Packets held at once, unless delay and rate need more.
const HELD: u32 = 10_000;

impl PacketQueue {
    /// By its number, which is [free](free_number) there.
    pub(super) fn at(
        number: u16,
        namespace: &NetNamespace,
        program: Program,
        site: &Site<'_>,
    ) -> Result<Self, CompileError> {
        let job = Job::Queue(QueueJob {
            number,
            namespace: path(namespace),
            program,
            seed: site.seed,
            limit_packets: HELD,
            limit_bytes: 256 * 1024 * 1024,
        });
        job.validate().map_err(CompileError::Job)?;
        Ok(Self { number, job })
    }

    /// What leads a packet into it; past it when nobody listens.
    pub(super) fn lead(&self) -> Action {
        Action::Queue {
            number: self.number,
            bypass: true,
        }
    }

    pub(super) fn served(self) -> Primitive {
        Primitive::RunWorker(Work {
            job: self.job,
            place: Vec::new(),
        })
    }
}

/// The file by which a worker finds the namespace; none for the guardian's own, which is ours.
fn path(namespace: &NetNamespace) -> Option<PathBuf> {
    match &namespace.named {
        NamespaceName::Current => None,
        NamespaceName::Named(name) => Some(Path::new("/run/netns").join(name)),
        NamespaceName::Process(pid) => Some(PathBuf::from(format!("/proc/{pid}/ns/net"))),
        NamespaceName::Path(path) => Some(path.clone()),
    }
}

/// A number that nobody listens on there.
pub(super) fn free_number(namespace: &NetNamespace, seed: u64) -> Result<u16, CompileError> {
    const FILE: &str = "/proc/thread-self/net/netfilter/nfnetlink_queue";
    let taken: Vec<u16> = namespace.within(|| {
        // Absent before the first queue of all.
        let text = std::fs::read_to_string(FILE).unwrap_or_default();
        let number = |line: &str| line.split_whitespace().next()?.parse().ok();
        Ok::<_, CompileError>(text.lines().filter_map(number).collect())
    })?;
    let start = (seed % 30_000) as u16 + 30_000;
    let number = (0..1_000)
        .map(|step| start.wrapping_add(step))
        .find(|number| !taken.contains(number));
    number.ok_or(CompileError::NoMechanism {
        what: "a thousand packet queues in a row are taken",
    })
}
