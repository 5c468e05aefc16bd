//! Processes of the bench, and time for them to get on.

use std::time::Duration;

use firedrill_kernel::process;
use rustix::process::Signal;

use crate::Outcome;

/// Processes of this very program with that first word, by pid.
pub(crate) fn our_processes(word: &str) -> Outcome<Vec<u32>> {
    let me = std::env::current_exe()?;
    let mut found = Vec::new();
    for pid in process::list()? {
        let same = std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == me);
        let words = || {
            process::command_line(pid)
                .ok()
                .flatten()
                .unwrap_or_default()
        };
        let alive = || matches!(process::stat(pid), Ok(Some(stat)) if !stat.is_gone());
        if same && words().get(1).is_some_and(|second| second == word) && alive() {
            found.push(pid);
        }
    }
    Ok(found)
}

pub(crate) fn workers() -> Outcome<Vec<u32>> {
    our_processes("worker")
}

/// Workers that have been told what to do: one whose guardian was stopped before that holds nothing,
/// and ends with it.
pub(crate) fn at_work() -> Outcome<Vec<u32>> {
    let at_work = |pid: &u32| {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        threads.into_iter().flatten().flatten().any(|thread| {
            std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name == "work\n")
        })
    };
    Ok(workers()?.into_iter().filter(at_work).collect())
}

/// Lets others get on, for half a millisecond.
pub(crate) fn rest() {
    wait(Duration::from_micros(500));
}

pub(crate) fn wait(time: Duration) {
    let limit = rustix::event::Timespec {
        tv_sec: time.as_secs().cast_signed(),
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    // Interrupted, it is only shorter.
    let _ = rustix::event::poll(&mut [], Some(&limit));
}

pub(crate) fn kill(pid: u32) -> Outcome<()> {
    signal(pid, Signal::KILL)
}

/// To a process of ours that cannot have been replaced by another within this run.
pub(crate) fn signal(pid: u32, signal: Signal) -> Outcome<()> {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).ok_or("not a pid")?;
    match rustix::process::kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Processes that do not end by themselves and whose last word is that, whoever started them.
pub(crate) fn with_last_word(word: &str) -> Outcome<Vec<(u32, process::Stat)>> {
    let mut found = Vec::new();
    for pid in process::list()? {
        let words = process::command_line(pid)?.unwrap_or_default();
        if words.last().is_some_and(|last| last == word)
            && let Some(stat) = process::stat(pid)?.filter(|stat| !stat.is_gone())
        {
            found.push((pid, stat));
        }
    }
    Ok(found)
}
