//! What the faults are tried on: two network namespaces with traffic between them and foreign rules
//! in one, a process, a directory, a cgroup; for some a container, a unit of systemd, a HAProxy.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_faults::{Fault, Site, Target, Usability, faults_here};
use firedrill_kernel::cgroup::{Controller, Hierarchy};
use firedrill_kernel::freezer::Version;
use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::{ProcessIdentity, process, realtime};
use firedrill_undo::{Guardian, Primitive, SpawnConfig, StateDir};
use tempfile::TempDir;

use crate::Outcome;
use crate::asking::Asking;
use crate::balancer::Balancer;
use crate::cases::{Aim, Case, Seen, parse};
use crate::engine::{self, Contained};
use crate::flow::{ECHO, Flow};
use crate::names::NAMES;
use crate::processes::{at_work, kill, rest, with_last_word};
use crate::route::Route;
use crate::talk::Talk;
use crate::unit::Unit;

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
    names: Option<Flow>,
    talk: Option<Talk>,
    asking: Option<Asking>,
    container: Option<Contained>,
    unit: Option<Unit>,
    balancer: Option<Balancer>,
    route: Option<Route>,
    victim: Option<Child>,
    usable: Vec<Usability>,
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
            names: None,
            talk: None,
            asking: None,
            container: None,
            unit: None,
            balancer: None,
            route: None,
            victim: None,
            usable: faults_here(),
            clock: realtime::offset().nanoseconds,
        };
        std::fs::create_dir(&bed.cgroup)?;
        bed.connect()?;
        bed.flow = Some(Flow::new(&bed.near, &bed.far, FAR, ECHO)?);
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

    /// Brings about what a case needs, and takes away what other cases needed and is in the way.
    /// Why the case cannot be tried here, if it cannot.
    pub(crate) fn prepare(&mut self, case: &Case, engine: &str) -> Outcome<Option<String>> {
        if case.aim != Aim::Container
            && let Some(left) = self.container.take().map(Contained::end)
            && !left.is_empty()
        {
            return Err(format!("left behind by the engine: {left:?}").into());
        }
        if case.seen == Seen::Unit {
            if self.unit.is_none() {
                match Unit::start() {
                    Ok(unit) => self.unit = Some(unit),
                    Err(why) => return Ok(Some(why)),
                }
            }
            return Ok(None);
        }
        self.unit = None;
        if case.seen == Seen::Server {
            if self.balancer.is_none() {
                match Balancer::start() {
                    Ok(balancer) => self.balancer = Some(balancer),
                    Err(why) => return Ok(Some(why)),
                }
            }
            return Ok(None);
        }
        self.balancer = None;
        if case.seen == Seen::Route {
            self.route.get_or_insert_with(Route::start);
            return Ok(None);
        }
        self.route = None;
        if case.aim == Aim::Container {
            if self.container.is_none() {
                match Contained::start(engine) {
                    Ok(container) => self.container = Some(container),
                    Err(why) => return Ok(Some(why)),
                }
            }
            return Ok(None);
        }
        if case.seen == Seen::Names && self.names.is_none() {
            self.names = Some(Flow::new(&self.near, &self.far, FAR, NAMES)?);
        }
        if case.seen == Seen::Talk && self.talk.is_none() {
            self.talk = Some(Talk::begin(&self.near, &self.far, FAR)?);
        }
        if case.seen == Seen::Asked && self.asking.is_none() {
            self.asking = Some(Asking::begin(&self.near, &self.far, FAR)?);
        }
        if case.fault == "infrastructure.memory" && !may_take_memory()? {
            return Ok(Some("taking memory needs CAP_SYS_RESOURCE".into()));
        }
        let judged = self.usable.iter().find(|one| one.fault == case.fault);
        Ok(judged.filter(|one| !one.usable).map(|one| one.why.clone()))
    }

    /// Since when nothing of a case is in force; nothing while it is. An engine may keep who asks
    /// waiting: there it is the time of the answer.
    pub(crate) fn undisturbed_since(&mut self, case: &Case) -> Outcome<Option<Instant>> {
        let start = Instant::now();
        Ok(match case.seen {
            Seen::Traffic => self.flow.as_ref().and_then(Flow::since),
            Seen::Names => self.names.as_ref().and_then(Flow::since),
            Seen::Talk => match &mut self.talk {
                Some(talk) => talk.since()?,
                None => None,
            },
            Seen::Asked => self.asking.as_ref().and_then(Asking::since),
            Seen::Container | Seen::OtherRun => match &self.container {
                Some(container) => container.runs()?.then(Instant::now),
                None => None,
            },
            Seen::Unit => match &self.unit {
                Some(unit) => unit.runs()?.then(Instant::now),
                None => None,
            },
            Seen::Server => {
                let balancer = self.balancer.as_ref();
                balancer.is_some_and(Balancer::is_whole).then(Instant::now)
            }
            Seen::Route => {
                let route = self.route.as_ref();
                route.is_some_and(Route::is_undisturbed).then_some(start)
            }
            Seen::Victim => {
                self.reap();
                let alive = self.victims()?;
                let all_run = alive.iter().all(|(_, stat)| !stat.state.is_stopped());
                let one = alive.len() == 1 && all_run && !self.is_frozen(&alive)?;
                one.then_some(start)
            }
            Seen::Worker => at_work()?.is_empty().then_some(start),
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
        while !self.is_disturbed(case)? {
            if Instant::now() >= end {
                return Ok(false);
            }
            rest();
        }
        Ok(true)
    }

    fn is_disturbed(&mut self, case: &Case) -> Outcome<bool> {
        Ok(match (case.seen, &mut self.talk, &self.container) {
            (Seen::Talk, Some(talk), _) => !talk.goes_on(),
            (Seen::OtherRun, _, Some(container)) => container.is_another()?,
            _ => self.undisturbed_since(case)?.is_none(),
        })
    }

    /// The targets of a case; a victim that is gone is replaced, a container that has ended started.
    pub(crate) fn targets(&mut self, aim: Aim) -> Outcome<(String, Vec<Target>)> {
        let word = match aim {
            Aim::Container => {
                let container = self.container.as_mut().ok_or("no container is there")?;
                format!("container={}", container.aim()?)
            }
            Aim::Near => format!("namespace={}", self.near),
            Aim::Host => "host=true".into(),
            Aim::Victim => format!("pid={}", self.one_victim()?),
        };
        let targets = targets(&word)?;
        Ok((word, targets))
    }

    pub(crate) fn arguments(&self, case: &Case) -> String {
        let manager = self.unit.as_ref().map(Unit::manager).unwrap_or_default();
        let balancer = self.balancer.as_ref();
        let socket = balancer.map(Balancer::socket).unwrap_or_default();
        let proxy = self.route.as_ref().map(Route::api).unwrap_or_default();
        case.arguments
            .replace("%socket%", &socket)
            .replace("%proxy%", &proxy)
            .replace("%victim%", &tag())
            .replace("%dir%", &self.directory.path().display().to_string())
            .replace("%manager%", &manager)
    }

    /// What a drill would ask its guardian for, by a process that is not spared as its owner: the
    /// connections of the bed are its own.
    pub(crate) fn compile(&mut self, case: &Case) -> Outcome<Vec<Primitive>> {
        let (_, targets) = self.targets(case.aim)?;
        let fault = parse(case.fault, &self.arguments(case))?;
        let mut primitives = fault.compile(&Site::of(&targets))?;
        for primitive in &mut primitives {
            if let Primitive::ResetConnections(reset) = primitive {
                reset.choice.spare_processes.clear();
            }
        }
        Ok(primitives)
    }

    /// As [`Self::compile`], of a fault that is aimed at the near side.
    pub(crate) fn compile_at_near(&self, fault: &Fault) -> Outcome<Vec<Primitive>> {
        let targets = targets(&format!("namespace={}", self.near))?;
        Ok(fault.compile(&Site::of(&targets))?)
    }

    /// What faults must leave of a container, a unit, a load balancer and a route as it was.
    pub(crate) fn others(&self) -> Outcome<String> {
        let container = self.container.as_ref().map(Contained::in_words);
        let unit = self.unit.as_ref().map(Unit::in_words);
        let balancer = self.balancer.as_ref().map(Balancer::in_words);
        let route = self.route.as_ref().map(Route::in_words);
        Ok(format!(
            "{:?}, {unit:?}, {balancer:?}, {route:?}",
            container.transpose()?
        ))
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

    /// Ends the victim, and starts another.
    pub(crate) fn replace_victim(&mut self) -> Outcome<()> {
        loop {
            self.reap();
            let alive = self.victims()?;
            if alive.is_empty() {
                return self.one_victim().map(drop);
            }
            for (pid, _) in alive {
                kill(pid)?;
            }
            rest();
        }
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
        with_last_word(&tag())
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
        (self.flow, self.names, self.talk) = (None, None, None);
        for name in [&self.near, &self.far] {
            let _ = run("ip", &["netns", "del", name]);
        }
        let _ = std::fs::remove_dir(&self.cgroup);
    }
}

/// From `namespace=NAME`, `pid=N`, `container=ENGINE:ID:SOCKET` or `host=true`.
pub(crate) fn targets(word: &str) -> Outcome<Vec<Target>> {
    let (kind, value) = word.split_once('=').ok_or("a target is KIND=VALUE")?;
    Ok(vec![match kind {
        "namespace" => Target::Namespace(NetNamespace::named(value)?.namespace().clone()),
        "pid" => ProcessIdentity::of(value.parse()?)?
            .ok_or("the victim ended")?
            .into(),
        "container" => Target::Container(Box::new(engine::target(value)?)),
        _ => Target::Host,
    }])
}

/// What tells our victim from every other `sleep`.
fn tag() -> String {
    format!("86399.{}", std::process::id())
}

/// Whether a guardian of this process would be let to take memory.
fn may_take_memory() -> Outcome<bool> {
    let state = tempfile::tempdir()?;
    let config = SpawnConfig::new(StateDir::at(state.path()), "memory".parse()?, "bench");
    let guardian = Guardian::spawn(config)?;
    let may = guardian.ready().spared_by_oom_killer;
    guardian.finish()?;
    Ok(may)
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
