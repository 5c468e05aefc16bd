//! The packet queue: a netfilter queue whose packets are held, dropped, changed or sent twice. It
//! stands in for netem where the kernel has none.
//!
//! Map:
//! - [`shape`]: netem's parameters, and what becomes of a packet by them; pure;
//! - [`loss`], [`distribution`], [`random`]: its models; pure;
//! - [`dns`]: DNS messages by name; pure;
//! - `binding`, `wire`: the kernel's side; `held`: packets that wait; `copies`: packets sent twice;
//! - `tally`: what was achieved.
//!
//! Which packets come here is decided by rules in the kernel, which are not made here. A queue
//! holds packets only as long as its process runs: one that is told to leave lets them go at once, a
//! killed one drops them, and a stopped one keeps them until the kernel's part of the queue is full;
//! from then on packets pass untouched.
//!
//! The kernel drops what waits in any queue of a network namespace when a netfilter hook is taken
//! out of that namespace, whoever's it is. So rules that lead here first stop to match, then this
//! lets go, and only then do they go; and the end of one drill costs another one in the same
//! namespace what its queue holds at that moment, but for what it has freed its senders of.
//!
//! A packet held on its way out counts against its sender's socket, which throttles the sender: see
//! [`Shape::frees_senders`] for how it is freed, and docs/decisions/0017-packet-queue.md for where
//! that differs from a real path. Packets that come in or are forwarded have no such socket.

mod binding;
mod copies;
pub mod distribution;
pub mod dns;
mod held;
pub mod loss;
mod packet;
pub mod random;
pub mod shape;
mod station;
mod tally;
mod wire;

use std::convert::Infallible;
use std::num::NonZeroU64;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::{KernelError, hardening};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use binding::{Binding, Received, Settings};
use copies::Copies;
use held::{Item, Outgoing, Release};
use station::Station;
use tally::Tally;
use wire::Verdict;

pub use distribution::{Distribution, netem_table};
pub use dns::{DnsAction, DnsError, DnsProgram, DnsRule};
pub use shape::{Shape, ShapeError};
pub use tally::Counters;

use crate::{Control, Measurement};

/// A packet may leave so much before its time when the process is awake anyway, nanoseconds. This
/// halves the times it wakes up, and makes up for the time that waking takes.
const EARLY: u64 = 30_000;
/// The deadline is looked at at least this often.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Datagrams taken before packets that are due get their turn.
const DATAGRAMS: u32 = 256;
/// Room in the kernel's queue beyond the limit, so that it is this process that drops.
const MARGIN: u32 = 1024;

/// A queue and what it does to its packets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct QueueJob {
    /// The number that the rules send packets to.
    pub number: u16,
    /// A file that stands for a network namespace (`/proc/PID/ns/net`, `/run/netns/NAME`); absent
    /// for the worker's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<PathBuf>,
    pub program: Program,
    /// The same seed gives the same packets the same fate.
    pub seed: u64,
    /// Packets held at once; what comes beyond is dropped, as with netem.
    #[serde(default = "default_limit_packets")]
    pub limit_packets: u32,
    /// Bytes held at once.
    #[serde(default = "default_limit_bytes")]
    pub limit_bytes: u64,
}

/// One second at 10,000 packets a second.
fn default_limit_packets() -> u32 {
    10_000
}

fn default_limit_bytes() -> u64 {
    256 * 1024 * 1024
}

/// What is done to packets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    Shape(Shape),
    Dns(DnsProgram),
}

/// Why a queue does not work.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error("a packet queue needs room for at least one packet")]
    NoRoom,
    #[error("a DNS program needs at least one rule")]
    NoRule,
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("cannot {doing}")]
    Socket {
        doing: &'static str,
        source: std::io::Error,
    },
}

impl QueueError {
    fn socket(doing: &'static str, errno: Errno) -> Self {
        Self::Socket {
            doing,
            source: errno.into(),
        }
    }
}

impl QueueJob {
    /// Checks every parameter.
    ///
    /// # Errors
    /// The first that is out of range.
    pub fn validate(&self) -> Result<(), QueueError> {
        if self.limit_packets == 0 || self.limit_bytes == 0 {
            return Err(QueueError::NoRoom);
        }
        match &self.program {
            Program::Shape(shape) => shape.validate()?,
            Program::Dns(program) if program.rules.is_empty() => return Err(QueueError::NoRule),
            Program::Dns(_) => {}
        }
        Ok(())
    }
}

