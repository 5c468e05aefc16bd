//! Parts hosts into groups that do not reach each other.
//!
//! Each target is a network namespace; its own addresses say which group it is in. What is cut is
//! cut at the targets, on the way out and on the way in: one of two ends as a target is enough.

mod shape;

use std::net::IpAddr;

use firedrill_kernel::link::{self, Paths};
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::{Action, Prefix};
use firedrill_undo::Primitive;
use serde_json::{Map, Value, json};

use self::shape::{Cut, Shape};
use super::filter::{self, Direction, Filter};
use super::hosts::Hosts;
use super::place::{Place, places};
use super::row::{required, row};
use super::rules;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Partition::parse(arguments)?)),
};

const NAME: &str = "switching.partition";

const FILTER: [&str; 7] = [
    "port",
    "remote-port",
    "local-port",
    "protocol",
    "interface",
    "percent",
    "ssh",
];

const GROUPS: &str = "2 to 64 groups: a list of lists, or an object of lists by name, of addresses, \
                      prefixes and host names; a lone address is a group";

const MOST: usize = 64;

const KINDS: &str = "symmetric, one-way, ring, bridge or majorities";

/// `switching.partition`
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    groups: Vec<Group>,
    shape: Shape,
    filter: Filter,
}

/// Who is on one side.
#[derive(Clone, Debug, Default, PartialEq)]
struct Group {
    /// As the document names it, or its place from 1.
    name: String,
    prefixes: Vec<Prefix>,
    hosts: Vec<String>,
}

impl Partition {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut known = vec!["groups", "kind"];
        known.extend(FILTER);
        let mut read = Arguments::new(NAME, arguments, &known);
        let groups = read.read("groups", GROUPS, groups);
        let groups = read.require("groups", groups, "who is parted from whom");
        let shape = read.read("kind", KINDS, |value| {
            Some(match value.as_str()? {
                "symmetric" => Shape::Symmetric,
                "one-way" => Shape::OneWay,
                "ring" => Shape::Ring,
                "bridge" => Shape::Bridge,
                "majorities" => Shape::Majorities,
                _ => return None,
            })
        });
        let shape = shape.unwrap_or(Shape::Symmetric);
        if let Some(found) = read.get("groups")
            && !groups.is_empty()
            && groups.len() < shape.fewest()
        {
            let fewest = format!("at least {} groups for this kind", shape.fewest());
            read.wrong("groups", found, &fewest);
        }
        let filter = Filter::read_with_percent(&mut read);
        read.finish()?;
        Ok(Self {
            groups,
            shape,
            filter,
        })
    }

    /// The rules at one place; `None` when nothing is cut there.
    fn at(&self, place: Place, site: &Site<'_>) -> Result<Option<Primitive>, CompileError> {
        let own = place.namespace.within(own_addresses)?;
        let own = self.group_of(&own, &place, site.hosts)?;
        let cut = self.shape.cut(own, self.groups.len());
        let filters = self.filters(&cut, site.hosts)?;
        if filters.is_empty() {
            return Ok(None);
        }
        let table = rules::table_of(&filters, &[(None, Action::Drop)], place, site)?;
        Ok(Some(Primitive::FilterPackets(table)))
    }

    fn filters(&self, cut: &Cut, hosts: Hosts<'_>) -> Result<Vec<Filter>, CompileError> {
        let mut filters = Vec::new();
        for (direction, groups) in [
            (Direction::Egress, &cut.mute),
            (Direction::Ingress, &cut.deaf),
        ] {
            let mut peers = Vec::new();
            for group in groups.iter().filter_map(|place| self.groups.get(*place)) {
                peers.extend(group.asked_for(hosts)?);
            }
            if !peers.is_empty() {
                filters.push(self.filter.towards(direction, peers));
            }
        }
        Ok(filters)
    }

    /// The one group that has an address of this place.
    fn group_of(
        &self,
        own: &[IpAddr],
        place: &Place,
        hosts: Hosts<'_>,
    ) -> Result<usize, CompileError> {
        let mut mine = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let members = group.members(hosts)?;
            let has = |address: &IpAddr| members.iter().any(|member| member.contains(*address));
            if own.iter().any(has) {
                mine.push(index);
            }
        }
        match mine.as_slice() {
            [one] => Ok(*one),
            [] => Err(CompileError::Groups {
                why: format!(
                    "none has an address of the network namespace {}",
                    place.namespace
                ),
            }),
            several => {
                let named = several.iter().filter_map(|index| self.groups.get(*index));
                let names: Vec<&str> = named.map(|group| group.name.as_str()).collect();
                Err(CompileError::Groups {
                    why: format!(
                        "{} all have addresses of the network namespace {}",
                        names.join(", "),
                        place.namespace
                    ),
                })
            }
        }
    }

    /// An address in two groups would be cut from itself.
    fn check_apart(&self, hosts: Hosts<'_>) -> Result<(), CompileError> {
        let members: Vec<_> = self
            .groups
            .iter()
            .map(|group| Ok((group, group.members(hosts)?)))
            .collect::<Result<_, CompileError>>()?;
        for (index, (group, own)) in members.iter().enumerate() {
            for (other, theirs) in members.iter().skip(index + 1) {
                let shared = own
                    .iter()
                    .find(|one| theirs.iter().any(|their| one.overlaps(their)));
                if let Some(shared) = shared {
                    return Err(CompileError::Groups {
                        why: format!("{} and {} share {shared}", group.name, other.name),
                    });
                }
            }
        }
        Ok(())
    }
}

