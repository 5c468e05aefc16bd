//! Who has a port: the socket in `/proc/net`, then the process that has the socket open.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use firedrill_kernel::process;

use super::Protocol;

/// Pid and name; `None` when it cannot be found: without privileges only own processes can.
pub(super) fn find(protocol: Protocol, wanted: SocketAddr) -> Option<(u32, String)> {
    let own = match protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
    };
    // Of this thread: it may be in another network namespace than the process.
    let net = Path::new("/proc/thread-self/net");
    let inode = own.iter().find_map(|file| {
        let text = fs::read_to_string(net.join(file)).ok()?;
        text.lines().skip(1).find_map(|line| inode(line, wanted))
    })?;
    let target = format!("socket:[{inode}]");
    let pid = process::list()
        .ok()?
        .into_iter()
        .find(|pid| has_open(*pid, &target))?;
    let name = process::stat(pid).ok()??.comm;
    Some((pid, name))
}

/// The inode of a socket that listens on this port: its address is fields 2, its state field 4,
/// its inode field 10 of proc_net(5). Which of several addresses does not matter: with a wildcard
/// on either side they exclude each other all the same.
fn inode(line: &str, wanted: SocketAddr) -> Option<u64> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, port) = fields.get(1)?.rsplit_once(':')?;
    // A listening TCP socket, or an unconnected UDP one.
    let waits = matches!(*fields.get(3)?, "0A" | "07");
    let matches = waits && u16::from_str_radix(port, 16).ok()? == wanted.port();
    matches.then(|| fields.get(9)?.parse().ok())?
}

fn has_open(pid: u32, target: &str) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_is_found_by_its_port() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4321 1 0000 100 0 0 10 0";
        assert_eq!(inode(line, "127.0.0.1:8080".parse().unwrap()), Some(4321));
        assert_eq!(inode(line, "127.0.0.1:8081".parse().unwrap()), None);
        assert_eq!(inode("", "127.0.0.1:8080".parse().unwrap()), None);
    }
}
