//! Connections that rules of the kernel lead through the proxy, in a worker of the guardian.
//!
//! Everything ends with the process, in an order that the kernel keeps: it closes descriptors from
//! the highest number down. First the connections, whose peers are sent a RST, which the rules'
//! translation still carries to whom it is meant for; then the listeners; and last the table, whose
//! end is the end of the translation too where nobody else translates.

mod translate;

use std::convert::Infallible;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use firedrill_kernel::clock::boottime;
use firedrill_kernel::hardening;
use firedrill_kernel::netlink::{self, Socket};
use firedrill_kernel::nftables::{Action, Match, RuleCount, Ruleset, Table};
use firedrill_worker::interception::{Carried, Interception, InterceptionError};
use firedrill_worker::{Control, Measurement, Quantity};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::fabric::{Fabric, Options, RouteConfig};
use crate::message::Protocol;
use crate::route::{FlowLimits, Upstream};
use crate::tls::Tls;

/// A renewal of the lease is passed on to the rules at the latest after this.
const LOOK: Duration = Duration::from_millis(20);

/// As long as Linux itself tries (`tcp_syn_retries`): whoever connects does not know that we do.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(127);

/// A flow of datagrams is over before connection tracking forgets one that nobody answered (30 s):
/// what comes from the same port later may be meant for somebody else.
const FLOWS: FlowLimits = FlowLimits {
    idle: Duration::from_secs(20),
    most: 4096,
};

/// More than this is not faster for one target's connections.
const THREADS: usize = 2;

/// Leads connections through the proxy for as long as the process lives.
///
/// # Errors
/// When the namespace is gone, a port of it is taken, or its rules cannot be made.
pub fn run(job: &Interception, control: &Control) -> Result<Infallible, InterceptionError> {
    let failed = |doing| {
        move |errno: rustix::io::Errno| InterceptionError::Proxy {
            doing,
            source: Box::new(errno),
        }
    };
    go_first();
    let passage = job.namespace.within(|| Passage::open(job))?;
    // Before there is a connection, and after the namespace's own descriptors are closed.
    let _lower = take_lower_than(&passage.table())?;
    // The guardian begins to forget where datagrams go while this process is still being closed.
    let _first = hardening::stdout_closes_first()?;
    let mut renewed = control.deadline();
    passage.renew(renewed)?;
    let call = control.call_to_leave().map_err(failed("make an event"))?;
    let observer = passage.clone();
    control.ready(move || observer.measurements());
    while !control.has_expired() {
        let mut fds = [PollFd::new(&call, PollFlags::IN)];
        let look = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(LOOK.subsec_nanos()),
        };
        // Interrupted, it looks a little earlier.
        if rustix::event::poll(&mut fds, Some(&look)) == Ok(1) {
            break;
        }
        let deadline = control.deadline();
        if deadline != renewed {
            passage.renew(deadline)?;
            renewed = deadline;
        }
    }
    // From here on new connections go their own way; those that are here end with this process.
    passage.table().stop()?;
    control.released();
    loop {
        control.wait(LOOK);
    }
}

/// Schedules this process ahead of others, as far as it may: whoever is scheduled late is late with
/// what others say, and with its own end. Threads that are started later inherit it.
fn go_first() {
    /// The most that a nice value gives.
    const FIRST: i32 = -20;
    let whole = rustix::process::getpid();
    for thread in [None, Some(whole)] {
        let _refused = rustix::process::setpriority_process(thread, FIRST);
    }
}

/// The rules, and the proxy behind them.
#[derive(Clone, Debug)]
struct Passage {
    table: Arc<Mutex<Table>>,
    fabric: Arc<Fabric>,
    routes: Vec<String>,
    ruleset: Arc<Ruleset>,
}

impl Passage {
    /// In the network namespace of the calling thread.
    fn open(job: &Interception) -> Result<Self, InterceptionError> {
        let socket = Socket::open(netlink::Protocol::Netfilter)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let options = Options {
            threads: threads.min(THREADS),
            seed: job.seed,
            arms_most: 0.0,
            busy_poll: Duration::ZERO,
        };
        let fabric = Fabric::start(&options).map_err(|source| InterceptionError::Proxy {
            doing: "start its threads",
            source: Box::new(source),
        })?;
        let mut routes = Vec::new();
        for listen in &job.listen {
            let version = if listen.is_ipv4() { "v4" } else { "v6" };
            let name = match routes.iter().any(|route| route == version) {
                false => version.to_owned(),
                // Of datagrams that arrive: at each address of its own.
                true => listen.ip().to_string(),
            };
            let route = RouteConfig {
                name: name.clone(),
                listen: *listen,
                upstream: Upstream::Original { mark: job.mark },
                connect_timeout: CONNECT_TIMEOUT,
                tls: Tls::None,
                protocol: match job.carried {
                    Carried::Tcp => Protocol::Tcp,
                    Carried::Udp => Protocol::Udp,
                },
                flows: FLOWS,
                faults: translate::faults(job),
            };
            fabric
                .open(route)
                .map_err(|source| InterceptionError::Proxy {
                    doing: "listen",
                    source: Box::new(source),
                })?;
            routes.push(name);
        }
        let table = Table::create(socket, &job.ruleset)?;
        Ok(Self {
            table: Arc::new(Mutex::new(table)),
            fabric: Arc::new(fabric),
            routes,
            ruleset: Arc::new(job.ruleset.clone()),
        })
    }

    fn renew(&self, deadline: Duration) -> Result<(), InterceptionError> {
        let left = deadline.saturating_sub(boottime());
        Ok(self.table().renew(left)?)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn measurements(&self) -> Vec<Measurement> {
        let passed = self
            .routes
            .iter()
            .filter_map(|route| self.fabric.passed(route).ok());
        let connections: u64 = passed.map(|passed| passed.connections).sum();
        let mut all = vec![Measurement::exact(
            Quantity::ConnectionsProxied,
            None,
            connections as f64,
        )];
        // Rules that do not answer are gone, which the next renewal finds out.
        let counts = self.table().counters().unwrap_or_default();
        all.extend(share(&self.ruleset, &counts));
        all
    }
}

/// Takes every free descriptor below this one, so that whatever is opened later lies above it.
fn take_lower_than(table: &Table) -> Result<Vec<OwnedFd>, InterceptionError> {
    let mut taken = Vec::new();
    loop {
        let copy = rustix::io::fcntl_dupfd_cloexec(table, 0).map_err(|errno| {
            InterceptionError::Proxy {
                doing: "take a descriptor",
                source: Box::new(errno),
            }
        })?;
        if copy.as_raw_fd() > table.as_fd().as_raw_fd() {
            return Ok(taken);
        }
        taken.push(copy);
    }
}

/// What share of the connections was led here, where only a share was asked for.
fn share(ruleset: &Ruleset, counts: &[RuleCount]) -> Option<Measurement> {
    let (mut asked, mut hit, mut requested) = (0, 0, None);
    for chain in &ruleset.chains {
        for (index, rule) in chain.rules.iter().enumerate() {
            let is_it = |count: &&RuleCount| count.chain == chain.name && count.rule == index;
            let packets: u64 = counts.iter().filter(is_it).map(|count| count.packets).sum();
            match rule.action {
                Action::Count => asked += packets,
                Action::Redirect(_) => hit += packets,
                _ => {}
            }
            let share = rule.matches.iter().find_map(|found| match found {
                Match::Random { share } => Some(*share),
                _ => None,
            });
            requested = requested.or(share);
        }
    }
    requested?;
    Measurement::share(Quantity::ShareProxied, requested, hit, asked)
}
