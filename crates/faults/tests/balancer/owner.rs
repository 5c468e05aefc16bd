//! A drill in a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use firedrill_kernel::{Pidfd, Presence, ProcessIdentity, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LONG, MECHANISM, wait_for};

/// An owner that has applied a fault, and its guardian.
pub(crate) struct Owner {
    root: TempDir,
    child: Child,
    out: BufReader<ChildStdout>,
    input: ChildStdin,
    guardian: ProcessIdentity,
}

const LEASE_MS: &str = "10000";

impl Owner {
    pub(crate) fn begin(fault: &str, arguments: &Value) -> Self {
        Self::try_begin(fault, arguments).unwrap()
    }

    /// # Errors
    /// With the words of the refusal.
    pub(crate) fn try_begin(fault: &str, arguments: &Value) -> Result<Self, String> {
        let root = tempfile::tempdir().unwrap();
        let mut child = Command::new(program())
            .arg("owner")
            .arg(root.path())
            .args([LEASE_MS, fault, &arguments.to_string(), r#"{"host": true}"#])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let input = child.stdin.take().unwrap();
        let begun = line(&mut out);
        if let Some(refused) = begun["refused"].as_str() {
            child.wait().unwrap();
            wait_for("a refused fault leaves no log", || drills_left(&root) == 0);
            return Err(refused.to_owned());
        }
        assert_eq!(begun["mechanisms"], json!([MECHANISM]), "{begun}");
        let pid = u32::try_from(begun["guardian"].as_u64().unwrap()).unwrap();
        Ok(Self {
            root,
            child,
            out,
            input,
            guardian: ProcessIdentity::of(pid).unwrap().unwrap(),
        })
    }

    /// Asks the owner, which asks the guardian.
    pub(crate) fn ask(&mut self, what: &str) -> Value {
        writeln!(self.input, "{what}").unwrap();
        line(&mut self.out)
    }

    /// Seen whole, with what was measured by name.
    pub(crate) fn figure(&mut self, quantity: &str) -> Value {
        let seen = self.ask("observe");
        assert_eq!(seen["achieved"], seen["requested"], "{seen}");
        assert_eq!(seen["idle"], json!([]), "{seen}");
        let all = seen["measured"].as_array().unwrap();
        let one = all.iter().find(|one| one["quantity"] == quantity);
        one.unwrap_or_else(|| panic!("no {quantity}: {seen}"))
            .clone()
    }

    /// Takes it back; how many effects, and what is not as it was.
    pub(crate) fn revert(&mut self) -> (u64, Vec<Value>) {
        told(&self.ask("revert"))
    }

    /// The owner starts another guardian in place of a dead one.
    pub(crate) fn replace(&mut self) -> (u64, Vec<Value>) {
        told(&self.ask("replace"))
    }

    pub(crate) fn kill_owner(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn kill_guardian(&self) {
        let pidfd = Pidfd::open(&self.guardian).unwrap().unwrap();
        pidfd.send(Signal::Kill).unwrap();
        assert!(pidfd.wait_for_exit(LONG).unwrap());
    }

    /// A guardian whose owner is dead ends, whatever it could undo.
    pub(crate) fn wait_for_guardian(&self) {
        wait_for("the guardian has ended", || {
            !matches!(self.guardian.presence(), Ok(Presence::Alive))
        });
    }

    /// As `firedrill recover` does.
    pub(crate) fn recover(&self) -> Vec<(u64, Vec<Value>)> {
        let output = Command::new(program())
            .arg("recover")
            .arg(self.root.path())
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["recovered"]
            .as_array()
            .unwrap()
            .iter()
            .map(told)
            .collect()
    }

    /// No log, no lease, no lock.
    pub(crate) fn nothing_left(&self) -> bool {
        drills_left(&self.root) == 0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A living guardian has seen it, and undoes.
        self.wait_for_guardian();
    }
}

fn told(reverted: &Value) -> (u64, Vec<Value>) {
    let residue = reverted["residue"].as_array();
    let residue = residue.unwrap_or_else(|| panic!("{reverted}")).clone();
    (reverted["undone"].as_u64().unwrap(), residue)
}

fn drills_left(root: &TempDir) -> usize {
    std::fs::read_dir(root.path().join("drills")).map_or(0, Iterator::count)
}

fn line(out: &mut BufReader<ChildStdout>) -> Value {
    let mut text = String::new();
    out.read_line(&mut text).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// The example of this crate that acts as owner and as guardian.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let program = profile.join("examples/effector");
    assert!(
        program.exists(),
        "{} is built with the tests",
        program.display()
    );
    program
}
