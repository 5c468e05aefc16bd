use std::time::{Duration, Instant};

use firedrill_faults::Target;
use firedrill_undo::Quantity;
use serde_json::json;

use crate::drill::Drill;

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
