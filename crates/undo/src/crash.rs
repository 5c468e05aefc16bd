//! Steps at which a test can make this process kill or stop itself; compiled in for tests only.

/// What [`at`] may be told, by `FIREDRILL_CRASH_AT` or `FIREDRILL_STOP_AT`. A test goes through all
/// of them.
#[cfg(feature = "crash-points")]
pub const STEPS: &[&str] = &[
    "opened.before-write",
    "opened.torn-write",
    "opened.after-write",
    "opened.before-sync",
    "opened.after-sync",
    "prepared.before-write",
    "prepared.torn-write",
    "prepared.after-write",
    "prepared.before-sync",
    "prepared.after-sync",
    "apply.before",
    "apply.between",
    "apply.after",
    "applied.before-write",
    "applied.torn-write",
    "applied.after-write",
    "undo.before",
    "undo.between",
    "undo.after",
    "done.before-write",
    "done.torn-write",
    "done.after-write",
    "done.before-sync",
    "done.after-sync",
    "ended.before-write",
    "ended.torn-write",
    "ended.after-write",
    "ended.before-sync",
    "ended.after-sync",
    "ended.before-removal",
];

/// Kills this process with SIGKILL, or stops it with SIGSTOP, if the test asked for that here. It
/// is stopped once, and a replacement is not: the test has acted by then.
#[cfg(feature = "crash-points")]
pub(crate) fn at(subject: &str, moment: &str) {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    static STOPPED: AtomicBool = AtomicBool::new(false);
    if is_told("FIREDRILL_CRASH_AT", subject, moment) {
        // SIGKILL cannot fail on oneself, and does not return.
        let _ = kill_process(getpid(), Signal::KILL);
    }
    let is_replacement = || std::env::args_os().any(|word| word == "--resume");
    if is_told("FIREDRILL_STOP_AT", subject, moment)
        && !is_replacement()
        && !STOPPED.swap(true, Ordering::Relaxed)
    {
        // It returns once somebody continues this process.
        let _ = kill_process(getpid(), Signal::STOP);
    }
}

/// Whether the test asked for this step, so that the caller can prepare a half-done state.
#[cfg(feature = "crash-points")]
pub(crate) fn is_chosen(subject: &str, moment: &str) -> bool {
    let told = |variable| is_told(variable, subject, moment);
    told("FIREDRILL_CRASH_AT") || told("FIREDRILL_STOP_AT")
}

#[cfg(feature = "crash-points")]
fn is_told(variable: &str, subject: &str, moment: &str) -> bool {
    std::env::var(variable).is_ok_and(|step| step.split_once('.') == Some((subject, moment)))
}

#[cfg(not(feature = "crash-points"))]
pub(crate) const fn at(_subject: &str, _moment: &str) {}

#[cfg(not(feature = "crash-points"))]
pub(crate) const fn is_chosen(_subject: &str, _moment: &str) -> bool {
    false
}
