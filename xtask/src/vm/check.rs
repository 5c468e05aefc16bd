//! Boots, and shows that everything the tests lean on works: inside, and from outside.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use super::{Ended, Outcome, Spec, start};
use crate::workspace;

const LIMIT: Duration = Duration::from_secs(120);
const SCRIPT: &str = include_str!("check.sh");

/// Arithmetic in the shell, which is the same program inside and outside.
const LOOP: &str = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done";

pub(super) fn run() -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("disk.img");
    let inside = inside()?;
    println!(
        "boot         {:.1} s to the command",
        inside.boot_seconds.unwrap_or_default()
    );
    speed()?;
    power_cut(&disk)?;
    reboot(&disk)?;
    Ok(ExitCode::SUCCESS)
}

fn inside() -> anyhow::Result<Outcome> {
    let mut spec = shell(SCRIPT, None);
    spec.tools = ["tc", "nft"].map(String::from).to_vec();
    spec.shown = true;
    let outcome = start(&spec)?.wait()?;
    ensure!(
        outcome.exit == Some(0),
        "it is not as it should be: {outcome:#?}"
    );
    ensure!(outcome.ended == Ended::PoweredOff, "{:?}", outcome.ended);
    Ok(outcome)
}

/// How much slower than the host, roughly.
fn speed() -> anyhow::Result<()> {
    let script = format!("read a b </proc/uptime; {LOOP}; read c d </proc/uptime; echo $a $c");
    let outcome = start(&shell(&script, None))?.wait()?;
    let times: Vec<f64> = outcome
        .output
        .split_whitespace()
        .flat_map(str::parse)
        .collect();
    let [begin, end] = times[..] else {
        bail!("no two times: {outcome:#?}");
    };
    let began = Instant::now();
    workspace::succeed(Command::new("sh").args(["-c", LOOP]))?;
    let host = began.elapsed().as_secs_f64();
    println!("speed        1/{:.0} of the host", (end - begin) / host);
    Ok(())
}

/// What was synced is there after a power cut; what was not is not claimed.
fn power_cut(disk: &Path) -> anyhow::Result<()> {
    let script = "echo kept >/disk/file; sync /disk/file; echo synced; sleep 1000";
    let mut machine = start(&shell(script, Some(disk)))?;
    machine.wait_for_line("synced")?;
    let outcome = machine.cut_power()?;
    ensure!(outcome.ended == Ended::Killed, "{:?}", outcome.ended);
    ensure!(
        outcome.exit.is_none(),
        "a cut machine cannot have an exit code"
    );
    let back = start(&shell("cat /disk/file", Some(disk)))?.wait()?;
    ensure!(
        back.output.trim() == "kept",
        "after the power cut: {back:#?}"
    );
    println!("power cut    what was synced is there after the next boot");
    Ok(())
}

fn reboot(disk: &Path) -> anyhow::Result<()> {
    let outcome = start(&shell("reboot -f", Some(disk)))?.wait()?;
    ensure!(outcome.ended == Ended::Rebooted, "{outcome:#?}");
    println!("reboot       is told from a power off");
    Ok(())
}

fn shell(script: &str, disk: Option<&Path>) -> Spec {
    Spec {
        binaries: Vec::new(),
        tools: Vec::new(),
        files: Vec::new(),
        disk: disk.map(Path::to_path_buf),
        memory: "512M".into(),
        cpus: 1,
        limit: LIMIT,
        command: ["sh", "-c", script].map(String::from).to_vec(),
        shown: false,
    }
}
