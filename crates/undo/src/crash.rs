//! Steps at which a test can make this process kill itself; compiled in for tests only.

/// What [`at`] may be told, by `FIREDRILL_CRASH_AT`. A test goes through all of them.
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

/// Kills this process with SIGKILL if the test asked for this step.
#[cfg(feature = "crash-points")]
pub(crate) fn at(subject: &str, moment: &str) {
    if is_chosen(subject, moment) {
        // SIGKILL cannot fail on oneself, and does not return.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Whether the test asked for this step, so that the caller can prepare a half-done state.
#[cfg(feature = "crash-points")]
pub(crate) fn is_chosen(subject: &str, moment: &str) -> bool {
    std::env::var("FIREDRILL_CRASH_AT")
        .is_ok_and(|step| step.split_once('.') == Some((subject, moment)))
}

#[cfg(not(feature = "crash-points"))]
pub(crate) const fn at(_subject: &str, _moment: &str) {}

#[cfg(not(feature = "crash-points"))]
pub(crate) const fn is_chosen(_subject: &str, _moment: &str) -> bool {
    false
}
