//! nftables, disciplines, queues and sockets, each operated in a network namespace of its own.

use std::net::{TcpListener, TcpStream};

use firedrill_kernel::namespace::in_fresh;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::{self, Ability, Probe};
use firedrill_kernel::qdisc::{self, QdiscError};
use firedrill_kernel::sock_diag::{self, Transport, Wanted};
use firedrill_kernel::{Capability, KernelError, link};

use super::{Check, Subject, chain};

const PRIVILEGE_FIX: &str = "it takes CAP_SYS_ADMIN and CAP_NET_ADMIN: run as root";

pub(super) fn checks() -> Vec<Check> {
    let mut checks = rules();
    checks.extend(disciplines());
    checks.push(destroyed_sockets());
    checks.push(super::interception::check());
    checks
}

fn rules() -> Vec<Check> {
    match nftables::usable() {
        Ok(probes) => probes.into_iter().map(ability).collect(),
        Err(error) => {
            let why = chain(&error);
            vec![Check::unusable(
                Subject::Network,
                "nftables",
                why,
                Some(fix("load nf_tables")),
            )]
        }
    }
}

/// What an ability is called here; `usable` looks it up by this name.
pub(super) fn name(ability: Ability) -> &'static str {
    match ability {
        Ability::Owner => "nftables owner flag",
        Ability::Lease => "nftables timed sets",
        Ability::Random => "nftables numgen",
        Ability::AddressSets => "nftables address sets",
        Ability::RejectReset => "nftables reject with RST",
        Ability::RejectIcmp => "nftables reject with ICMP",
        Ability::Redirect => "nftables redirect",
        Ability::ConnectionState => "nftables connection state",
        Ability::QueueNative => "nftables queue",
        Ability::QueueCompat => "xtables NFQUEUE, inet",
        Ability::QueueCompatSplit => "xtables NFQUEUE, ip and ip6",
        Ability::CgroupV2 => "nftables cgroup v2",
        Ability::NetClass => "nftables net_cls",
    }
}

fn ability(probe: Probe) -> Check {
    let advice = match probe.ability {
        Ability::Owner => {
            "Linux 5.12 or newer; without it, tables are removed by the guardian and by recovery"
        }
        Ability::Lease => "load nf_tables with sets (nft_set_hash)",
        Ability::Random => "load nft_numgen",
        Ability::AddressSets => "load nft_set_rbtree or a kernel with it",
        Ability::RejectReset | Ability::RejectIcmp => "load nft_reject_inet",
        Ability::Redirect => "load nft_redir and nft_chain_nat",
        Ability::ConnectionState => "load nft_ct",
        Ability::QueueNative => "load nft_queue; else the xtables target is used",
        Ability::QueueCompat | Ability::QueueCompatSplit => {
            "load nft_compat and xt_NFQUEUE; needed only where nftables has no queue"
        }
        Ability::CgroupV2 => "mount cgroup v2; then load nft_socket (Linux 5.7)",
        Ability::NetClass => "load nft_meta with cls_cgroup; needed only for cgroup v1",
    };
    let outcome = probe
        .refused
        .map_or(Ok("made and removed in a namespace of its own"), Err);
    Check::of(Subject::Network, name(probe.ability), outcome, advice)
}

fn disciplines() -> Vec<Check> {
    let seen = "attached in a namespace of its own";
    let said =
        |outcome: Result<(), QdiscError>| outcome.map(|()| seen).map_err(|error| chain(&error));
    let bands = qdisc::bands_usable().map(|_| ());
    vec![
        Check::of(
            Subject::Network,
            "netem",
            said(qdisc::netem_usable()),
            fix(
                "load sch_netem (linux-modules-extra, kernel-modules-extra); a queue of our own is used instead",
            ),
        ),
        Check::of(
            Subject::Network,
            "tbf",
            said(qdisc::tbf_usable()),
            fix("load sch_tbf"),
        ),
        Check::of(
            Subject::Network,
            "prio or htb",
            said(bands),
            fix("load sch_prio or sch_htb; a queue of our own is used instead"),
        ),
    ]
}

fn destroyed_sockets() -> Check {
    let outcome = match in_fresh(destroy_own) {
        Ok(true) => Ok("destroyed a connection of its own"),
        Ok(false) => Err("a connection was not found again".to_owned()),
        Err(error) => Err(chain(&error)),
    };
    let fix = fix("a kernel with CONFIG_INET_DIAG_DESTROY, and tcp_diag loaded");
    Check::of(Subject::Network, "sock_diag destroy", outcome, fix)
}

fn destroy_own() -> Result<bool, KernelError> {
    link::set_up(&mut Socket::open(Protocol::Route)?, 1, true)?;
    let said = |source| KernelError::Call {
        call: "a connection to itself",
        source,
    };
    let listener = TcpListener::bind("127.0.0.1:0").map_err(said)?;
    let near = TcpStream::connect(listener.local_addr().map_err(said)?).map_err(said)?;
    let local = near.local_addr().map_err(said)?;
    let mut socket = Socket::open(Protocol::SockDiag)?;
    let all = sock_diag::list(&mut socket, Transport::Tcp, &Wanted::default())?;
    match all.iter().find(|found| found.local == local) {
        Some(found) => sock_diag::destroy(&mut socket, found),
        None => Ok(false),
    }
}

/// Without the privilege nothing is known of the modules.
pub(super) fn fix(modules: &'static str) -> &'static str {
    let missing = Capability::SysAdmin.is_missing() || Capability::NetAdmin.is_missing();
    if missing { PRIVILEGE_FIX } else { modules }
}
