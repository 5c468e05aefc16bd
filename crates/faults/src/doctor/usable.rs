//! Which faults can work here, as far as the checks tell. A fault may still be refused at its
//! target, for a reason of the target's.

use serde::Serialize;

use super::{Check, container, interception};
use crate::catalogue::catalogue;

/// Whether a fault can work on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Usability {
    pub fault: &'static str,
    pub usable: bool,
    /// The mechanism that would be taken, or why none can.
    pub why: String,
}

/// A way to have an effect: every one of these mechanisms must be usable.
type Way = &'static [&'static str];

const RULES: Way = &["CAP_NET_ADMIN", "nftables timed sets"];
const REJECTS: Way = &[
    "CAP_NET_ADMIN",
    "nftables timed sets",
    "nftables reject with RST",
];
const REDIRECTS: Way = &["CAP_NET_ADMIN", "nftables timed sets", "nftables redirect"];
const PROXIED: Way = &["CAP_NET_ADMIN", "nftables timed sets", interception::NAME];
const NETEM: Way = &[
    "CAP_NET_ADMIN",
    "nftables timed sets",
    "netem",
    "prio or htb",
];
const QUEUE: Way = &["CAP_NET_ADMIN", "nftables timed sets", "nftables queue"];
const XT_QUEUE: Way = &[
    "CAP_NET_ADMIN",
    "nftables timed sets",
    "xtables NFQUEUE, inet",
];
const XT_QUEUES: Way = &[
    "CAP_NET_ADMIN",
    "nftables timed sets",
    "xtables NFQUEUE, ip and ip6",
];

const SHAPING: &[Way] = &[NETEM, QUEUE, XT_QUEUE, XT_QUEUES];
const QUEUES: &[Way] = &[QUEUE, XT_QUEUE, XT_QUEUES];

/// The ways of a fault, in the order in which they are tried. One without a way needs nothing but
/// to be run.
fn ways(fault: &str) -> &'static [Way] {
    match fault {
        "infrastructure.process-kill"
        | "infrastructure.process-pause"
        | "infrastructure.process-signal" => &[&["pidfd"]],
        "infrastructure.clock-skew" => &[&["clock_adjtime", "nobody keeps the time"]],
        "infrastructure.service-stop" => &[&["systemd"]],
        "infrastructure.host-reboot" | "infrastructure.host-shutdown" => &[&["CAP_SYS_BOOT"]],
        "switching.latency"
        | "switching.loss"
        | "switching.duplicate"
        | "switching.corrupt"
        | "switching.reorder"
        | "switching.bandwidth" => SHAPING,
        "switching.blackhole" | "switching.partition" => &[RULES],
        "switching.reject" => &[REJECTS],
        "switching.stream" => &[PROXIED],
        "switching.interface-down" => &[&["CAP_NET_ADMIN"]],
        "switching.connection-reset" => &[&["CAP_NET_ADMIN", "sock_diag destroy"]],
        "switching.dns-spoof" | "switching.dns-error" => &[QUEUE, XT_QUEUE, XT_QUEUES, REDIRECTS],
        "switching.dns-block" | "switching.dns-delay" => QUEUES,
        _ if fault.starts_with("infrastructure.container-") => &[&[container::NAME]],
        // Processes of this user, with what this user may take.
        _ => &[],
    }
}

/// What the checks of [`super::doctor`] mean for each fault of the catalogue.
#[must_use]
pub fn usability(checks: &[Check]) -> Vec<Usability> {
    let of = |fault: &'static str| judge(fault, ways(fault), checks);
    catalogue().iter().map(|entry| of(entry.name)).collect()
}

fn judge(fault: &'static str, ways: &[Way], checks: &[Check]) -> Usability {
    let mut missing = Vec::new();
    for way in ways {
        let broken = way.iter().find(|name| !is_usable(checks, name));
        match broken {
            None => {
                return Usability {
                    fault,
                    usable: true,
                    why: format!("by {}", way.last().unwrap_or(&"a process")),
                };
            }
            Some(name) if !missing.contains(name) => missing.push(name),
            Some(_) => {}
        }
    }
    if ways.is_empty() {
        let why = "needs nothing that is checked here".into();
        return Usability {
            fault,
            usable: true,
            why,
        };
    }
    let reasons: Vec<String> = missing.iter().map(|name| reason(checks, name)).collect();
    Usability {
        fault,
        usable: false,
        why: reasons.join("; "),
    }
}

/// Of several with one name (container engines), one is enough.
fn is_usable(checks: &[Check], name: &str) -> bool {
    checks
        .iter()
        .any(|check| check.mechanism == name && check.usable)
}

fn reason(checks: &[Check], name: &str) -> String {
    match checks.iter().find(|check| check.mechanism == name) {
        Some(_) if name.starts_with("CAP_") => format!("{name} is missing"),
        Some(check) => format!("{name}: {}", check.why),
        // Where no rule can be tried, none of them is in the list.
        None => {
            let all = checks.iter().find(|check| check.mechanism == "nftables");
            let why = all.map_or("not tried", |check| check.why.as_str());
            format!("{name}: {why}")
        }
    }
}

#[cfg(test)]
mod tests {
    use firedrill_kernel::nftables::Ability;

    use super::*;
    use crate::doctor::{Subject, network};

    fn working(names: &[&'static str]) -> Vec<Check> {
        let check = |name: &&'static str| Check::usable(Subject::Network, name, "tried");
        names.iter().map(check).collect()
    }

    #[test]
    fn a_fault_takes_the_first_way_that_works_as_a_whole() {
        let base = ["CAP_NET_ADMIN", "nftables timed sets", "netem"];
        let mut checks = working(&base);
        checks.push(Check::unusable(
            Subject::Network,
            "prio or htb",
            "no prio",
            None,
        ));
        let shaped = judge("f", SHAPING, &checks);
        assert!(!shaped.usable);
        assert!(
            shaped.why.contains("prio or htb: no prio"),
            "{}",
            shaped.why
        );
        checks.extend(working(&["xtables NFQUEUE, inet"]));
        let shaped = judge("f", SHAPING, &checks);
        assert_eq!(
            (shaped.usable, shaped.why.as_str()),
            (true, "by xtables NFQUEUE, inet")
        );
    }

    #[test]
    fn without_the_capability_the_reason_names_it() {
        let missing = Check::unusable(Subject::Privileges, "CAP_NET_ADMIN", "missing", None);
        let judged = judge("f", &[RULES], &[missing]);
        assert!(
            !judged.usable && judged.why.contains("CAP_NET_ADMIN"),
            "{judged:?}"
        );
    }

    #[test]
    fn every_mechanism_that_a_way_names_is_one_that_is_checked() {
        let abilities = [
            Ability::Lease,
            Ability::RejectReset,
            Ability::Redirect,
            Ability::QueueNative,
            Ability::QueueCompat,
            Ability::QueueCompatSplit,
        ];
        let mut known: Vec<&str> = abilities.into_iter().map(network::name).collect();
        let state = firedrill_undo::StateDir::at(std::env::temp_dir());
        let checks = crate::doctor::doctor(&state);
        known.extend(checks.iter().map(|check| check.mechanism));
        for entry in catalogue() {
            for name in ways(entry.name).iter().copied().flatten() {
                assert!(known.contains(name), "{}: {name}", entry.name);
            }
        }
    }
}
