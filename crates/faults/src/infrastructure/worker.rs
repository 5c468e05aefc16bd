//! What all faults that a worker process holds have in common.

use std::path::PathBuf;

use firedrill_undo::{Primitive, Work};
use firedrill_worker::Job;

use crate::fault::CompileError;

pub(super) const MECHANISMS: [&str; 1] =
    ["a worker process, in the cgroup of the target, where what starts later meets it as well"];

pub(super) const RECOVERY: &str = "the worker dies with its guardian, and by a timer of its own when the lease runs out; the \
     kernel takes back what it held; a reboot ends it";

pub(super) const NEEDS_CGROUP: &str =
    "for a cgroup or a process: the right to move a worker of ours into the cgroup";

/// One worker in each place, if the job is within its bounds.
pub(super) fn one_in_each(
    places: Vec<Vec<PathBuf>>,
    job: &Job,
) -> Result<Vec<Primitive>, CompileError> {
    job.validate().map_err(CompileError::Job)?;
    let work = |place| {
        Primitive::RunWorker(Work {
            job: job.clone(),
            place,
        })
    };
    Ok(places.into_iter().map(work).collect())
}