impl Group {
    /// Everybody in it, by all that its names have meant so far.
    fn members(&self, hosts: Hosts<'_>) -> Result<Vec<Prefix>, CompileError> {
        let mut members = self.prefixes.clone();
        let found = hosts.ever_of(&self.hosts)?;
        members.extend(found.into_iter().map(Prefix::from));
        Ok(members)
    }

    /// Only who is new, where names have come to mean others.
    fn asked_for(&self, hosts: Hosts<'_>) -> Result<Vec<Prefix>, CompileError> {
        match hosts {
            Hosts::LookUp | Hosts::At(_) => self.members(hosts),
            Hosts::Moved { .. } => {
                let found = hosts.of(&self.hosts)?;
                Ok(found.into_iter().map(Prefix::from).collect())
            }
        }
    }
}

impl Disturbance for Partition {
    fn hosts(&self) -> Vec<String> {
        let names = self.groups.iter().flat_map(|group| &group.hosts);
        names.cloned().collect()
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        self.check_apart(site.hosts)?;
        let mut primitives = Vec::new();
        for place in places(site)? {
            primitives.extend(self.at(place, site)?);
        }
        if primitives.is_empty() && !matches!(site.hosts, Hosts::Moved { .. }) {
            return Err(CompileError::Groups {
                why: "no target is cut from anybody".into(),
            });
        }
        Ok(primitives)
    }
}

/// Of every interface of the namespace of the calling thread, but what only it reaches itself.
fn own_addresses() -> Result<Vec<IpAddr>, CompileError> {
    let mut socket = Socket::open(Protocol::Route)?;
    let mut own = Vec::new();
    for interface in link::list(&mut socket)? {
        let paths = Paths::of(&mut socket, interface.index)?;
        let found = paths.addresses.iter().map(|own| own.address);
        own.extend(found.filter(|address| !address.is_loopback()));
    }
    Ok(own)
}

fn groups(value: &Value) -> Option<Vec<Group>> {
    let groups: Vec<Group> = match value {
        Value::Array(several) => several
            .iter()
            .enumerate()
            .map(|(place, members)| group(format!("group {}", place + 1), members))
            .collect::<Option<_>>()?,
        Value::Object(named) => named
            .iter()
            .map(|(name, members)| group(format!("group {name:?}"), members))
            .collect::<Option<_>>()?,
        _ => return None,
    };
    (2..=MOST).contains(&groups.len()).then_some(groups)
}

