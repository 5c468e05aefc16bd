//! A Python new enough for the newest Chaos Toolkit, and environments that hold packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::workspace;

/// The oldest Python that the pinned Chaos Toolkit installs on.
const WANTED: (u32, u32) = (3, 12);

/// An interpreter and its version.
#[derive(Debug)]
pub(crate) struct Python {
    pub(crate) path: PathBuf,
    pub(crate) version: (u32, u32),
}

/// The newest Python to be had, on the PATH or from pyenv.
pub(crate) fn find() -> Option<Python> {
    let mut candidates: Vec<PathBuf> = (8..=14).map(|m| format!("python3.{m}").into()).collect();
    candidates.push("python3".into());
    if let Some(home) = std::env::var_os("HOME") {
        let versions = Path::new(&home).join(".pyenv/versions");
        let found = std::fs::read_dir(versions).into_iter().flatten().flatten();
        candidates.extend(found.map(|v| v.path().join("bin/python")));
    }
    candidates
        .into_iter()
        .filter_map(inspect)
        .max_by_key(|p| p.version)
}

fn inspect(path: PathBuf) -> Option<Python> {
    let script = "import sys, venv, ensurepip; print(*sys.version_info[:2])";
    let text = workspace::output(Command::new(&path).args(["-c", script]))?;
    let (major, minor) = text.split_once(' ')?;
    Some(Python {
        path,
        version: (major.parse().ok()?, minor.parse().ok()?),
    })
}

impl Python {
    pub(crate) fn is_new_enough(&self) -> bool {
        self.version >= WANTED
    }
}

/// The virtual environment of this name with these packages, made or brought up to date.
pub(crate) fn environment(name: &str, requirements: &Path) -> anyhow::Result<PathBuf> {
    let python = find().context("no Python 3 with venv and ensurepip was found")?;
    let venv = workspace::target().join("compat").join(name);
    let pinned = std::fs::read_to_string(requirements)
        .with_context(|| requirements.display().to_string())?;
    let wanted = if python.is_new_enough() {
        pinned
    } else {
        unpinned(&pinned)
    };
    let stamp = format!("{:?}\n{wanted}", python.version);
    let stamp_file = venv.join("firedrill-requirements.txt");
    if std::fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
        return Ok(venv);
    }
    let (major, minor) = python.version;
    if !python.is_new_enough() {
        eprintln!(
            "only Python {major}.{minor} was found; using the newest release that runs on it"
        );
    }
    let list = requirements.display();
    eprintln!("installing for Python {major}.{minor} what {list} lists");
    workspace::succeed(
        Command::new(&python.path)
            .args(["-m", "venv", "--clear"])
            .arg(&venv),
    )?;
    let list = venv.join("wanted.txt");
    std::fs::write(&list, wanted)?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ];
    workspace::succeed(Command::new(venv.join("bin/python")).args(pip).arg(&list))?;
    std::fs::write(&stamp_file, stamp)?;
    Ok(venv)
}

fn unpinned(requirements: &str) -> String {
    let lines = requirements
        .lines()
        .map(|l| l.split("==").next().unwrap_or(l));
    lines.collect::<Vec<_>>().join("\n")
}
