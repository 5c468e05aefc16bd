//! Disciplines that delay or limit, and chains with telling names, in every network namespace.

use firedrill_kernel::namespace::{NetNamespace, OpenNamespace};
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::qdisc::Qdisc;
use firedrill_kernel::{KernelError, link, nftables, qdisc};

use super::Left;

/// The major numbers of our own disciplines.
const OURS: std::ops::RangeInclusive<u16> = 0xfd00..=0xfd0f;

pub(super) fn left() -> Vec<Left> {
    let mut left = Vec::new();
    for namespace in NetNamespace::all() {
        // One that may not be entered, or has ended, is not looked at.
        left.extend(within(&namespace).unwrap_or_default());
    }
    left
}

fn within(open: &OpenNamespace) -> Result<Vec<Left>, KernelError> {
    let place = open.namespace().to_string();
    let (mut route, mut filter) = open.within(|| {
        let route = Socket::open(Protocol::Route)?;
        let filter = Socket::open(Protocol::Netfilter)?;
        Ok::<_, KernelError>((route, filter))
    })?;
    let mut left = disciplines(&mut route, &place)?;
    // Listing tables takes CAP_NET_ADMIN; without it the disciplines are still worth saying.
    left.extend(chains(&mut filter, &place).unwrap_or_default());
    Ok(left)
}

fn disciplines(socket: &mut Socket, place: &str) -> Result<Vec<Left>, KernelError> {
    let links = link::list(socket)?;
    let mut left = Vec::new();
    for found in qdisc::list_all(socket)? {
        if found.is_default() || OURS.contains(&found.handle.major()) {
            continue;
        }
        let name = links
            .iter()
            .find(|link| link.index == found.interface)
            .map_or("an interface", |link| link.name.as_str());
        left.extend(discipline(&found, name, place));
    }
    Ok(left)
}

/// netem has no other use than to disturb; a token bucket may be somebody's wish.
fn discipline(found: &Qdisc, name: &str, place: &str) -> Option<Left> {
    let (what, by) = match found.kind.as_str() {
        "netem" => (
            "a netem discipline",
            "tc, as Pumba, Chaos Mesh, ChaosBlade and Comcast use it",
        ),
        "tbf" => (
            "a rate limit (tbf)",
            "tc, as Pumba and Chaos Mesh use it, or the network's own set-up",
        ),
        _ => return None,
    };
    let what = format!("{what} {} on {name} in {place}", found.handle);
    let advice = format!("`tc qdisc del dev {name} root`, there, removes it, if nobody wants it");
    Some(Left::new(what, Some(by), advice))
}

fn chains(socket: &mut Socket, place: &str) -> Result<Vec<Left>, KernelError> {
    let mut left = Vec::new();
    for table in nftables::tables(socket)? {
        if table.name.starts_with("firedrill-") {
            // Those of living drills are owned; `status` knows them.
            if table.owner_port.is_none() {
                let what = format!(
                    "the nftables table {} in {place}, without an owner",
                    table.name
                );
                let advice = "its rules have ended with their lease; `firedrill recover` removes \
                              those of dead drills, `nft delete table` any";
                left.push(Left::new(
                    what,
                    Some("Firedrill, on a kernel before 5.12"),
                    advice,
                ));
            }
            continue;
        }
        let named = is_chaos(&table.name).then(|| table.name.clone());
        let print = nftables::fingerprint(socket, table.family, &table.name)?;
        let chains = print.lines().iter().filter_map(|line| chain_name(line));
        for name in named
            .into_iter()
            .chain(chains.filter(|name| is_chaos(name)))
        {
            let what = format!("the packet filter chain {name} in {place}");
            let advice = "its tool's own recovery removes it (`chaosd recover`), or `iptables -F` and \
                          `-X` of that chain";
            left.push(Left::new(
                what,
                Some("Chaos Mesh, chaosd or the like"),
                advice,
            ));
        }
    }
    Ok(left)
}

fn is_chaos(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["chaos", "pumba", "toxiproxy", "comcast", "gremlin", "blade"]
        .iter()
        .any(|word| name.starts_with(word))
}

/// `NFTA_CHAIN_NAME` of a fingerprint's line, which gives bytes in hexadecimal.
fn chain_name(line: &str) -> Option<String> {
    let digits = line
        .strip_prefix("chain ")?
        .split(' ')
        .find_map(|part| part.strip_prefix("3="))?;
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    let text = String::from_utf8(bytes?).ok()?;
    Some(text.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use firedrill_kernel::namespace::in_fresh;

    use super::*;

    fn shell(script: &str) -> bool {
        let status = Command::new("sh").args(["-ec", script]).status();
        status.unwrap().success()
    }

    #[test]
    fn what_tc_and_iptables_left_is_recognised_and_ours_is_not() {
        let outcome = in_fresh(|| {
            assert!(shell(
                "tc qdisc add dev lo root handle 5: tbf rate 1mbit burst 10k limit 20k"
            ));
            assert!(shell(
                "nft add table ip filter; nft add chain ip filter CHAOS-INPUT"
            ));
            assert!(shell(
                "ip link add near type veth peer name far 2>/dev/null || ip link add name near type veth peer name far"
            ));
            assert!(shell(
                "tc qdisc add dev near root handle fd00: pfifo limit 10"
            ));
            let here = NetNamespace::current()?;
            within(&here)
        });
        let left = match outcome {
            Ok(left) => left,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(
            left[0].what.contains("tbf") && left[0].what.contains("5: on lo"),
            "{left:?}"
        );
        assert!(left[1].what.contains("CHAOS-INPUT"), "{left:?}");
    }

    #[test]
    fn a_netem_of_somebody_is_said_where_the_kernel_has_netem() {
        if let Err(error) = qdisc::netem_usable() {
            return eprintln!("skipped: {error}");
        }
        let left = in_fresh(|| {
            assert!(shell("tc qdisc add dev lo root netem delay 10ms"));
            within(&NetNamespace::current()?)
        });
        let left = left.unwrap();
        assert!(left[0].what.contains("netem"), "{left:?}");
    }

    #[test]
    fn a_namespace_without_anything_of_anybody_is_clean() {
        let outcome = in_fresh(|| within(&NetNamespace::current()?));
        match outcome {
            Ok(left) => assert_eq!(left, []),
            Err(error) => eprintln!("skipped: {error}"),
        }
    }
}
