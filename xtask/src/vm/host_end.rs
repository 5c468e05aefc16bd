//! A host that a drill reboots, and turns off: seen from outside; and the recovery at boot, which
//! systemd runs, closes the drill's log.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;

use super::{Ended, Outcome, Spec, start};
use crate::workspace;

const SCRIPT: &str = include_str!("host_end.sh");
const LIMIT: Duration = Duration::from_secs(180);

pub(super) fn run() -> anyhow::Result<ExitCode> {
    let firedrill = workspace::build_firedrill()?;
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("disk.img");
    let boot = |word| -> anyhow::Result<Outcome> {
        let outcome = start(&spec(&firedrill, word, &disk))?.wait()?;
        print!("{}", outcome.output);
        Ok(outcome)
    };
    for (word, end) in [("reboot", Ended::Rebooted), ("shutdown", Ended::PoweredOff)] {
        let outcome = boot(word)?;
        // The script's own end would have left an exit code.
        ensure!(
            outcome.ended == end && outcome.exit.is_none(),
            "after {word}: {outcome:#?}"
        );
        println!("host-{word:8} from outside: {end:?}");
    }
    let last = boot("none")?;
    ensure!(last.exit == Some(0), "the last boot: {last:#?}");
    println!("recovered    at each boot, by systemd; nothing is left");
    Ok(ExitCode::SUCCESS)
}

fn spec(firedrill: &Path, word: &str, disk: &Path) -> Spec {
    Spec {
        binaries: vec![firedrill.to_path_buf()],
        tools: vec!["systemctl".into()],
        files: Vec::new(),
        disk: Some(disk.to_path_buf()),
        memory: "512M".into(),
        cpus: 1,
        virtual_time: false,
        systemd: true,
        limit: LIMIT,
        command: ["sh", "-c", SCRIPT, "sh", word].map(String::from).to_vec(),
        shown: false,
    }
}
