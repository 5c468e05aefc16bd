//! A virtual machine: Debian's cloud kernel in QEMU, with a program of ours inside as root.
//!
//! - [`kernel`]: the kernel's package, and which modules the guest gets
//! - [`initramfs`]: the guest's files, as one archive in memory
//! - `init.sh`, `work.sh`: what the guest does, from its first process to power off; with systemd,
//!   the second is a service
//! - [`qemu`]: the process, its events, what the guest prints
//! - [`package`]: the tests of a package, run inside
//! - [`power_cut`]: faults in force when the power fails, and what the next boot finds
//! - [`host_end`]: a host that is rebooted and turned off by a drill, and the recovery at its boot
//! - [`check`]: boots, and shows that everything the tests lean on is there
//!
//! It deliberately has no network to the outside, no distribution inside, and no KVM: what a
//! test finds is the same on every machine that has the packages.

mod check;
mod host_end;
mod initramfs;
mod kernel;
mod package;
mod power_cut;
mod qemu;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Subcommand;

use crate::workspace;
use kernel::Kernel;
pub(crate) use qemu::Machine;

const DISK_SIZE: &str = "256M";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run a command inside as root; its exit code is ours
    Run(Spec),
    /// Run the tests of a package inside; after `--` what goes to each test binary
    Test(package::Arguments),
    /// Boot, and show what works inside
    Check,
    /// Cut the power while faults are in force; the next boot leaves nothing of them
    PowerCut(power_cut::Arguments),
    /// Reboot the machine by a drill, and turn it off; its boot recovers
    HostEnd,
}

/// A machine to be, and the command that it is for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Spec {
    /// A program of ours for /bin, with the libraries it needs
    #[arg(long = "binary", value_name = "PATH")]
    pub(crate) binaries: Vec<PathBuf>,
    /// A program of this host for /bin, such as `ip`, `tc` or `nft`
    #[arg(long = "tool", value_name = "NAME")]
    pub(crate) tools: Vec<String>,
    /// A file or folder of this host, inside at the same absolute path
    #[arg(long = "file", value_name = "PATH")]
    pub(crate) files: Vec<PathBuf>,
    /// A disk image for /disk, made (ext4, 256 MiB) if it is not there; it outlives the machine
    #[arg(long, value_name = "IMAGE")]
    pub(crate) disk: Option<PathBuf>,
    /// Memory, in QEMU's words: 512M, 2G
    #[arg(long, default_value = "1G")]
    pub(crate) memory: String,
    /// Processors; with one, timers inside are the most exact
    #[arg(long, default_value_t = 1)]
    pub(crate) cpus: u8,
    /// The guest's clock counts its instructions, one a nanosecond, and skips idle time: what
    /// it measures of itself is the same on a busy host. What waits for the disk or for
    /// this host then seems to take any time at all
    #[arg(long)]
    pub(crate) virtual_time: bool,
    /// This host's systemd as the first process, with nothing but the command to run, and the units
    /// that are in /disk/units as those of /etc
    #[arg(long)]
    pub(crate) systemd: bool,
    /// Killed after this many seconds, counted from power on
    #[arg(long = "timeout", value_name = "SECONDS", value_parser = seconds, default_value = "300")]
    pub(crate) limit: Duration,
    /// What runs inside, or the arguments of the tests
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
    /// Print what the command prints, as it comes
    #[arg(skip = true)]
    pub(crate) shown: bool,
}

/// How a machine ended, and what it left.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The command's exit code, 128 + n after signal n; none if the machine ended before it.
    pub(crate) exit: Option<u8>,
    /// What the command wrote, standard error included.
    pub(crate) output: String,
    /// The kernel's own messages.
    pub(crate) console: String,
    /// From power on to the command's start; none if it never started.
    pub(crate) boot_seconds: Option<f64>,
    pub(crate) ended: Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    PoweredOff,
    Rebooted,
    Panicked,
    /// By us or by a signal, as if the power had failed.
    Killed,
    TimedOut,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let spec = match &arguments.task {
        Task::Run(spec) => spec.clone(),
        Task::Test(package) => package.spec()?,
        Task::Check => return check::run(),
        Task::PowerCut(arguments) => return power_cut::run(arguments),
        Task::HostEnd => return host_end::run(),
    };
    ensure!(!spec.command.is_empty(), "no command, after `--`");
    let outcome = start(&spec)?.wait()?;
    if let Some(seconds) = outcome.boot_seconds {
        eprintln!("vm: {:?}; had booted in {seconds:.1} s", outcome.ended);
    }
    match outcome.exit {
        Some(code) => Ok(ExitCode::from(code)),
        None => {
            eprintln!("{}", outcome.console);
            eprintln!("vm: no exit code; it ended as {:?}", outcome.ended);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Turns a machine on. It goes with the thread that did, at the latest.
pub(crate) fn start(spec: &Spec) -> anyhow::Result<Machine> {
    let home = workspace::target().join("vm");
    let kernel = Kernel::find_or_fetch(&home)?;
    let initramfs = initramfs::build(&kernel, spec)?;
    if let Some(disk) = spec.disk.as_deref().filter(|d| !d.exists()) {
        make_disk(disk)?;
    }
    Machine::turn_on(spec, &kernel.image(), &initramfs, &home)
}

fn make_disk(image: &Path) -> anyhow::Result<()> {
    let mut mkfs = Command::new("/sbin/mkfs.ext4");
    mkfs.arg("-q").arg(image).arg(DISK_SIZE);
    workspace::succeed(mkfs.stdout(Stdio::null()))
        .with_context(|| format!("cannot make {} (with e2fsprogs)", image.display()))
}

fn seconds(text: &str) -> anyhow::Result<Duration> {
    let seconds = text.parse()?;
    ensure!(seconds > 0, "at least one second");
    Ok(Duration::from_secs(seconds))
}
