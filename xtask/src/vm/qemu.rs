//! A running machine: QEMU's process, its events, and what the guest prints.
//!
//! QEMU's standard input is its QMP socket, its standard output the guest's port 1. So there
//! are no paths to agree on, and both end when the process does, however it ends.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::{Ended, Outcome, Spec};

/// A machine that is on. Dropping it cuts its power.
#[derive(Debug)]
pub(crate) struct Machine {
    qemu: Child,
    /// Console, exit code and QEMU's own complaints.
    files: TempDir,
    events: Receiver<Event>,
    turned_on: Instant,
    limit: Duration,
    shown: bool,
    output: Vec<u8>,
    booted: Option<Instant>,
    ended: Option<Ended>,
}

/// A machine's folder: this, the pid of who turned it on, and something random.
const RUN: &str = "run-";

#[derive(Debug)]
enum Event {
    Output(Vec<u8>),
    /// The guest opened its port 1, to run the command.
    Booted(Instant),
    Ended(Ended),
}

impl Machine {
    pub(super) fn turn_on(
        spec: &Spec,
        kernel: &Path,
        initramfs: &[u8],
        home: &Path,
    ) -> anyhow::Result<Self> {
        remove_leftovers(home);
        let name = format!("{RUN}{}-", std::process::id());
        let files = tempfile::Builder::new().prefix(&name).tempdir_in(home)?;
        std::fs::write(files.path().join("initramfs"), initramfs)?;
        let (mut control, its_control) = UnixStream::pair()?;
        let (output, its_output) = UnixStream::pair()?;
        let mut command = command(spec, kernel)?;
        command
            .current_dir(&files)
            .stdin(OwnedFd::from(its_control))
            .stdout(OwnedFd::from(its_output))
            .stderr(File::create(files.path().join("complaints"))?);
        let turned_on = Instant::now();
        let qemu = command.spawn().context("cannot start setpriv")?;
        // It holds QEMU's ends; with them open, ours would never see the end.
        drop(command);
        // Without this greeting QMP reports no events. If QEMU did not start, its complaint
        // is worth more than this error.
        let _ = control.write_all(b"{\"execute\": \"qmp_capabilities\"}\n");
        let (to_us, events) = channel();
        let also_to_us = to_us.clone();
        std::thread::spawn(move || forward_output(output, &to_us));
        std::thread::spawn(move || forward_events(control, &also_to_us));
        Ok(Self {
            qemu,
            files,
            events,
            turned_on,
            limit: spec.limit,
            shown: spec.shown,
            output: Vec::new(),
            booted: None,
            ended: None,
        })
    }

    /// Until the output has a line that contains this; an error if it ends or is late before.
    pub(crate) fn wait_for_line(&mut self, text: &str) -> anyhow::Result<()> {
        let mut waiting = true;
        while waiting {
            waiting = self.next_event() == Next::Taken;
            let output = String::from_utf8_lossy(&self.output);
            // A line is there when its end is.
            let whole = output.rsplit_once('\n').map_or("", |(lines, _)| lines);
            if whole.lines().any(|line| line.contains(text)) {
                return Ok(());
            }
        }
        bail!(
            "the machine never printed `{text}`, but:\n{}\n{}",
            String::from_utf8_lossy(&self.output),
            self.text_of("console")
        );
    }

    /// To the machine's own end, or to its limit.
    pub(crate) fn wait(mut self) -> anyhow::Result<Outcome> {
        let ended = loop {
            match self.next_event() {
                Next::Taken => {}
                Next::Late => {
                    self.kill()?;
                    break Ended::TimedOut;
                }
                Next::Gone => break self.how_it_ended()?,
            }
        };
        Ok(self.outcome(ended))
    }

    /// Kills it where it stands. What the guest had synced is on its disk; what only the
    /// guest's memory held is lost. What QEMU acknowledged without a sync stays too, where
    /// a real disk with a volatile cache might lose it.
    pub(crate) fn cut_power(mut self) -> anyhow::Result<Outcome> {
        self.kill()?;
        while self.next_event() == Next::Taken {}
        let ended = self.ended.unwrap_or(Ended::Killed);
        Ok(self.outcome(ended))
    }

    fn next_event(&mut self) -> Next {
        let left = self.limit.saturating_sub(self.turned_on.elapsed());
        match self.events.recv_timeout(left) {
            Ok(Event::Output(bytes)) => {
                if self.shown {
                    let mut out = std::io::stdout().lock();
                    // Whoever closed our output still wants the machine to end in order.
                    let _ = out.write_all(&bytes).and_then(|()| out.flush());
                }
                self.output.extend_from_slice(&bytes);
                Next::Taken
            }
            Ok(Event::Booted(at)) => {
                self.booted.get_or_insert(at);
                Next::Taken
            }
            Ok(Event::Ended(how)) => {
                self.ended = Some(how);
                Next::Taken
            }
            Err(RecvTimeoutError::Timeout) => Next::Late,
            Err(RecvTimeoutError::Disconnected) => Next::Gone,
        }
    }

    fn how_it_ended(&mut self) -> anyhow::Result<Ended> {
        let status = self.qemu.wait()?;
        let console = self.text_of("console");
        match self.ended {
            // Our `init.sh` failed, or the kernel did, perhaps before it could say why.
            Some(Ended::Rebooted) if self.booted.is_none() => {
                bail!("the machine did not boot; has it too little memory?\n{console}")
            }
            // With `panic=-1` the kernel answers a panic with a reboot.
            Some(Ended::Rebooted) if console.contains("Kernel panic") => Ok(Ended::Panicked),
            Some(ended) => Ok(ended),
            None if status.code().is_none() => Ok(Ended::Killed),
            None => bail!(
                "QEMU ended with {status}: {}",
                self.text_of("complaints").trim()
            ),
        }
    }

