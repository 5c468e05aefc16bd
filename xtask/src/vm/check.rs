//! Boots, and shows that everything the tests lean on works: inside, and from outside.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use super::{Ended, Spec, start};
use crate::workspace;

const LIMIT: Duration = Duration::from_secs(120);
const SCRIPT: &str = include_str!("check.sh");

/// Arithmetic in the shell, which is the same program inside and outside.
const LOOP: &str = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done";

pub(super) fn run() -> anyhow::Result<ExitCode> {
    inside()?;
    speed()?;
    power_cut_and_reboot()?;
    Ok(ExitCode::SUCCESS)
}

/// In virtual time, so that its bounds can be narrow.
fn inside() -> anyhow::Result<()> {
    let spec = Spec {
        tools: ["tc", "nft"].map(String::from).to_vec(),
        virtual_time: true,
        shown: true,
        ..shell(SCRIPT, None)
    };
    let outcome = start(&spec)?.wait()?;
    ensure!(
        outcome.exit == Some(0),
        "something is missing: {outcome:#?}"
    );
    ensure!(outcome.ended == Ended::PoweredOff, "{:?}", outcome.ended);
    Ok(())
}

/// How long a boot takes, and how much slower than the host the guest then is, roughly.
fn speed() -> anyhow::Result<()> {
    let script = format!("read a b </proc/uptime; {LOOP}; read c d </proc/uptime; echo $a $c");
    let outcome = start(&shell(&script, None))?.wait()?;
    let times: Vec<f64> = outcome
        .output
        .split_whitespace()
        .flat_map(str::parse)
        .collect();
    let ([begin, end], Some(boot)) = (&times[..], outcome.boot_seconds) else {
        bail!("no two times: {outcome:#?}");
    };
    let began = Instant::now();
    workspace::succeed(Command::new("sh").args(["-c", LOOP]))?;
    let host = began.elapsed().as_secs_f64();
    println!("boot         {boot:.1} s to the command");
    println!("speed        1/{:.0} of the host", (end - begin) / host);
    Ok(())
}

/// What was synced is there after a power cut; what was not is not claimed.
fn power_cut_and_reboot() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("disk.img");
    let script = "echo kept >/disk/file; sync /disk/file; echo synced; sleep 1000";
    let mut machine = start(&shell(script, Some(&disk)))?;
    machine.wait_for_line("synced")?;
    let cut = machine.cut_power()?;
    ensure!(
        cut.ended == Ended::Killed && cut.exit.is_none(),
        "a machine without power: {cut:#?}"
    );
    let back = start(&shell("cat /disk/file; reboot -f", Some(&disk)))?.wait()?;
    ensure!(back.output == "kept\n", "after the power cut: {back:#?}");
    println!("power cut    what was synced is there after the next boot");
    ensure!(back.ended == Ended::Rebooted, "{back:#?}");
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
        virtual_time: false,
        systemd: false,
        limit: LIMIT,
        command: ["sh", "-c", script].map(String::from).to_vec(),
        shown: false,
    }
}
