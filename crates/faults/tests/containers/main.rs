//! Faults of containers on real engines, Docker and Podman, each started for the test, with a real
//! guardian. Needs root and the packages that `started` names; skipped by name without.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stdout,
    reason = "what was skipped, and what was measured"
)]

mod deaths;
mod drill;
mod ending;
mod measuring;
mod networks;
mod pausing;
#[path = "../../../container/tests/engines/started.rs"]
mod started;

use started::Started;

/// Runs a story on each engine that can be started here, and checks that nothing is left of it.
fn on_docker(story: impl FnOnce(&Started)) {
    on(Started::docker(), story);
}

fn on_podman(story: impl FnOnce(&Started)) {
    on(Started::podman(), story);
}

fn on(started: Result<Started, String>, story: impl FnOnce(&Started)) {
    match started {
        Ok(started) => {
            story(&started);
            let left = started.end();
            assert!(left.is_empty(), "left behind: {left:#?}");
        }
        Err(reason) => println!("skipped: {reason}"),
    }
}
