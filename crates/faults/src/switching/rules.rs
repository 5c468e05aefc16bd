//! Faults that need nothing but rules in the kernel: dropped or rejected packets.

use firedrill_kernel::nftables::{Action, Ruleset, Transport};
use firedrill_undo::{PacketFilter, Primitive};

use super::filter::{Bounds, Filter};
use super::place::{Place, places};
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
    let bounds = Bounds {
        sockets: place.sockets,
        spare: site.spare.to_vec(),
    };
    let ruleset = Ruleset {
        table: fresh_name(),
        chains: filter.chains(&bounds, actions)?,
        lease: true,
    };
    Ok(PacketFilter {
        namespace: place.namespace,
        ruleset,
    })
}
