//! The judge's numbers on random inputs beside those of savvi and scipy.

use std::process::{Command, Stdio};

use anyhow::Context;

use super::python;
use crate::workspace;

/// What `--filter` calls this.
const NAME: &str = "judge-oracles";

/// Whether it is among the cases that were asked for.
pub(crate) fn is_wanted(filter: Option<&str>) -> bool {
    filter.is_none_or(|filter| NAME.contains(filter))
}

/// True if every number is the same to the digits that the oracle has.
pub(crate) fn agree() -> anyhow::Result<bool> {
    let home = workspace::root().join("compat/judge");
    let venv = python::environment(&home.join("requirements.txt"), "oracles")?;
    let mut cases = workspace::cargo(["run", "--release", "--quiet"])
        .args(["--package", "firedrill-judge", "--example", "oracle_cases"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let numbers = cases.stdout.take().context("no standard output")?;
    let oracle = Command::new(venv.join("bin/python"))
        .arg(home.join("oracles.py"))
        .stdin(numbers)
        .status()
        .context("cannot start the oracles")?;
    // Both are waited for: half of the cases would all agree.
    Ok(cases.wait()?.success() && oracle.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_for_something_else_leaves_it_out() {
        assert!(is_wanted(None) && is_wanted(Some("judge")) && is_wanted(Some("oracles")));
        assert!(!is_wanted(Some("http")));
    }
}