    fn outcome(&self, ended: Ended) -> Outcome {
        Outcome {
            exit: self.text_of("exit").trim().parse().ok(),
            output: String::from_utf8_lossy(&self.output).into_owned(),
            console: self.text_of("console"),
            boot_seconds: self
                .booted
                .map(|at| at.duration_since(self.turned_on).as_secs_f64()),
            ended,
        }
    }

    fn kill(&mut self) -> std::io::Result<()> {
        self.qemu.kill()?;
        self.qemu.wait().map(drop)
    }

    /// A file that QEMU writes; it may not have come to that.
    fn text_of(&self, name: &str) -> String {
        let bytes = std::fs::read(self.files.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Gone already, in most cases.
        let _ = self.kill();
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Taken,
    Late,
    Gone,
}

/// What interrupted runs left. Best effort: it is in nobody's way.
fn remove_leftovers(home: &Path) {
    for entry in std::fs::read_dir(home).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(RUN).and_then(|n| n.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn command(spec: &Spec, kernel: &Path) -> anyhow::Result<Command> {
    let qemu = "qemu-system-x86_64";
    if super::initramfs::find(qemu).is_err() {
        bail!("no {qemu}; Debian's package qemu-system-x86 is needed");
    }
    // setpriv becomes QEMU, which the kernel then kills when the thread that started it ends.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", qemu]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
    command.args(["-machine", "q35", "-accel", "tcg", "-cpu", "max"]);
    if spec.virtual_time {
        command.args(["-icount", "shift=0,sleep=off"]);
    }
    command.args(["-m", &spec.memory, "-smp", &spec.cpus.to_string()]);
    command.arg("-kernel").arg(std::path::absolute(kernel)?);
    command.args(["-initrd", "initramfs", "-append"]);
    // What the kernel does not know goes to the environment of the first process.
    let mut told = String::new();
    if spec.virtual_time {
        told += " FIREDRILL_VIRTUAL_TIME=1";
    }
    if spec.systemd {
        told += " systemd.unit=multi-user.target FIREDRILL_INIT=";
        told += super::initramfs::SYSTEMD;
    }
    command.arg(format!(
        "console=ttyS0 loglevel=4 panic=-1 mitigations=off{told}"
    ));
    command.args(["-chardev", "socket,id=control,fd=0"]);
    command.args(["-mon", "chardev=control,mode=control"]);
    command.args(["-serial", "file:console"]);
    command.args(["-device", "virtio-serial-pci"]);
    command.args(["-chardev", "socket,id=output,fd=1"]);
    command.args(["-device", "virtserialport,chardev=output,id=output,nr=1"]);
    command.args(["-chardev", "file,id=exit,path=exit"]);
    command.args(["-device", "virtserialport,chardev=exit,id=exit,nr=2"]);
    // A reboot ends QEMU, as a power off does; its event says which it was.
    command.arg("-no-reboot");
    if let Some(disk) = &spec.disk {
        let disk = std::path::absolute(disk)?.display().to_string();
        // The guest's flushes reach the image: writeback is QEMU's default and says so to
        // the guest, whose ext4 then flushes whenever a program syncs.
        let drive = disk.replace(',', ",,");
        command.arg("-drive");
        command.arg(format!("file={drive},format=raw,if=virtio,cache=writeback"));
    }
    Ok(command)
}

fn forward_output(mut output: UnixStream, to_us: &Sender<Event>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        if to_us.send(Event::Output(bytes.to_vec())).is_err() {
            return;
        }
    }
}

/// QEMU's events, from lines of JSON.
fn forward_events(control: UnixStream, to_us: &Sender<Event>) {
    for line in BufReader::new(control).lines() {
        let Ok(line) = line else { return };
        let message = serde_json::from_str::<Value>(&line).unwrap_or_default();
        if let Some(event) = event_of(&message)
            && to_us.send(event).is_err()
        {
            return;
        }
    }
}

/// Names as in QEMU's "QMP Reference Manual": `VSERPORT_CHANGE`, `SHUTDOWN`, `ShutdownCause`.
fn event_of(message: &Value) -> Option<Event> {
    let data = message.get("data")?;
    let word = |name: &str| data.get(name).and_then(Value::as_str);
    match message.get("event")?.as_str()? {
        "VSERPORT_CHANGE" => {
            let opened = data.get("open").and_then(Value::as_bool)?;
            (opened && word("id")? == "output").then(|| Event::Booted(Instant::now()))
        }
        "SHUTDOWN" => Some(Event::Ended(match word("reason")? {
            "guest-shutdown" => Ended::PoweredOff,
            "guest-reset" => Ended::Rebooted,
            "guest-panic" => Ended::Panicked,
            _ => Ended::Killed,
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(json: &str) -> Option<Ended> {
        match event_of(&serde_json::from_str(json).unwrap())? {
            Event::Ended(how) => Some(how),
            _ => None,
        }
    }

    #[test]
    fn a_reboot_and_a_power_off_are_told_apart() {
        let reset = r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}"#;
        let off = r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}"#;
        assert_eq!(ended(reset), Some(Ended::Rebooted));
        assert_eq!(ended(off), Some(Ended::PoweredOff));
    }

    #[test]
    fn only_the_opening_of_the_output_is_the_boot() {
        let change = |id: &str, open: bool| {
            event_of(&serde_json::json!({
                "event": "VSERPORT_CHANGE", "data": {"id": id, "open": open}
            }))
        };
        assert!(matches!(change("output", true), Some(Event::Booted(_))));
        assert!(change("output", false).is_none());
        assert!(change("exit", true).is_none());
    }
}
