//! Faults in force when the power is cut: the next boot finds their logs, discards what the reboot
//! has undone, and leaves nothing.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;

use super::{Ended, Outcome, Spec, start};
use crate::wait::pause;
use crate::workspace;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Cuts at other moments than when all faults are in force, from before the first on
    #[arg(long, default_value_t = 2)]
    moments: u32,
}

/// Injects every fault that outlives a process, each in a drill of its own.
const BEFORE: &str = include_str!("power_cut.sh");

/// The logs are there; after the recovery nothing is, and a second one has nothing to do.
const AFTER: &str = "
export FIREDRILL_STATE_DIR=/disk/state
drills() { ls /disk/state/drills 2>/dev/null | wc -l; }
echo \"drills before: $(drills)\"
firedrill recover || exit 1
firedrill recover >/dev/null || exit 1
echo \"drills after: $(drills)\"
tc qdisc show | grep -q netem && echo 'a netem is left'
exit 0
";

const LIMIT: Duration = Duration::from_secs(180);

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let firedrill = workspace::build_firedrill()?;
    let (in_force, drills) = cut(&firedrill, None)?;
    ensure!(drills > 0, "no log outlived the power: {in_force}");
    println!("{}", in_force.trim_end());
    println!("power cut    with {drills} drills in force: nothing is left after the next boot");
    for number in 0..arguments.moments {
        // From the beginning of the first drill on; emulated, they take some seconds.
        let moment = Duration::from_millis(300 + u64::from(number) * 1700);
        let (_, drills) = cut(&firedrill, Some(moment))?;
        println!(
            "power cut    {:.1} s after the start, {drills} drills in the log: nothing is left",
            moment.as_secs_f64()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What the machine said before, and how many drills the next boot found.
fn cut(firedrill: &Path, moment: Option<Duration>) -> anyhow::Result<(String, usize)> {
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("disk.img");
    let mut machine = start(&spec(firedrill, BEFORE, &disk))?;
    match moment {
        None => machine.wait_for_line("all are in force")?,
        Some(moment) => {
            machine.wait_for_line("beginning")?;
            pause(moment);
        }
    }
    let before = machine.cut_power()?;
    ensure!(before.ended == Ended::Killed, "{before:#?}");
    let after = start(&spec(firedrill, AFTER, &disk))?.wait()?;
    let drills = drills(&after, "drills before: ");
    ensure!(
        after.exit == Some(0)
            && drills.is_some()
            && self::drills(&after, "drills after: ") == Some(0)
            && !after.output.contains("is left"),
        "after the power cut: {after:#?}"
    );
    Ok((before.output, drills.unwrap_or_default()))
}

fn drills(outcome: &Outcome, head: &str) -> Option<usize> {
    let mut lines = outcome.output.lines();
    lines.find_map(|line| line.strip_prefix(head)?.trim().parse().ok())
}

fn spec(firedrill: &Path, script: &str, disk: &Path) -> Spec {
    Spec {
        binaries: vec![firedrill.to_path_buf()],
        tools: ["ip", "tc"].map(String::from).to_vec(),
        files: Vec::new(),
        disk: Some(disk.to_path_buf()),
        memory: "512M".into(),
        cpus: 1,
        virtual_time: false,
        systemd: false,
        limit: LIMIT,
        command: ["sh", "-c", script].map(String::from).to_vec(),
        shown: false,
    }
}
