//! Two network namespaces joined by a veth pair, rules that queue, and a queue at work.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use firedrill_kernel::KernelError;
use firedrill_kernel::namespace::NetNamespace;
use firedrill_worker::queue::{Observer, Program, Queue, QueueError, QueueJob, Shape};

pub(crate) const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
pub(crate) const NEAR_SIX: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
pub(crate) const FAR_SIX: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);
pub(crate) const QUEUE: u16 = 5;

static BEDS: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Bed {
    near: String,
    far: String,
}

impl Bed {
    /// `None`, with the reason printed, where the host does not allow it.
    pub(crate) fn new() -> Option<Self> {
        let number = BEDS.fetch_add(1, Ordering::Relaxed);
        let stem = format!("firedrill-test-q-{}-{number}", std::process::id());
        let bed = Self {
            near: format!("{stem}-near"),
            far: format!("{stem}-far"),
        };
        for name in [&bed.near, &bed.far] {
            if !run(&["ip", "netns", "add", name]) {
                println!("skipped: network namespaces cannot be made here (CAP_SYS_ADMIN, ip)");
                return None;
            }
        }
        bed.near("ip link add veth0 type veth peer name veth1");
        let far = bed.far.clone();
        bed.near(&format!("ip link set veth1 netns {far}"));
        bed.near(&format!("ip addr add {NEAR}/24 dev veth0"));
        bed.far(&format!("ip addr add {FAR}/24 dev veth1"));
        // Absent where the kernel has no IPv6; the tests that need it fail.
        let _ = bed.try_near(&format!("ip addr add {NEAR_SIX}/64 dev veth0 nodad"));
        let _ = bed.exec(
            &bed.far,
            &format!("ip addr add {FAR_SIX}/64 dev veth1 nodad"),
        );
        bed.near("ip link set veth0 up");
        bed.far("ip link set veth1 up");
        bed.near("ip link set lo up");
        bed.far("ip link set lo up");
        if !bed.try_near("iptables-legacy -w -t mangle -L -n") {
            println!("skipped: iptables-legacy is not usable here");
            return None;
        }
        Some(bed)
    }

    /// Sends what matches to the queue, on its way out of the near side.
    pub(crate) fn queue_outgoing(&self, matching: &str) {
        self.near(&format!(
            "iptables-legacy -w -t mangle -A OUTPUT {matching} -m mark ! --mark 0x51 -j NFQUEUE --queue-num {QUEUE}"
        ));
    }

    /// The same for IPv6.
    pub(crate) fn queue_outgoing_six(&self, matching: &str) {
        self.near(&format!(
            "ip6tables-legacy -w -t mangle -A OUTPUT {matching} -m mark ! --mark 0x51 -j NFQUEUE --queue-num {QUEUE}"
        ));
    }

    /// The same on its way out, as faults do it: packets pass when nobody serves the queue.
    pub(crate) fn queue_outgoing_or_bypass(&self, matching: &str) {
        self.near(&format!(
            "iptables-legacy -w -t mangle -A OUTPUT {matching} -m mark ! --mark 0x51 -j NFQUEUE --queue-num {QUEUE} --queue-bypass"
        ));
    }

    /// The same on its way into the near side.
    pub(crate) fn queue_incoming(&self, matching: &str) {
        self.near(&format!(
            "iptables-legacy -w -t mangle -A INPUT {matching} -m mark ! --mark 0x51 -j NFQUEUE --queue-num {QUEUE}"
        ));
    }

    /// The same on its way into the far side, where no sender is charged for what is held.
    pub(crate) fn queue_at_far(&self, matching: &str) {
        self.far(&format!(
            "iptables-legacy -w -t mangle -A INPUT {matching} -j NFQUEUE --queue-num {QUEUE}"
        ));
    }

    /// The far side's namespace as a file.
    pub(crate) fn far_path(&self) -> std::path::PathBuf {
        format!("/run/netns/{}", self.far).into()
    }

    pub(crate) fn near(&self, command: &str) {
        assert!(self.try_near(command), "{command}");
    }

    pub(crate) fn far(&self, command: &str) {
        assert!(self.exec(&self.far, command), "{command}");
    }

    pub(crate) fn try_near(&self, command: &str) -> bool {
        self.exec(&self.near, command)
    }

