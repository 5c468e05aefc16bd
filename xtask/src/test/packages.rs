//! The system packages that the tests use, in one place.

use std::path::Path;
use std::process::{Command, Stdio};

use super::End;
use crate::workspace;

/// A Debian package, what shows that it is there, and what goes without it.
struct Package {
    name: &'static str,
    present: fn() -> bool,
    used_for: &'static str,
}

const PACKAGES: [Package; 2] = [
    Package {
        name: "python3-venv",
        present: || {
            let script = "import venv, ensurepip";
            workspace::output(Command::new("python3").args(["-c", script])).is_some()
        },
        used_for: "the comparison with the real Chaos Toolkit, and the Python provider",
    },
    Package {
        name: "procps",
        present: || workspace::output(Command::new("ps").arg("--version")).is_some(),
        used_for: "looking at processes from outside",
    },
];

/// Installs what is missing when this is root on a Debian-like machine.
pub(super) fn install() -> End {
    let missing: Vec<_> = PACKAGES.iter().filter(|p| !(p.present)()).collect();
    if missing.is_empty() {
        return End::Passed;
    }
    let names: Vec<_> = missing.iter().map(|p| p.name).collect();
    let has_apt = Path::new("/usr/bin/apt-get").exists();
    if !rustix::process::geteuid().is_root() || !has_apt {
        let told = missing
            .iter()
            .map(|p| format!("{} (for {})", p.name, p.used_for));
        return End::Skipped(format!(
            "not installed: {}",
            told.collect::<Vec<_>>().join(", ")
        ));
    }
    match apt(&["update", "--quiet"]).and_then(|()| {
        apt(&[
            &["install", "--quiet", "--yes", "--no-install-recommends"],
            &names[..],
        ]
        .concat())
    }) {
        Ok(()) => End::Passed,
        Err(error) => End::Skipped(format!("cannot install {}: {error:#}", names.join(", "))),
    }
}

fn apt(words: &[&str]) -> anyhow::Result<()> {
    workspace::succeed(
        Command::new("apt-get")
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null()),
    )
}
