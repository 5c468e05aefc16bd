//! Traffic flows as soon as whoever holds the fault is dead or stopped.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use firedrill_kernel::{Pidfd, ProcessIdentity, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bed::Bed;
use crate::drill::{program, wait_for};
use crate::{configuration, lay};

/// An owner that has delayed everything by 300 ms, and its guardian.
struct Owned {
    owner: Child,
    guardian: Pidfd,
    root: TempDir,
}

const LEASE_MS: &str = "2000";
const DELAYED: Duration = Duration::from_millis(300);

impl Owned {
    fn begin(bed: &Bed) -> Self {
        let root = tempfile::tempdir().unwrap();
        let arguments = json!({"delay": "300ms", "mechanism": "netem"}).to_string();
        let target = json!({"namespace": bed.near.name}).to_string();
        let mut owner = Command::new(program())
            .arg("owner")
            .arg(root.path())
            .args([LEASE_MS, "switching.latency", &arguments, &target])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(owner.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let begun: Value = serde_json::from_str(&line).unwrap();
        let pid = begun["guardian"]
            .as_u64()
            .unwrap_or_else(|| panic!("{begun}"));
        let guardian = ProcessIdentity::of(u32::try_from(pid).unwrap()).unwrap();
        assert!(bed.round_trip().unwrap() >= DELAYED);
        Self {
            owner,
            guardian: Pidfd::open(&guardian.unwrap()).unwrap().unwrap(),
            root,
        }
    }

    fn kill_owner(&mut self) {
        self.owner.kill().unwrap();
        self.owner.wait().unwrap();
    }

    fn recover(&self) -> Value {
        let mut command = Command::new(program());
        let output = command
            .arg("recover")
            .arg(self.root.path())
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.owner.kill();
        let _ = self.owner.wait();
    }
}

fn flows(bed: &Bed) -> bool {
    bed.round_trip().is_some_and(|time| time < DELAYED / 2)
}

#[test]
fn netem_is_undone_by_the_guardian_of_a_dead_owner() {
    let Some(bed) = lay() else { return };
    let before = configuration(&bed);
    let mut owned = Owned::begin(&bed);
    owned.kill_owner();
    wait_for("the undo", || configuration(&bed) == before);
    assert!(flows(&bed));
}

#[test]
fn netem_is_not_led_into_when_the_guardian_is_dead_and_recovery_removes_it() {
    let Some(bed) = lay() else { return };
    let before = (configuration(&bed), bed.snapshot());
    let mut owned = Owned::begin(&bed);
    owned.guardian.send(Signal::Kill).unwrap();
    assert!(
        owned
            .guardian
            .wait_for_exit(Duration::from_secs(30))
            .unwrap()
    );
    // The kernel removes a table whose owner is dead a moment later.
    wait_for("the table's end", || {
        !bed.near
            .run("nft", &["list", "tables"])
            .contains("firedrill")
    });
    assert!(flows(&bed));
    assert_ne!(configuration(&bed), before.0, "nobody has removed the root");
    owned.kill_owner();
    let recovered = owned.recover();
    assert_eq!(recovered["left"], 0, "{recovered}");
    assert_eq!(
        recovered["recovered"][0]["residue"],
        json!([]),
        "{recovered}"
    );
    assert_eq!((configuration(&bed), bed.snapshot()), before);
}

#[test]
fn netem_is_not_led_into_when_a_stopped_guardian_has_lost_its_lease() {
    let Some(bed) = lay() else { return };
    let before = configuration(&bed);
    let owned = Owned::begin(&bed);
    owned.guardian.send(Signal::Stop).unwrap();
    wait_for("the lease's end", || flows(&bed));
    assert_ne!(configuration(&bed), before, "nobody has removed the root");
    owned.guardian.send(Signal::Cont).unwrap();
    wait_for("the undo", || configuration(&bed) == before);
}
