//! Waiting for what must come true.

use std::time::{Duration, Instant};

/// Far above anything measured: only a hang fails by it.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Waits for something that must come true; only a hang fails by time.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "still not: {what}");
        pause(Duration::from_millis(10));
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing here is to be halted")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
