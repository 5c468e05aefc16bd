//! Waiting for what another process does, by looking now and then.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until `done` says so; false if the time is up first.
pub(crate) fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !done() {
        if Instant::now() >= deadline {
            return false;
        }
        pause(LOOK_EVERY);
    }
    true
}

/// The child's status, or nothing if it is still running at the limit.
pub(crate) fn exit(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let mut status = Ok(None);
    until(limit, || {
        status = child.try_wait();
        !matches!(status, Ok(None))
    });
    status
}

/// Lets another process get on.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells us when a foreign process gets somewhere"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
