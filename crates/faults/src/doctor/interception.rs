//! Connections led into a proxy, operated in a network namespace of its own: redirected, known by
//! where they were meant for, and forgotten.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use firedrill_kernel::namespace::in_fresh;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::{
    Action, Chain, ChainKind, Hook, Match, PortRange, Rule, Ruleset, Table, Transport,
};
use firedrill_kernel::socket::original_destination;
use firedrill_kernel::{KernelError, conntrack, link};

use super::network::fix;
use super::{Check, Subject, chain};

pub(super) const NAME: &str = "interception";

/// Where nobody listens.
const MEANT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

pub(super) fn check() -> Check {
    let outcome = match in_fresh(redirected) {
        Ok(None) => Ok("redirected a connection of its own, and had it forgotten"),
        Ok(Some(why)) => Err(why.to_owned()),
        Err(error) => Err(chain(&error)),
    };
    let fix = fix("load nft_redir, nft_chain_nat and nf_conntrack_netlink");
    Check::of(Subject::Network, NAME, outcome, fix)
}

/// What did not work.
fn redirected() -> Result<Option<&'static str>, KernelError> {
    link::set_up(&mut Socket::open(Protocol::Route)?, 1, true)?;
    let said = |source| KernelError::Call {
        call: "a connection to itself",
        source,
    };
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(said)?;
    let port = proxy.local_addr().map_err(said)?.port();
    let ruleset = Ruleset {
        table: "firedrill-probe".into(),
        chains: vec![Chain {
            name: "out".into(),
            hook: Hook::Output,
            kind: ChainKind::Nat,
            priority: -101,
            rules: vec![Rule {
                matches: vec![
                    Match::Protocol(Transport::Tcp),
                    Match::DestinationPort(PortRange::one(MEANT.port())),
                ],
                action: Action::Redirect(port),
            }],
        }],
        lease: false,
    };
    let _table = Table::create(Socket::open(Protocol::Netfilter)?, &ruleset)?;
    let _client = TcpStream::connect(MEANT).map_err(said)?;
    let (taken, _) = proxy.accept().map_err(said)?;
    if original_destination(&taken)? != MEANT {
        return Ok(Some(
            "a redirected connection does not tell where it was meant for",
        ));
    }
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let all = conntrack::list(&mut socket)?;
    let translated = all.iter().find(|one| one.destination_translated);
    Ok(match translated {
        Some(one) if conntrack::forget(&mut socket, one)? => None,
        _ => Some("the translation of a connection was not found again"),
    })
}
