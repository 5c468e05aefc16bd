//! Takes an interface down: nothing leaves or arrives by it any more.

use firedrill_kernel::link::Paths;
use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::sock_diag::{self, State, Transport, Wanted};
use firedrill_undo::{InterfaceDown as Down, Primitive};
use serde_json::{Map, Value, json};

use super::filter;
use super::place::{Place, interface, places};
use super::row::{required, row};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(InterfaceDown::parse(arguments)?)),
};

const NAME: &str = "switching.interface-down";

const SSH: u16 = 22;

/// `switching.interface-down`
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceDown {
    interface: String,
    /// Even by which this host is reached.
    allow_default: bool,
}

impl InterfaceDown {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &["interface", "allow-default"]);
        let name = read.read("interface", "the name of an interface", filter::interface);
        let interface = read.require("interface", name, "which one, such as eth1");
        let allow_default = read.flag("allow-default").unwrap_or(false);
        read.finish()?;
        Ok(Self {
            interface,
            allow_default,
        })
    }

    fn at(&self, place: Place) -> Result<Primitive, CompileError> {
        if place.sockets.is_some() {
            return Err(CompileError::NotApart {
                what: format!("the interface {}", self.interface),
                why: "it belongs to a whole network namespace; name the host or the namespace",
            });
        }
        let own = NetNamespace::current()?
            .namespace()
            .is_same(&place.namespace);
        let index = place.namespace.within(|| self.find(own))?;
        Ok(Primitive::DownInterface(Down {
            namespace: place.namespace,
            index,
            name: self.interface.clone(),
            before: None,
        }))
    }

    /// Its index in the namespace of the calling thread, unless it is left alone.
    fn find(&self, own: bool) -> Result<u32, CompileError> {
        let what = || format!("the interface {}", self.interface);
        let alone = |why| Err(CompileError::LeftAlone { what: what(), why });
        let found = interface(&self.interface)?;
        if !found.is_up() {
            return alone("it is down already");
        }
        if !own {
            return Ok(found.index);
        }
        if found.is_loopback() {
            return alone("this host needs it to talk with itself, and so does Firedrill");
        }
        if self.allow_default {
            return Ok(found.index);
        }
        let mut socket = Socket::open(Protocol::Route)?;
        let paths = Paths::of(&mut socket, found.index)?;
        if paths.routes.iter().any(|route| route.destination.is_none()) {
            return alone(
                "this host's default route leads through it; `allow-default` takes it down all the same",
            );
        }
        if carries_ssh(&paths)? {
            return alone("an SSH session comes by it; `allow-default` takes it down all the same");
        }
        Ok(found.index)
    }
}

impl Disturbance for InterfaceDown {
    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let places = places(site)?.into_iter();
        places.map(|place| self.at(place)).collect()
    }
}

/// Whether somebody is logged in by one of its addresses.
fn carries_ssh(paths: &Paths) -> Result<bool, CompileError> {
    let mut socket = Socket::open(Protocol::SockDiag)?;
    let wanted = Wanted {
        states: vec![State::Established],
        local_ports: Some((SSH, SSH)),
        ..Wanted::default()
    };
    let sessions = sock_diag::list(&mut socket, Transport::Tcp, &wanted)?;
    let by_it = |session: &sock_diag::Found| {
        let local = session.local.ip().to_canonical();
        paths.addresses.iter().any(|own| own.address == local)
    };
    Ok(sessions.iter().any(by_it))
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "switching",
        summary: "takes an interface down, and with it the routes that lead through it",
        targets: vec![TargetKind::Host, TargetKind::Namespace, TargetKind::Process],
        parameters: vec![
            required(
                "interface",
                ParameterKind::Text,
                "the name of an interface that is up",
                "which one; never the loopback of this host",
            ),
            row(
                "allow-default",
                ParameterKind::Boolean,
                "true or false",
                Some(json!(false)),
                "even where this host's default route or an SSH session needs it",
            ),
        ],
        needs: vec!["CAP_NET_ADMIN in the target's network namespace"],
        mechanisms: vec![
            "rtnetlink: the interface is set down, and later up; the addresses and routes that it \
             lost are added again as they were",
        ],
        recovery_path: "the guardian; when it dies, its owner or `firedrill recover`; a reboot. \
                        Until then the interface stays down: the kernel has no time limit for it. \
                        Not brought back: permanent neighbour entries, routes of interfaces on top \
                        of it (VLANs), nexthop objects",
        undo: UndoClass::Reversible,
        observed_effect: "the interface is down; afterwards, every address and route is compared",
        example: "interface=eth1",
    }
}