    /// What a command in the near side says.
    pub(crate) fn output(&self, command: &str) -> String {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.near])
            .args(command.split(' '))
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A long-running command in the far side, ended with the value.
    pub(crate) fn background(&self, command: &str) -> Background {
        let child = Command::new("ip")
            .args(["netns", "exec", &self.far])
            .args(command.split(' '))
            .spawn()
            .unwrap();
        Background(child)
    }

    pub(crate) fn in_near<T>(&self, work: impl FnOnce() -> T) -> T {
        within(&self.near, work)
    }

    pub(crate) fn in_far<T>(&self, work: impl FnOnce() -> T) -> T {
        within(&self.far, work)
    }

    /// A socket with room for what the queue holds: it counts as unsent.
    pub(crate) fn near_socket(&self) -> UdpSocket {
        let socket = self.in_near(|| UdpSocket::bind((NEAR, 0)).unwrap());
        rustix::net::sockopt::set_socket_send_buffer_size_force(&socket, 64 << 20).unwrap();
        socket
    }

    /// A socket that gives up after a while.
    pub(crate) fn far_socket(&self, port: u16) -> UdpSocket {
        let socket = self.in_far(|| UdpSocket::bind((FAR, port)).unwrap());
        let patience = Some(Duration::from_millis(700));
        socket.set_read_timeout(patience).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 16 << 20).unwrap();
        socket
    }

    pub(crate) fn job(&self, program: Program) -> QueueJob {
        QueueJob {
            number: QUEUE,
            namespace: Some(format!("/run/netns/{}", self.near).into()),
            program,
            seed: 42,
            limit_packets: 20_000,
            limit_bytes: 64 << 20,
        }
    }

    pub(crate) fn serve(&self, shape: Shape) -> Serving {
        Serving::start(self.job(Program::Shape(shape)))
    }

    fn exec(&self, namespace: &str, command: &str) -> bool {
        let mut words = vec!["ip", "netns", "exec", namespace];
        words.extend(command.split(' '));
        run(&words)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        for name in [&self.near, &self.far] {
            run(&["ip", "netns", "del", name]);
        }
    }
}

/// A program that ends with this value.
pub(crate) struct Background(std::process::Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A queue served by a thread, until it is dropped.
pub(crate) struct Serving {
    pub(crate) observer: Observer,
    task: u32,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), QueueError>>>,
}

impl Serving {
    pub(crate) fn start(job: QueueJob) -> Self {
        Self::start_with(job, || {})
    }

    /// `first` runs on the thread that serves.
    pub(crate) fn start_with(job: QueueJob, first: impl FnOnce() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, opened) = std::sync::mpsc::channel();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            first();
            let mut queue = Queue::open(job)?;
            let task = rustix::thread::gettid().as_raw_pid();
            let _ = ready.send((queue.observer(), task));
            while !stopped.load(Ordering::Relaxed) {
                queue.turn(Duration::from_millis(50))?;
            }
            queue.let_go()
        });
        let (observer, task) = opened.recv().expect("the queue opens");
        Self {
            observer,
            task: task.cast_unsigned(),
            stop,
            thread: Some(thread),
        }
    }

    /// Processor time of the thread that serves.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let path = format!("/proc/self/task/{}/schedstat", self.task);
        let text = std::fs::read_to_string(path).unwrap();
        let nanoseconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
        nanoseconds / 1e9
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let outcome = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            outcome.unwrap().unwrap();
        }
    }
}

/// Sends numbered, time-stamped datagrams at even distances and gives the times each took,
/// microseconds: by destination port, in the order of arrival, with their numbers.
pub(crate) fn one_way(
    bed: &Bed,
    ports: &[u16],
    count: u32,
    distance: Duration,
    size: usize,
) -> Vec<Vec<(u32, f64)>> {
    let start = Instant::now();
    let receivers: Vec<JoinHandle<Vec<(u32, f64)>>> = ports
        .iter()
        .map(|port| {
            let socket = bed.far_socket(*port);
            std::thread::spawn(move || {
                let mut arrivals = Vec::new();
                let mut bytes = [0; 2048];
                while let Ok(length) = socket.recv(&mut bytes) {
                    let now = start.elapsed().as_nanos() as u64;
                    if length < 12 {
                        continue;
                    }
                    let number = u32::from_be_bytes(bytes[..4].try_into().unwrap());
                    let sent = u64::from_be_bytes(bytes[4..12].try_into().unwrap());
                    arrivals.push((number, now.wrapping_sub(sent) as f64 / 1e3));
                }
                arrivals
            })
        })
        .collect();
    let socket = bed.near_socket();
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    let mut bytes = vec![0; size.max(12)];
    for number in 0..count {
        let left = (distance * number).saturating_sub(start.elapsed());
        if !left.is_zero() {
            let _ = rustix::thread::nanosleep(&left.try_into().unwrap());
        }
        for port in ports {
            let now = start.elapsed().as_nanos() as u64;
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            bytes[4..12].copy_from_slice(&now.to_be_bytes());
            let _ = socket.send_to(&bytes, (FAR, *port));
        }
    }
    receivers
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}

/// A quantile (0 to 1) of the times.
pub(crate) fn quantile(arrivals: &[(u32, f64)], quantile: f64) -> f64 {
    let mut times: Vec<f64> = arrivals.iter().map(|(_, time)| *time).collect();
    times.sort_by(f64::total_cmp);
    let at = (times.len() as f64 * quantile) as usize;
    times[at.min(times.len() - 1)]
}

fn within<T>(namespace: &str, work: impl FnOnce() -> T) -> T {
    let open = NetNamespace::named(namespace).unwrap();
    open.within(|| Ok::<T, KernelError>(work())).unwrap()
}

fn run(words: &[&str]) -> bool {
    let output = Command::new(words[0]).args(&words[1..]).output();
    output.is_ok_and(|output| output.status.success())
}
