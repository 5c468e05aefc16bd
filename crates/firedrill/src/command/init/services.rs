//! What listens on this machine, as far as this user may see it.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::str::FromStr;
use std::time::Duration;

use firedrill_kernel::process;

/// A listening TCP socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) port: u16,
    address: IpAddr,
    /// Who listens, when this user may know.
    pub(super) pid: Option<u32>,
    pub(super) speaks_http: bool,
}

/// What a fault hits: `name=web`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) key: &'static str,
    pub(super) value: String,
}

/// How long a service may take to say that it speaks HTTP.
const ANSWER_LIMIT: Duration = Duration::from_millis(300);
/// `TCP_LISTEN` in `/proc/net/tcp`.
const LISTENING: &str = "0A";

impl Service {
    pub(super) fn url(&self) -> String {
        let host = match self.address {
            address if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            address => address,
        };
        format!("http://{}/", SocketAddr::new(host, self.port))
    }
}

/// By port; each port once.
pub(super) fn services() -> Vec<Service> {
    let holders = socket_holders();
    let mut found: Vec<Service> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .flat_map(|table| listening(&fs::read_to_string(table).unwrap_or_default()))
        .map(|(address, inode)| Service {
            port: address.port(),
            address: address.ip(),
            pid: holders.get(&inode).copied(),
            speaks_http: false,
        })
        .collect();
    found.sort_by_key(|service| (service.port, service.address));
    found.dedup_by_key(|service| service.port);
    for service in &mut found {
        service.speaks_http = speaks_http(service);
    }
    found
}

/// The port of an http(s) URL; nothing for anything else.
pub(super) fn port_of(url: &str) -> Option<u16> {
    let (default, rest) = match url.strip_prefix("http://") {
        Some(rest) => (80, rest),
        None => (443, url.strip_prefix("https://")?),
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let host_port = authority.rsplit('@').next()?;
    match host_port.rsplit_once(':') {
        // The colon of an IPv6 address.
        Some((_, rest)) if rest.ends_with(']') => Some(default),
        Some((host, port)) if !host.is_empty() => port.parse().ok(),
        Some(_) => None,
        None => (!host_port.is_empty()).then_some(default),
    }
}

/// A selector that means this process, and its successor after a restart where a name can say so.
pub(super) fn selector(pid: u32) -> Selector {
    match process::stat(pid) {
        Ok(Some(stat)) if is_unique(&stat.comm) => Selector {
            key: "name",
            value: stat.comm,
        },
        _ => Selector {
            key: "pid",
            value: pid.to_string(),
        },
    }
}

fn is_unique(comm: &str) -> bool {
    let pids = process::list().unwrap_or_default();
    let named = pids
        .into_iter()
        .filter_map(|pid| process::stat(pid).ok().flatten());
    named.filter(|stat| stat.comm == comm).count() == 1
}

/// Addresses and inodes of a table's listening sockets.
fn listening(table: &str) -> Vec<(SocketAddr, u64)> {
    table.lines().skip(1).filter_map(row).collect()
}

fn row(line: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if fields.get(3) != Some(&LISTENING) {
        return None;
    }
    let (address, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((
        SocketAddr::new(ip(address)?, port),
        fields.get(9)?.parse().ok()?,
    ))
}

/// Words of 32 bits in this machine's byte order, as the kernel prints them.
fn ip(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for at in (0..hex.len()).step_by(8) {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    if let Ok(v4) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(v4).into());
    }
    let v6 = Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?);
    Some(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4))
}

/// Socket inodes of the processes that this user may look into.
fn socket_holders() -> HashMap<u64, u32> {
    let mut holders = HashMap::new();
    for pid in process::list().unwrap_or_default() {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        for link in descriptors
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
        {
            let name = link.to_string_lossy();
            let inode = name
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            if let Some(inode) = inode.and_then(|inode| inode.parse().ok()) {
                // Of a forked family, the parent: it listened first.
                holders.entry(inode).or_insert(pid);
            }
        }
    }
    holders
}

fn speaks_http(service: &Service) -> bool {
    let host = if service.address.is_unspecified() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        service.address
    };
    answer(SocketAddr::new(host, service.port)).is_some_and(|start| start == *b"HTTP/")
}

fn answer(address: SocketAddr) -> Option<[u8; 5]> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT).ok()?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
    stream.set_write_timeout(Some(ANSWER_LIMIT)).ok()?;
    let request = format!("HEAD / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut start = [0; 5];
    stream.read_exact(&mut start).ok()?;
    Some(start)
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not of the form pid=N, name=NAME or command=PATTERN");
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let key = ["pid", "name", "command"]
            .into_iter()
            .find(|known| *known == key.trim());
        let value = value.trim();
        match key {
            Some("pid") if value.parse::<u32>().is_err() => Err(wrong()),
            Some(key) if !value.is_empty() => Ok(Self {
                key,
                value: value.to_owned(),
            }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl serde::Serialize for Selector {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_port_of_a_url_is_its_own_or_its_schemes() {
        assert_eq!(port_of("http://127.0.0.1:8080/x?a=1:2"), Some(8080));
        assert_eq!(port_of("https://example.org"), Some(443));
        assert_eq!(port_of("http://[::1]/"), Some(80));
        assert_eq!(port_of("http://[::1]:81/"), Some(81));
        for bad in ["ftp://x", "x", "http://", "http://:80/", "http://a:b/"] {
            assert_eq!(port_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_listener_of_this_process_is_found_with_its_pid() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let holders = socket_holders();
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let (address, inode) = listening(&table)
            .into_iter()
            .find(|(address, _)| address.port() == port)
            .unwrap();
        assert_eq!(address, listener.local_addr().unwrap());
        assert_eq!(holders.get(&inode), Some(&std::process::id()));
    }

    #[test]
    fn a_selector_says_what_to_hit_in_one_of_three_ways() {
        assert_eq!(
            "name=web".parse::<Selector>().unwrap().to_string(),
            "name=web"
        );
        assert_eq!(
            "command=java -D=1".parse::<Selector>().unwrap().value,
            "java -D=1"
        );
        for bad in ["pid=x", "name=", "color=red", "web"] {
            assert!(bad.parse::<Selector>().is_err(), "{bad}");
        }
    }
}
