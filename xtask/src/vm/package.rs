//! The tests of a package, built outside and run inside as root.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::Spec;
use crate::workspace;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The package, as `cargo test` knows it
    #[arg(long, value_name = "NAME")]
    package: String,
    /// Only this test binary of it; may be given again
    #[arg(long = "test", value_name = "NAME")]
    tests: Vec<String>,
    #[command(flatten)]
    machine: Spec,
}

/// Every test binary in turn, with our arguments; all run, and one failure fails all.
const SCRIPT: &str = r#"
binaries=$1; shift; failed=0
for binary in $binaries; do echo "--- $binary"; "$binary" "$@" || failed=1; done
exit $failed
"#;

impl Arguments {
    /// Builds the tests; the machine then has them as its command.
    pub(super) fn spec(&self) -> anyhow::Result<Spec> {
        let words = ["test", "--no-run", "--quiet", "--message-format", "json"];
        let mut cargo = workspace::cargo(words);
        cargo.args(["--package", &self.package]);
        for test in &self.tests {
            cargo.args(["--test", test]);
        }
        let built = cargo.stderr(Stdio::inherit()).output().context("cargo")?;
        ensure!(built.status.success(), "the tests do not compile");
        let binaries = test_binaries(&String::from_utf8_lossy(&built.stdout));
        ensure!(!binaries.is_empty(), "{} has no tests", self.package);
        let names = binaries
            .iter()
            .filter_map(|path| path.file_name()?.to_str());
        let names = names.collect::<Vec<_>>().join(" ");
        let mut spec = self.machine.clone();
        let head = ["sh", "-c", SCRIPT, "sh", &names].map(String::from);
        spec.command.splice(..0, head);
        spec.binaries.extend(binaries);
        Ok(spec)
    }
}

/// From cargo's messages, one JSON object a line.
fn test_binaries(messages: &str) -> Vec<PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let tests = messages.filter(|m| m.pointer("/profile/test") == Some(&Value::Bool(true)));
    tests
        .filter_map(|m| m.get("executable")?.as_str().map(PathBuf::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"
{"reason": "compiler-artifact", "profile": {"test": false}, "executable": "/t/program"}
{"reason": "compiler-artifact", "profile": {"test": true}, "executable": "/t/deps/unit-1"}
{"reason": "build-finished", "success": true}"#;

    #[test]
    fn only_what_was_built_as_a_test_is_one() {
        assert_eq!(test_binaries(MESSAGES), [PathBuf::from("/t/deps/unit-1")]);
    }
}
