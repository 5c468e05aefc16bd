//! What needs a kernel to break: the kill steps here, and another kernel in a virtual machine.

use std::process::Command;

use super::packages::is_program;
use super::{End, cargo, ended, task};
use crate::workspace;

/// Every fault, its guardian killed at every step of its log: nothing is left. The whole matrix is
/// `cargo xtask bench kill`.
pub(super) fn kill_steps() -> End {
    if let Err(why) = privileged(&["ip", "nft", "tc", "ss", "iptables-legacy"]) {
        return End::Skipped(why);
    }
    // As the tests have built it, so that nothing is built twice.
    match cargo(&["build", "--workspace", "--examples", "--quiet"]) {
        End::Passed => {
            let binary = workspace::target().join("debug/examples/bench_faults");
            ended(Command::new(binary).args(["kill", "short=1"]))
        }
        failed => failed,
    }
}

/// That the machine boots, and that everything the tests lean on is in it.
pub(super) fn machine() -> End {
    match can_boot() {
        Ok(()) => task(&["vm", "check"]),
        Err(why) => End::Skipped(why),
    }
}

/// What this host's kernel lacks: netem, and cgroup v2 with its controllers.
pub(super) fn machine_kernel() -> End {
    if let Err(why) = can_boot() {
        return End::Skipped(why);
    }
    let words = [
        "vm",
        "test",
        "--package",
        "firedrill-kernel",
        "--tool",
        "nft",
    ];
    let tools = ["--tool", "tc", "--tool", "ip", "--timeout", "600", "--"];
    task(&[&words[..], &tools, &["qdisc::", "cgroup::", "link::"]].concat())
}

/// What the infrastructure faults need of a host and this one may lack: cgroup v2 with its
/// controllers, and the right to spare a guardian from the out-of-memory killer.
pub(super) fn machine_infrastructure() -> End {
    if let Err(why) = can_boot() {
        return End::Skipped(why);
    }
    let package = ["--package", "firedrill-faults"];
    let example = ["build", "--quiet", "--example", "one_fault"];
    let built = cargo(&[&example[..], &package].concat());
    if !matches!(built, End::Passed) {
        return built;
    }
    let program = workspace::target().join("debug/examples/one_fault");
    let program = program.to_string_lossy();
    let test = ["vm", "test", "--test", "infrastructure"];
    let with = ["--binary", &program, "--tool", "setpriv", "--tool", "nice"];
    // One at a time: there is one processor, and each measures.
    let one = ["--timeout", "600", "--", "--test-threads", "1"];
    // Clocks and file systems are the same on every host.
    let tests = ["cpu::", "memory::", "process_pause::", "tables::"];
    let deaths = ["load_in_a_cgroup", "a_throttle_ends", "--nocapture"];
    measured(&[&test[..], &package, &with, &one, &tests, &deaths].concat())
}

/// The faults by netem: times in virtual time, where they do not depend on how busy the host is; the
/// rest without, which is quicker.
pub(super) fn machine_netem() -> End {
    if let Err(why) = can_boot() {
        return End::Skipped(why);
    }
    let package = ["--package", "firedrill-faults"];
    let example = ["build", "--quiet", "--example", "effector"];
    let built = cargo(&[&example[..], &package].concat());
    if !matches!(built, End::Passed) {
        return built;
    }
    let effector = workspace::target().join("debug/examples/effector");
    let effector = effector.to_string_lossy();
    let test = ["vm", "test", "--test", "netem", "--binary", &effector];
    let tools = [
        "--tool", "ip", "--tool", "tc", "--tool", "nft", "--tool", "ping",
    ];
    // One at a time: there is one processor, and each measures.
    let one = [
        "--timeout",
        "900",
        "--",
        "--test-threads",
        "1",
        "--nocapture",
    ];
    let run = |clock: &[&str], tests: &[&str]| {
        measured(&[&test[..], &package, &tools, clock, &one, tests].concat())
    };
    let exact = ["delays::", "rates::", "overtake"];
    match run(&["--virtual-time"], &exact) {
        End::Passed => run(
            &[],
            &[
                "deaths::",
                "filters::",
                "shares::",
                "standing::",
                "--skip",
                "overtake",
            ],
        ),
        failed => failed,
    }
}

/// A task that measures: what fails is run once more before it counts, as nextest does on the host.
fn measured(words: &[&str]) -> End {
    match task(words) {
        End::Failed(why) => {
            println!("measured again, for the first time failed: {why}");
            task(words)
        }
        end => end,
    }
}

/// Faults whose effect outlives a process, and what is left of them after the power was cut.
pub(super) fn machine_power() -> End {
    match can_boot() {
        Ok(()) => task(&["vm", "power-cut"]),
        Err(why) => End::Skipped(why),
    }
}

/// A host that a drill reboots and turns off, and the recovery that systemd runs at its boot.
pub(super) fn machine_end() -> End {
    let possible = can_boot().and_then(|()| match lacking(&["systemctl"]) {
        Some(what) => Err(format!("no {what}")),
        None => Ok(()),
    });
    match possible {
        Ok(()) => task(&["vm", "host-end"]),
        Err(why) => End::Skipped(why),
    }
}

fn can_boot() -> Result<(), String> {
    let needed = [
        "qemu-system-x86_64",
        "busybox",
        "mkfs.ext4",
        "nft",
        "tc",
        "ping",
    ];
    lacking(&needed).map_or(Ok(()), |what| Err(format!("no {what}")))
}

fn privileged(programs: &[&str]) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("network namespaces take root".into());
    }
    lacking(programs).map_or(Ok(()), |what| Err(format!("no {what}")))
}

fn lacking(programs: &[&str]) -> Option<String> {
    let missing = programs.iter().filter(|program| !is_program(program));
    let missing: Vec<_> = missing.copied().collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}
