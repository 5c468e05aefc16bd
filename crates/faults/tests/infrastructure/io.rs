use std::time::{Duration, Instant};

use firedrill_faults::Target;
use firedrill_undo::Quantity;
use serde_json::json;

use crate::drill::{Drill, compile};
use crate::places::OwnMount;

const IO: &str = "infrastructure.io";
const MIB: f64 = (1 << 20) as f64;

/// Bytes that a process asked to read and to write so far.
fn asked(pid: u32) -> (f64, f64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let field = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    };
    (field("rchar:"), field("wchar:"))
}

#[test]
fn reads_writes_and_both_run_at_the_rate_that_proc_sees() {
    let directory = tempfile::tempdir().unwrap();
    for (mode, reads, writes) in [
        ("read", true, false),
        ("write", false, true),
        ("mixed", true, true),
    ] {
        let arguments = json!({
            "path": directory.path(), "mode": mode, "rate": "8MiB", "block-size": "64KiB",
            "file-size": "4MiB", "workers": 2,
        });
        let placed = Drill::begin().apply(IO, &arguments, Target::Host);
        let worker = placed.workers()[0];
        let (start, before) = (Instant::now(), asked(worker));
        crate::drill::pause(Duration::from_secs(3));
        let after = asked(worker);
        let time = start.elapsed().as_secs_f64();
        let (read, written) = (
            (after.0 - before.0) / time / MIB,
            (after.1 - before.1) / time / MIB,
        );
        let figure = placed.figure(Quantity::BytesPerSecond);
        eprintln!("io {mode}: /proc says {read:.2} + {written:.2} MiB/s, we say {figure}");
        assert_eq!(reads, read > 1.0, "{read}");
        assert_eq!(writes, written > 1.0, "{written}");
        // A device that is slower than asked is told, not hidden.
        assert!(read + written < 9.0);
        assert!(
            (figure.achieved / MIB - read - written).abs() < 2.0,
            "{figure}"
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        placed.revert();
    }
}

/// Calls of read and of write so far.
fn calls(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let fields = text
        .lines()
        .filter(|line| line.starts_with("syscr:") || line.starts_with("syscw:"));
    fields
        .map(|line| line.split(' ').nth(1).unwrap().parse::<f64>().unwrap())
        .sum()
}

#[test]
fn files_threads_and_requests_are_as_many_and_as_large_as_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = json!({
        "path": directory.path(), "rate": "4MiB", "block-size": "128KiB", "file-size": "3MiB",
        "workers": 3, "mode": "read",
    });
    let placed = Drill::begin().apply(IO, &arguments, Target::Host);
    let worker = placed.workers()[0];
    let (read, before) = (asked(worker).0, calls(worker));
    crate::drill::pause(Duration::from_secs(2));
    let size = (asked(worker).0 - read) / (calls(worker) - before);
    // What the worker says to its guardian is read and written, too.
    assert!(
        (100_000.0..=131_072.0).contains(&size),
        "{size} bytes a request"
    );
    let files = std::fs::read_dir(format!("/proc/{worker}/fd")).unwrap();
    let lengths = files.filter_map(|fd| {
        let fd = fd.unwrap().path();
        let name = std::fs::read_link(&fd).ok()?;
        name.starts_with(directory.path())
            .then(|| std::fs::metadata(&fd).unwrap().len())
    });
    assert_eq!(lengths.collect::<Vec<_>>(), [3 << 20; 3]);
    let tasks = std::fs::read_dir(format!("/proc/{worker}/task")).unwrap();
    let names =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
    eprintln!(
        "io: threads {:?}, {size:.0} bytes a request",
        names.collect::<Vec<_>>()
    );
    placed.revert();
}

#[test]
fn files_that_would_not_leave_the_reserve_are_refused() {
    let Some(mount) = OwnMount::tmpfs("size=32m") else {
        return;
    };
    let files = |reserve: &str| {
        let arguments = json!({"path": mount.path(), "file-size": "16MiB", "reserve": reserve});
        compile(IO, &arguments, &[Target::Host])
    };
    assert!(files("8MiB").is_ok());
    let refused = files("17MiB").unwrap_err().to_string();
    assert!(refused.contains("beside the reserve of"), "{refused}");
}
