//! What the faults are tried on: two network namespaces with traffic between them and foreign rules
//! in one, a process, a directory, a cgroup.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_faults::Target;
use firedrill_kernel::cgroup::{Controller, Hierarchy};
use firedrill_kernel::freezer::Version;
use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::{ProcessIdentity, process, realtime};
use tempfile::TempDir;

use crate::Outcome;
use crate::cases::{Aim, Case, Seen};
use crate::flow::Flow;

pub(crate) const NEAR: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);

/// Rules that are not ours and have to stay, byte for byte.
const FOREIGN: &str = "
table ip foreign-filter {
  set bad { type ipv4_addr; elements = { 192.0.2.9 }; }
  chain in { type filter hook input priority 0; policy accept; tcp dport 9999 drop; ip saddr @bad drop; }
}
";
const FOREIGN_NAT: &str = "-t nat -A POSTROUTING -d 192.0.2.7 -j MASQUERADE";

pub(crate) struct Bed {
    pub(crate) near: String,
    pub(crate) far: String,
    pub(crate) directory: TempDir,
    /// Holds owner, guardian and workers, so that all can be killed at once.
    pub(crate) cgroup: PathBuf,
    flow: Option<Flow>,
    victim: Option<Child>,
    /// CLOCK_REALTIME − CLOCK_MONOTONIC_RAW at the beginning, in nanoseconds.
    clock: i64,
}

/// Less than any case moves the clock, more than it drifts in a run.
const CLOCK_MOVED: u64 = 5_000_000;

impl Bed {
    pub(crate) fn new() -> Outcome<Self> {
        let stem = format!("firedrill-test-kill-{}", std::process::id());
        let mut bed = Self {
            near: format!("{stem}-near"),
            far: format!("{stem}-far"),
            directory: tempfile::Builder::new().prefix("bench-faults-").tempdir()?,
            cgroup: unified()?.join(format!("bench-faults-{}", std::process::id())),
            flow: None,
            victim: None,
            clock: realtime::offset().nanoseconds,
        };
        std::fs::create_dir(&bed.cgroup)?;
        bed.connect()?;
        bed.flow = Some(Flow::new(&bed.near, &bed.far, FAR)?);
        Ok(bed)
    }

    fn connect(&self) -> Outcome<()> {
        let (near, far) = (&self.near, &self.far);
        for name in [near, far] {
            run("ip", &["netns", "add", name])?;
            // Its detection of duplicates would change addresses under our eyes.
            self.exec(name, "sysctl -q net.ipv6.conf.default.disable_ipv6=1")?;
        }
        self.exec(near, "ip link add veth0 type veth peer name veth1")?;
        self.exec(near, &format!("ip link set veth1 netns {far}"))?;
        self.exec(near, &format!("ip addr add {NEAR}/24 dev veth0"))?;
        self.exec(far, &format!("ip addr add {FAR}/24 dev veth1"))?;
        for (name, link) in [(near, "lo"), (near, "veth0"), (far, "lo"), (far, "veth1")] {
            self.exec(name, &format!("ip link set {link} up"))?;
        }
        let file = self.directory.path().join("foreign.nft");
        std::fs::write(&file, FOREIGN)?;
        self.exec(near, &format!("nft -f {}", file.display()))?;
        self.exec(near, &format!("iptables-legacy {FOREIGN_NAT}"))
    }

    /// Since when nothing of a case is in force; nothing while it is.
    pub(crate) fn undisturbed_since(&mut self, case: &Case) -> Outcome<Option<Instant>> {
        let start = Instant::now();
        Ok(match case.seen {
            Seen::Traffic => self.flow.as_ref().and_then(Flow::since),
            Seen::Victim => {
                self.reap();
                let alive = self.victims()?;
                let all_run = alive.iter().all(|(_, stat)| !stat.state.is_stopped());
                let one = alive.len() == 1 && all_run && !self.is_frozen(&alive)?;
                one.then_some(start)
            }
            Seen::Worker => workers()?.is_empty().then_some(start),
            Seen::Clock => {
                let moved = realtime::offset().nanoseconds.abs_diff(self.clock);
                (moved < CLOCK_MOVED).then_some(start)
            }
        })
    }

    /// Waits for [`Self::undisturbed_since`]; nothing when it did not come within the limit.
    pub(crate) fn wait_undisturbed(
        &mut self,
        case: &Case,
        limit: Duration,
    ) -> Outcome<Option<Instant>> {
        let end = Instant::now() + limit;
        loop {
            let since = self.undisturbed_since(case)?;
            if since.is_some() || Instant::now() >= end {
                return Ok(since);
            }
            rest();
        }
    }

    /// Waits until a case is seen in force; `false` when it was not within the limit.
    pub(crate) fn wait_disturbed(&mut self, case: &Case, limit: Duration) -> Outcome<bool> {
        let end = Instant::now() + limit;
        while self.undisturbed_since(case)?.is_some() {
            if Instant::now() >= end {
                return Ok(false);
            }
            rest();
        }
        Ok(true)
    }

    /// The targets of a case; a victim that is gone is replaced.
    pub(crate) fn targets(&mut self, aim: Aim) -> Outcome<(String, Vec<Target>)> {
        let word = match aim {
            Aim::Near => format!("namespace={}", self.near),
            Aim::Host => "host=true".into(),
            Aim::Victim => format!("pid={}", self.one_victim()?),
        };
        let targets = targets(&word)?;
        Ok((word, targets))
    }

