use firedrill_kernel::KernelError;
use firedrill_kernel::link::{self, Interface};
use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::qdisc::Configuration;

use super::Difference;

/// An interface and what it does to packets; absent when it is not there.
#[derive(Debug, PartialEq)]
pub(super) struct InterfaceState(Option<(Interface, Configuration)>);

impl InterfaceState {
    pub(super) fn read(namespace: &NetNamespace, index: u32) -> Result<Self, KernelError> {
        let Some(namespace) = namespace.open()? else {
            return Ok(Self(None));
        };
        let mut socket = namespace.within(|| Socket::open(Protocol::Route))?;
        let Some(interface) = link::by_index(&mut socket, index)? else {
            return Ok(Self(None));
        };
        let configuration = Configuration::of(&mut socket, index)?;
        Ok(Self(Some((interface, configuration))))
    }

    /// An interface that is gone took everything along; that is not a difference.
    pub(super) fn differences(&self, after: &Self, name: &str) -> Vec<Difference> {
        let (Some((link, disciplines)), Some((link_now, disciplines_now))) = (&self.0, &after.0)
        else {
            return Vec::new();
        };
        let up = |link: &Interface| if link.is_up() { "up" } else { "down" };
        let mtu = |link: &Interface| link.mtu.to_string();
        let master = |link: &Interface| match link.master {
            Some(index) => format!("part of interface {index}"),
            None => "part of no other".to_owned(),
        };
        let kinds = |found: &Configuration| {
            let kinds: Vec<&str> = found.parts.iter().map(|part| part.kind.as_str()).collect();
            kinds.join(" ")
        };
        let mut all: Vec<Difference> = [
            Difference::between(&format!("interface {name}"), up(link), up(link_now)),
            Difference::between(
                &format!("the largest packet of interface {name}"),
                &mtu(link),
                &mtu(link_now),
            ),
            Difference::between(
                &format!("interface {name}"),
                &master(link),
                &master(link_now),
            ),
        ]
        .into_iter()
        .flatten()
        .collect();
        if disciplines != disciplines_now {
            let (before, after) = (kinds(disciplines), kinds(disciplines_now));
            let difference = if before == after {
                format!("other parameters of {after}")
            } else {
                format!("it was [{before}] and is [{after}]")
            };
            let what = format!("the queueing of interface {name}");
            all.push(Difference::new(what, difference));
        }
        all
    }
}
