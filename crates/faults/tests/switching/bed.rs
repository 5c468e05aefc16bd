use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use firedrill_faults::Target;
use firedrill_kernel::KernelError;
use firedrill_kernel::namespace::{NetNamespace, OpenNamespace};

use crate::drill::wait_for;

/// Two network namespaces and a wire between them, both gone at the end, even of a panic.
///
/// `near` has 10.90.0.1 and fd90::1 on `near0`, `far` 10.90.0.2 and fd90::2 on `far0`. `near` also
/// has the rules of others: a NAT rule and a table.
pub(crate) struct Bed {
    pub(crate) near: Side,
    pub(crate) far: Side,
}

pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) open: OpenNamespace,
    children: Vec<Child>,
}

pub(crate) const FAR: [u8; 4] = [10, 90, 0, 2];

/// Longer than a lossless exchange takes on a busy machine.
const PATIENCE: Duration = Duration::from_millis(700);

const FOREIGN: &str = "table ip nat { chain post { type nat hook postrouting priority 100; \
    oifname \"near0\" tcp dport 9 masquerade; }; }\n\
    table inet foreign { chain in { type filter hook input priority 0; tcp dport 9 drop; }; }";

impl Bed {
    /// `None`, and said, where namespaces cannot be made.
    pub(crate) fn lay() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |side| format!("firedrill-test-{}-{count}-{side}", std::process::id());
        let (near, far) = (Side::make(name("near"))?, Side::make(name("far"))?);
        ip(&format!(
            "link add near0 netns {} type veth peer name far0 netns {}",
            near.name, far.name
        ));
        for (side, host) in [(&near, 1), (&far, 2)] {
            let end = if host == 1 { "near0" } else { "far0" };
            side.ip("link set lo up");
            side.look_for_duplicates(end, false);
            side.ip(&format!("addr add 10.90.0.{host}/24 dev {end}"));
            side.ip(&format!("addr add fd90::{host}/64 dev {end} nodad"));
            side.ip(&format!("link set {end} up"));
        }
        near.run("nft", &[FOREIGN]);
        // Addresses of a kind that the kernel makes come later, and change the snapshot.
        wait_for("addresses that are settled", || {
            let settled = |side: &Side| {
                let found = side.run("ip", &["-6 -o address show scope link"]);
                found.contains("fe80") && !found.contains("tentative")
            };
            settled(&near) && settled(&far)
        });
        near.look_for_duplicates("near0", true);
        far.look_for_duplicates("far0", true);
        let bed = Self { near, far };
        let ready = (0..20).any(|_| bed.far_answers());
        assert!(ready, "the namespaces are not joined");
        Some(bed)
    }

    /// Whether a datagram to `far` comes back.
    pub(crate) fn far_answers(&self) -> bool {
        self.round_trip().is_some()
    }

    /// Of one datagram to `far` and back, measured by its sender.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        round_trip(&self.near, &self.far, FAR.into())
    }

    /// All of a namespace that a fault could leave something in.
    pub(crate) fn snapshot(&self) -> String {
        let of = |side: &Side| {
            let rules = side.run("nft", &["list", "ruleset"]);
            let qdiscs = side.run("tc", &["qdisc show"]);
            // The kernel finds out later that a new interface is up.
            let links = side.run("ip", &["-o link show"]);
            let links = links.replace("state UNKNOWN", "state UP");
            let addresses = side.run("ip", &["-o address show"]);
            let v4 = side.run("ip", &["-4 route show table all"]);
            let v6 = side.run("ip", &["-6 route show table all"]);
            [rules, qdiscs, links, addresses, v4, v6].join("\n")
        };
        format!("{}\n{}", of(&self.near), of(&self.far))
    }
}

impl Side {
    fn make(name: String) -> Option<Self> {
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        if !made.is_ok_and(|made| made.status.success()) {
            eprintln!("skipped: network namespaces need CAP_SYS_ADMIN and ip");
            return None;
        }
        let open = NetNamespace::named(&name).unwrap();
        Some(Self {
            name,
            open,
            children: Vec::new(),
        })
    }

    pub(crate) fn target(&self) -> Target {
        Target::Namespace(self.open.namespace().clone())
    }

    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let done = self.open.within(|| Ok::<_, KernelError>(work()));
        done.unwrap()
    }

    /// Whether the kernel looks, for a second or two, if somebody has an address that it makes.
    fn look_for_duplicates(&self, interface: &str, does: bool) {
        let path = format!("/proc/sys/net/ipv6/conf/{interface}/accept_dad");
        let word = if does { "1" } else { "0" };
        self.within(|| std::fs::write(path, word)).unwrap();
    }

    pub(crate) fn ip(&self, words: &str) {
        ip(&format!("-n {} {words}", self.name));
    }

    /// What a program prints here; each argument is split at spaces but for nft's.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let words: Vec<&str> = if program == "nft" {
            arguments.to_vec()
        } else {
            arguments.iter().flat_map(|one| one.split(' ')).collect()
        };
        let run = || Command::new(program).args(words).output().unwrap();
        let output = self.within(run);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// As [`Self::run`], whatever its exit code says.
    pub(crate) fn ask(&self, program: &str, words: &[&str]) -> String {
        let run = || Command::new(program).args(words).output().unwrap();
        String::from_utf8(self.within(run).stdout).unwrap()
    }

    /// A program that runs here until the end.
    pub(crate) fn start(&mut self, program: &str, words: &[&str]) {
        let start = || {
            Command::new(program)
                .args(words)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let child = self.within(start);
        self.children.push(child);
    }

    pub(crate) fn udp(&self, at: SocketAddr) -> UdpSocket {
        self.within(|| UdpSocket::bind(at)).unwrap()
    }

    pub(crate) fn listen(&self, at: SocketAddr) -> TcpListener {
        // A program that another test starts has every descriptor until it runs, a listener of
        // this port that was closed meanwhile too.
        let mut bound = None;
        wait_for("the port", || {
            bound = self.within(|| TcpListener::bind(at)).ok();
            bound.is_some()
        });
        bound.unwrap()
    }

    pub(crate) fn connect(&self, to: SocketAddr) -> std::io::Result<TcpStream> {
        self.within(|| TcpStream::connect_timeout(&to, PATIENCE))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let words = ["netns", "delete", &self.name];
        let _ = Command::new("ip").args(words).output();
    }
}

/// Of one datagram from one side to the other and back.
pub(crate) fn round_trip(from: &Side, to: &Side, at: IpAddr) -> Option<Duration> {
    let any: IpAddr = if at.is_ipv4() {
        [0; 4].into()
    } else {
        [0_u16; 8].into()
    };
    let there = to.udp(SocketAddr::new(at, 0));
    let here = from.udp(SocketAddr::new(any, 0));
    for socket in [&there, &here] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let start = Instant::now();
    if let Err(error) = here.send_to(b"firedrill", there.local_addr().unwrap()) {
        // A drop on the way out, or no way, is told to the sender.
        let told = [ErrorKind::PermissionDenied, ErrorKind::NetworkUnreachable];
        assert!(told.contains(&error.kind()), "{error}");
        return None;
    }
    let (length, back) = there.recv_from(&mut [0; 16]).ok()?;
    if there.send_to(b"firedrill", back).is_err() {
        return None;
    }
    here.recv(&mut [0; 16]).ok()?;
    assert_eq!(length, 9);
    Some(start.elapsed())
}

fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {words}: {said}");
}