/// Serves a queue for as long as the process lives.
///
/// # Errors
/// [`Queue::open`] and [`Queue::turn`].
pub fn run(job: QueueJob, control: &Control) -> Result<Infallible, QueueError> {
    go_first();
    let mut queue = Queue::open(job)?;
    let observer = queue.observer();
    let call = control
        .call_to_leave()
        .map_err(|errno| QueueError::socket("make an event", errno))?;
    control.ready(move || observer.measurements());
    while !control.has_expired() && !queue.wait(LONGEST_WAIT, Some(call))? {
        queue.serve()?;
    }
    queue.let_go()?;
    control.released();
    loop {
        // Rules stop to match a moment before the last packet that met them has come.
        control.check();
        queue.wait_for_packets(LONGEST_WAIT)?;
        queue.let_go()?;
    }
}

/// Schedules the calling process ahead of others and keeps it in memory, as far as it may: whoever is
/// scheduled late releases late, and whoever is killed drops what it holds.
pub fn go_first() {
    /// The most that a nice value gives.
    const FIRST: i32 = -20;
    let hardened = hardening::harden();
    if !hardened.realtime {
        // A control group without realtime (cgroup v1, `cpu.rt_runtime_us` 0) refuses it even to root.
        let _refused = rustix::process::setpriority_process(None, FIRST);
    }
}

/// A queue at work. Dropping it drops the packets it holds.
#[derive(Debug)]
pub struct Queue {
    binding: Binding,
    station: Station,
    /// Every packet leaves in the order it came, and none is dropped: then one verdict is enough
    /// for all that leave together.
    in_order: bool,
    /// Packets that may wait in the kernel at most.
    most_waiting: u32,
    observer: Observer,
}

/// Reads what a queue has done so far, from any thread.
#[derive(Clone, Debug)]
pub struct Observer {
    program: Arc<Program>,
    tally: Arc<Mutex<Tally>>,
}

impl Observer {
    /// What was achieved, beside what was asked.
    #[must_use]
    pub fn measurements(&self) -> Vec<Measurement> {
        self.tally().measurements(&self.program)
    }

    #[must_use]
    pub fn counters(&self) -> Counters {
        self.tally().counters
    }

    /// A quantile (0 to 1) of the time from arrival to release, milliseconds; `None` before the
    /// first packet. Within 1/64.
    #[must_use]
    pub fn delay_quantile(&self, quantile: f64) -> Option<f64> {
        self.tally().delay_quantile(quantile)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Binds the queue in its network namespace, for the calling thread to serve.
    ///
    /// # Errors
    /// A parameter out of range, no such namespace, a queue that another process serves (`EPERM`),
    /// or missing privilege (CAP_NET_ADMIN; CAP_NET_RAW for copies; CAP_SYS_ADMIN to enter the
    /// namespace).
    pub fn open(job: QueueJob) -> Result<Self, QueueError> {
        job.validate()?;
        let mut station = Station::new(&job)?;
        let settings = Settings {
            number: job.number,
            copied: station.copied(),
            maximum: job.limit_packets.saturating_add(MARGIN),
            large_segments: station.takes_large_segments(),
        };
        let spare_mark = station.spare_mark();
        let open = move || -> Result<_, QueueError> {
            let copies = spare_mark.map(Copies::open).transpose()?;
            Ok((Binding::open(settings)?, copies))
        };
        let (binding, copies) = match &job.namespace {
            Some(path) => NetNamespace::at(path)?.within(open)?,
            None => open()?,
        };
        station.copies = copies;
        // Without it the kernel may wake this thread 50 µs late.
        let _refused = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        Ok(Self {
            binding,
            in_order: station.keeps_order(),
            most_waiting: settings.maximum,
            station,
            observer: Observer {
                program: Arc::new(job.program),
                tally: Arc::default(),
            },
        })
    }

    #[must_use]
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Waits for packets or for the time of one that is held, at most `longest`, and serves them.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn turn(&mut self, longest: Duration) -> Result<(), QueueError> {
        self.wait(longest, None)?;
        self.serve()
    }

    fn serve(&mut self) -> Result<(), QueueError> {
        let mut tally = self.observer.tally.lock();
        let tally = match &mut tally {
            Ok(tally) => &mut **tally,
            Err(poisoned) => &mut **poisoned.get_mut(),
        };
        for _ in 0..DATAGRAMS {
            let arrived = now();
            let station = &mut self.station;
            let mut vanished = 0;
            let received = self.binding.receive(&mut vanished, |queued| {
                station.arrive(arrived, queued, &mut tally.counters);
            })?;
            tally.counters.vanished += vanished;
            match received {
                Received::Datagram => {}
                Received::Overflow => tally.counters.unseen += 1,
                Received::Nothing => break,
            }
        }
        for id in self.station.dropped.drain(..) {
            self.binding.verdict(id, Verdict::Drop, None)?;
        }
        let now = now();
        let mut last = None;
        while let Some(item) = self.station.held.pop_until(now + EARLY) {
            if self.in_order && item.release == Release::Accept {
                tally.released(now.saturating_sub(item.arrived), item.bytes);
                last = Some(item.id);
                continue;
            }
            let copies = self.station.copies.as_mut();
            release(&mut self.binding, copies, item, now, tally)?;
        }
        if let Some(id) = last {
            self.binding.accept_up_to(id);
        }
        tally.watch(now, self.station.held.len() > 0);
        self.binding.flush()
    }

    /// Lets everything pass that is held, and that waits in the kernel, at once.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn let_go(&mut self) -> Result<(), QueueError> {
        for id in self.station.dropped.drain(..) {
            self.binding.verdict(id, Verdict::Drop, None)?;
        }
        while let Some(item) = self.station.held.pop_until(u64::MAX) {
            match &item.release {
                Release::Copy(_) => {}
                Release::Send(packet) => {
                    send(&mut self.binding, self.station.copies.as_mut(), packet)?;
                }
                Release::Accept | Release::Replace(_) => {
                    self.binding.verdict(item.id, Verdict::Accept, None)?;
                }
            }
        }
        let mut waiting = Vec::new();
        for _ in 0..self.most_waiting {
            let mut vanished = 0;
            let pass = |queued: wire::Queued<'_>| waiting.push(queued.id);
            if self.binding.receive(&mut vanished, pass)? == Received::Nothing {
                break;
            }
        }
        for id in waiting {
            self.binding.verdict(id, Verdict::Accept, None)?;
        }
        self.binding.flush()
    }