fn group(name: String, value: &Value) -> Option<Group> {
    let mut group = Group {
        name,
        ..Group::default()
    };
    for member in filter::list(value, |member| Some(member.clone()))? {
        match filter::prefix(&member) {
            Some(prefix) => group.prefixes.push(prefix),
            // What looks like a broken address is none of the names.
            None if member.as_str()?.contains(|c: char| c.is_ascii_alphabetic()) => {
                group.hosts.push(filter::host(&member)?);
            }
            None => return None,
        }
    }
    Some(group)
}

fn entry() -> Entry {
    let mut parameters = vec![
        required(
            "groups",
            ParameterKind::List,
            GROUPS,
            "each target is in the group that has an address of its network namespace",
        ),
        row(
            "kind",
            ParameterKind::Choice,
            KINDS,
            Some(json!("symmetric")),
            "symmetric: no group talks with another. one-way: the first hears nothing from the \
             others. ring: each talks with its two neighbours. bridge: the last talks with all, the \
             others not among themselves. majorities: each talks with a majority, no two with the \
             same",
        ),
    ];
    parameters.extend(filter::some_parameters(&FILTER));
    Entry {
        name: NAME,
        layer: "switching",
        summary: "parts hosts into groups that do not reach each other",
        targets: rules::TARGETS.to_vec(),
        parameters,
        needs: rules::NEEDS.to_vec(),
        mechanisms: vec![rules::MECHANISM],
        recovery_path: rules::RECOVERY,
        undo: UndoClass::Reversible,
        observed_effect: "packets that the rules have dropped, as the kernel counts them",
        example: "groups=[[\"192.0.2.1\"],[\"192.0.2.2\",\"192.0.2.3\"]]",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &Value) -> Result<Partition, FaultError> {
        Partition::parse(arguments.as_object().unwrap())
    }

    #[test]
    fn groups_are_lists_named_lists_or_lone_addresses() {
        let listed =
            parse(&json!({"groups": [["10.0.0.1"], ["10.0.0.2", "db.internal"]]})).unwrap();
        assert_eq!(listed.groups.len(), 2);
        assert_eq!(listed.groups[1].hosts, ["db.internal"]);
        let alone = parse(&json!({"groups": ["10.0.0.1", "10.0.0.2", "fd00::/8"]})).unwrap();
        assert_eq!(alone.groups.len(), 3);
        let named = parse(&json!({"groups": {"east": ["10.0.0.1"], "west": "10.0.0.2"}})).unwrap();
        assert_eq!(named.groups[0].name, "group \"east\"");
    }

    #[test]
    fn one_group_an_empty_one_a_broken_address_and_too_few_for_the_kind_are_refused() {
        for groups in [
            json!([["10.0.0.1"]]),
            json!([["10.0.0.1"], []]),
            json!([["10.0.0.1"], ["10.0.0.256"]]),
            json!([["10.0.0.1"], ["10.0.0.0/33"]]),
            json!("10.0.0.1"),
            json!({}),
        ] {
            assert!(parse(&json!({"groups": groups})).is_err(), "{groups}");
        }
        assert!(parse(&json!({})).is_err());
        let ring = parse(&json!({"groups": ["10.0.0.1", "10.0.0.2"], "kind": "ring"}));
        assert!(ring.unwrap_err().to_string().contains("at least 4 groups"));
    }

    #[test]
    fn an_address_in_two_groups_is_refused_with_both_names() {
        let both = parse(&json!({"groups": [["10.0.0.0/8"], ["10.1.2.3"]]})).unwrap();
        let refused = both.check_apart(Hosts::LookUp).unwrap_err().to_string();
        assert!(refused.contains("group 1 and group 2"), "{refused}");
    }
}
