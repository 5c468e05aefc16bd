//! The system packages that the tests use, in one place.

use std::path::Path;
use std::process::{Command, Stdio};

use super::End;
use crate::workspace;

/// A Debian package, what shows that it is there, and what goes without it.
struct Package {
    name: &'static str,
    shown_by: Shown,
    used_for: &'static str,
}

enum Shown {
    /// A program in one of the usual places.
    Program(&'static str),
    File(&'static str),
    Check(fn() -> bool),
}

const fn package(name: &'static str, shown_by: Shown, used_for: &'static str) -> Package {
    Package {
        name,
        shown_by,
        used_for,
    }
}

use Shown::{Check, File, Program};

const PACKAGES: &[Package] = &[
    package(
        "python3-venv",
        Check(|| {
            let script = "import venv, ensurepip";
            workspace::output(Command::new("python3").args(["-c", script])).is_some()
        }),
        "the comparison with the real Chaos Toolkit, and the Python provider",
    ),
    package("procps", Program("ps"), "looking at processes from outside"),
    package("iproute2", Program("tc"), "network namespaces to break"),
    package("iputils-ping", Program("ping"), "asking a host for an echo"),
    package("nftables", Program("nft"), "reading rules from outside"),
    package("iptables", Program("iptables-legacy"), "foreign rules"),
    package("dnsmasq", Program("dnsmasq"), "a name server to break"),
    package("bind9-dnsutils", Program("dig"), "asking it"),
    package("stress-ng", Program("stress-ng"), "a peer for CPU load"),
    package(
        "qemu-system-x86",
        Program("qemu-system-x86_64"),
        "the virtual machine",
    ),
    package("busybox-static", Program("busybox"), "its programs"),
    package("e2fsprogs", Program("mkfs.ext4"), "its disk"),
    package(
        "systemd",
        Program("systemctl"),
        "services to stop, and a recovery at boot",
    ),
    package("gcc", Program("gcc"), "a static program for a container"),
    package("libc6-dev", File("/usr/include/stdio.h"), "its library"),
    package("curl", Program("curl"), "a client of TLS for the proxy"),
    package(
        "openssl",
        Program("openssl"),
        "what it says to certificates",
    ),
    package("nginx-light", Program("nginx"), "a server behind the proxy"),
    package(
        "haproxy",
        Program("haproxy"),
        "a load balancer to take servers from",
    ),
    package(
        "nghttp2-client",
        Program("h2load"),
        "a client of HTTP/2 for the proxy",
    ),
    package(
        "nghttp2-server",
        Program("nghttpd"),
        "a server of HTTP/2 behind the proxy",
    ),
    package("docker.io", Program("dockerd"), "containers to break"),
    package("podman", Program("podman"), "containers to break"),
    package(
        "redis-server",
        Program("redis-server"),
        "a server behind the proxy",
    ),
    package("redis-tools", Program("redis-cli"), "its clients"),
    package(
        "postgresql",
        Check(|| Path::new("/usr/lib/postgresql").exists()),
        "a database behind the proxy, and its clients",
    ),
    package(
        "mariadb-server-core",
        Program("mariadbd"),
        "a database behind the proxy",
    ),
    package("mariadb-client-core", Program("mariadb"), "its client"),
];

/// Installs what is missing when this is root on a Debian-like machine. What cannot be had is named,
/// and the tests that need it skip themselves.
pub(super) fn install() -> End {
    let missing: Vec<_> = PACKAGES.iter().filter(|p| !p.is_present()).collect();
    if missing.is_empty() {
        return End::Passed;
    }
    let has_apt = Path::new("/usr/bin/apt-get").exists();
    if !rustix::process::geteuid().is_root() || !has_apt {
        return End::Skipped(format!("not installed: {}", told(&missing)));
    }
    let names: Vec<_> = missing.iter().map(|p| p.name).collect();
    println!("installing {}", names.join(", "));
    let installed = apt(&["update", "--quiet"]).and_then(|()| install_all(&names));
    if installed.is_ok() {
        return End::Passed;
    }
    // One that cannot be had must not keep the others out.
    let failed: Vec<_> = missing
        .into_iter()
        .filter(|p| install_all(&[p.name]).is_err())
        .collect();
    if failed.is_empty() {
        return End::Passed;
    }
    End::Skipped(format!("cannot install {}", told(&failed)))
}

impl Package {
    fn is_present(&self) -> bool {
        match self.shown_by {
            Program(name) => is_program(name),
            File(path) => Path::new(path).exists(),
            Check(check) => check(),
        }
    }
}

/// Whether there is a program of that name, also in places that only root searches.
pub(super) fn is_program(name: &str) -> bool {
    let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"];
    let mut files = places.iter().map(|place| Path::new(place).join(name));
    files.any(|file| file.exists())
}

fn told(packages: &[&Package]) -> String {
    let each = packages
        .iter()
        .map(|p| format!("{} (for {})", p.name, p.used_for));
    each.collect::<Vec<_>>().join(", ")
}

fn install_all(names: &[&str]) -> anyhow::Result<()> {
    apt(&[
        &["install", "--quiet", "--yes", "--no-install-recommends"],
        names,
    ]
    .concat())
}

fn apt(words: &[&str]) -> anyhow::Result<()> {
    workspace::succeed(
        Command::new("apt-get")
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null()),
    )
}