    fn wait_for_packets(&self, longest: Duration) -> Result<(), QueueError> {
        self.wait(longest, None).map(drop)
    }

    /// Whether it was called by `call`, which is looked at even when packets wait.
    fn wait(&self, longest: Duration, call: Option<BorrowedFd<'_>>) -> Result<bool, QueueError> {
        let until_next = self
            .station
            .held
            .next_time()
            .map(|at| Duration::from_nanos(at.saturating_sub(now())));
        let time = until_next.map_or(longest, |time| time.min(longest));
        let time = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        let packets = self.binding.as_fd();
        let mut ready = [
            PollFd::new(&packets, PollFlags::IN),
            PollFd::from_borrowed_fd(call.unwrap_or(packets), PollFlags::IN),
        ];
        match rustix::event::poll(&mut ready, Some(&time)) {
            Ok(_) | Err(Errno::INTR) => {
                let [_, called] = &ready;
                Ok(call.is_some() && called.revents().contains(PollFlags::IN))
            }
            Err(errno) => Err(QueueError::socket("wait for packets", errno)),
        }
    }
}

fn release(
    binding: &mut Binding,
    copies: Option<&mut Copies>,
    item: Item,
    now: u64,
    tally: &mut Tally,
) -> Result<(), QueueError> {
    let delay = now.saturating_sub(item.arrived);
    match item.release {
        Release::Copy(packet) => {
            if send(binding, copies, &packet)? {
                tally.counters.duplicated += 1;
            } else {
                tally.counters.copies_refused += 1;
            }
            return Ok(());
        }
        Release::Send(packet) => {
            if !send(binding, copies, &packet)? {
                tally.counters.refused += 1;
                return Ok(());
            }
        }
        Release::Accept => binding.verdict(item.id, Verdict::Accept, None)?,
        Release::Replace(bytes) => binding.verdict(item.id, Verdict::Accept, Some(&bytes))?,
    }
    tally.released(delay, item.bytes);
    Ok(())
}

/// Verdicts first: what left before it is not overtaken.
fn send(
    binding: &mut Binding,
    copies: Option<&mut Copies>,
    packet: &Outgoing,
) -> Result<bool, QueueError> {
    binding.flush()?;
    Ok(copies.is_some_and(|copies| copies.send(packet)))
}

/// Nanoseconds of the monotonic clock.
fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}
