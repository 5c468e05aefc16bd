//! Faults that need nothing but rules in the kernel: dropped or rejected packets.

use firedrill_kernel::nftables::{Action, Chain, Ruleset, Transport};
use firedrill_undo::{PacketFilter, Primitive};

use super::filter::{Bounds, Filter};
use super::hosts::Hosts;
use super::place::{Place, interface, places};
use crate::fault::{CompileError, Site, fresh_name};
use crate::target::TargetKind;

pub(super) const TARGETS: &[TargetKind] = &[
    TargetKind::Host,
    TargetKind::Namespace,
    TargetKind::Process,
    TargetKind::Cgroup,
    TargetKind::Container,
];

pub(super) const NEEDS: &[&str] = &[
    "CAP_NET_ADMIN in the target's network namespace",
    "nf_tables",
];

pub(super) const MECHANISM: &str =
    "nftables: a table owned by the guardian's socket, whose rules stop to match with the lease";

pub(super) const RECOVERY: &str = "the kernel removes the table with its guardian, and the rules \
                                   stop to match when the lease runs out, even if everything of \
                                   Firedrill is stopped";

/// One table for each place.
pub(super) fn compile(
    filter: &Filter,
    actions: &[(Option<Transport>, Action)],
    site: &Site<'_>,
) -> Result<Vec<Primitive>, CompileError> {
    places(site)?
        .into_iter()
        .map(|place| table(filter, actions, place, site).map(Primitive::FilterPackets))
        .collect()
}

/// A table at one place, in force only while its lease is renewed.
pub(super) fn table(
    filter: &Filter,
    actions: &[(Option<Transport>, Action)],
    place: Place,
    site: &Site<'_>,
) -> Result<PacketFilter, CompileError> {
    table_of(std::slice::from_ref(filter), actions, place, site)
}

/// As [`table`], of filters that are about different ways.
pub(super) fn table_of(
    filters: &[Filter],
    actions: &[(Option<Transport>, Action)],
    place: Place,
    site: &Site<'_>,
) -> Result<PacketFilter, CompileError> {
    if !matches!(site.hosts, Hosts::Moved { .. }) {
        for name in filters.iter().filter_map(|one| one.interface.as_deref()) {
            // Rules match by name, and would wait in vain for one that is not there.
            place.namespace.within(|| interface(name))?;
        }
    }
    let bounds = Bounds {
        sockets: place.sockets,
        spare: site.spare,
        hosts: site.hosts,
    };
    let mut chains: Vec<Chain> = Vec::new();
    for chain in filters
        .iter()
        .map(|filter| filter.chains(&bounds, actions))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
    {
        match chains.iter_mut().find(|known| known.name == chain.name) {
            Some(known) => known.rules.extend(chain.rules),
            None => chains.push(chain),
        }
    }
    let ruleset = Ruleset {
        table: fresh_name(),
        chains,
        lease: true,
    };
    Ok(PacketFilter {
        namespace: place.namespace,
        ruleset,
    })
}