    pub(crate) fn arguments(&self, case: &Case) -> String {
        case.arguments
            .replace("%victim%", &tag())
            .replace("%dir%", &self.directory.path().display().to_string())
    }

    /// What a command prints in a network namespace.
    pub(crate) fn output(namespace: &str, script: &str) -> Outcome<String> {
        let open = NetNamespace::named(namespace)?;
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        let output = open.within(|| Ok::<_, firedrill_kernel::KernelError>(command.output()))??;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn exec(&self, namespace: &str, command: &str) -> Outcome<()> {
        let mut words = vec!["netns", "exec", namespace];
        words.extend(command.split(' '));
        run("ip", &words)
    }

    fn one_victim(&mut self) -> Outcome<u32> {
        self.reap();
        let mut alive = self.victims()?;
        // What restarts started beyond one is of the case before.
        for (pid, _) in alive.drain(1.min(alive.len())..) {
            kill(pid)?;
        }
        if let [(pid, _)] = alive[..] {
            return Ok(pid);
        }
        let child = Command::new("sleep").arg(tag()).spawn()?;
        let pid = child.id();
        self.victim = Some(child);
        Ok(pid)
    }

    fn reap(&mut self) {
        if let Some(child) = &mut self.victim
            && matches!(child.try_wait(), Ok(Some(_)))
        {
            self.victim = None;
        }
    }

    /// Processes that run as our victim, whoever started them.
    pub(crate) fn victims(&self) -> Outcome<Vec<(u32, process::Stat)>> {
        let mut found = Vec::new();
        for pid in process::list()? {
            let is_one =
                process::command_line(pid)?.is_some_and(|words| words.last() == Some(&tag()));
            if is_one && let Some(stat) = process::stat(pid)?.filter(|stat| !stat.is_gone()) {
                found.push((pid, stat));
            }
        }
        Ok(found)
    }

    fn is_frozen(&self, alive: &[(u32, process::Stat)]) -> Outcome<bool> {
        for (pid, _) in alive {
            for (_, path) in process::cgroups(*pid)?.unwrap_or_default() {
                if path.to_string_lossy().contains("firedrill-") {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // All best effort: the next run makes names of its own.
        if let Some(child) = &mut self.victim {
            let _ = child.kill();
            let _ = child.wait();
        }
        for (pid, _) in self.victims().unwrap_or_default() {
            let _ = kill(pid);
        }
        self.flow = None;
        for name in [&self.near, &self.far] {
            let _ = run("ip", &["netns", "del", name]);
        }
        let _ = std::fs::remove_dir(&self.cgroup);
    }
}

/// From `namespace=NAME`, `pid=N` or `host=true`.
pub(crate) fn targets(word: &str) -> Outcome<Vec<Target>> {
    let (kind, value) = word.split_once('=').ok_or("a target is KIND=VALUE")?;
    Ok(vec![match kind {
        "namespace" => Target::Namespace(NetNamespace::named(value)?.namespace().clone()),
        "pid" => ProcessIdentity::of(value.parse()?)?
            .ok_or("the victim ended")?
            .into(),
        _ => Target::Host,
    }])
}

/// Processes of this very program with that first word, by pid.
pub(crate) fn our_processes(word: &str) -> Outcome<Vec<u32>> {
    let me = std::env::current_exe()?;
    let mut found = Vec::new();
    for pid in process::list()? {
        let same = std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == me);
        let words = || {
            process::command_line(pid)
                .ok()
                .flatten()
                .unwrap_or_default()
        };
        let alive = || matches!(process::stat(pid), Ok(Some(stat)) if !stat.is_gone());
        if same && words().get(1).is_some_and(|second| second == word) && alive() {
            found.push(pid);
        }
    }
    Ok(found)
}

pub(crate) fn workers() -> Outcome<Vec<u32>> {
    our_processes("worker")
}

/// Lets others get on, for half a millisecond.
pub(crate) fn rest() {
    wait(Duration::from_micros(500));
}

pub(crate) fn wait(time: Duration) {
    let limit = rustix::event::Timespec {
        tv_sec: time.as_secs().cast_signed(),
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    // Interrupted, it is only shorter.
    let _ = rustix::event::poll(&mut [], Some(&limit));
}

pub(crate) fn kill(pid: u32) -> Outcome<()> {
    signal(pid, rustix::process::Signal::KILL)
}

/// To a process of ours that cannot have been replaced by another within this run.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) -> Outcome<()> {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).ok_or("not a pid")?;
    match rustix::process::kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// What tells our victim from every other `sleep`.
fn tag() -> String {
    format!("86399.{}", std::process::id())
}

fn unified() -> Outcome<PathBuf> {
    let mounted = Hierarchy::mounted(Controller::CpuAccounting)?;
    let unified = mounted.into_iter().find(|h| h.version == Version::V2);
    Ok(unified
        .ok_or("cgroup v2 is not mounted, not even empty")?
        .mount)
}

pub(crate) fn run(program: &str, words: &[&str]) -> Outcome<()> {
    let output = Command::new(program).args(words).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{program} {}: {said}", words.join(" ")).into())
}
