//! Sets: address groups inside a rule, and the lease.

use std::time::Duration;

use crate::netlink::{Attributes, Message};

use super::expression::data_value;
use super::message::{self, Family, Kind};
use super::{IpVersion, Prefix};

/// The kernel numbers anonymous sets by this pattern.
pub(super) const ANONYMOUS: &str = "__set%d";

/// `NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | NFT_SET_INTERVAL`.
const CONSTANT_INTERVALS: u32 = 0x1 | 0x2 | 0x4;
/// `NFT_SET_TIMEOUT`.
const TIMED: u32 = 0x10;
/// `NFT_SET_ELEM_INTERVAL_END`.
const INTERVAL_END: u32 = 0x1;
/// The element list of one message has a 16-bit length; an IPv6 element takes 40 bytes.
const PER_MESSAGE: usize = 1000;

/// Types as nft shows them: `nf_proto`, `ipv4_addr`, `ipv6_addr`.
const TYPE_NFPROTO: u32 = 2;
const TYPE_V4: u32 = 7;
const TYPE_V6: u32 = 8;

/// The set of the lease: IP versions, each with a timeout. Empty, so nothing matches yet.
pub(super) fn lease(table: &str, family: Family, name: &str, id: u32) -> Message {
    let attributes = message::in_table(table)
        .string(2, name)
        .be32(3, TIMED)
        .be32(4, TYPE_NFPROTO)
        .be32(5, 1)
        .be32(10, id);
    message::create(format!("add set {name}"), Kind::NewSet, family).with(&attributes)
}

/// Empties the lease and fills it for `left`; zero only empties it.
///
/// Emptying never fails, whereas deleting an element that has just run out would.
pub(super) fn renew(table: &str, family: Family, name: &str, left: Duration) -> Vec<Message> {
    let set = || message::in_table(table).string(2, name);
    let empty = message::plain(
        format!("end the lease of {table}"),
        Kind::DeleteElement,
        family.number(),
    );
    let mut out = vec![empty.with(&set())];
    let milliseconds = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    if milliseconds == 0 {
        return out;
    }
    let versions = [IpVersion::V4, IpVersion::V6];
    let elements = versions.iter().fold(Attributes::new(), |list, version| {
        let element = Attributes::new()
            .nested(1, &data_value(&[version.protocol_family()]))
            .be64(4, milliseconds);
        list.nested(1, &element)
    });
    let fill = message::create(
        format!("renew the lease of {table}"),
        Kind::NewElement,
        family,
    );
    out.push(fill.with(&set().nested(3, &elements)));
    out
}

/// An anonymous set of addresses for one rule of the same transaction, which names it by `id`.
pub(super) fn addresses(
    table: &str,
    family: Family,
    id: u32,
    version: IpVersion,
    prefixes: &[Prefix],
) -> Vec<Message> {
    let (key_type, key_length, last) = match version {
        IpVersion::V4 => (TYPE_V4, 4, u128::from(u32::MAX)),
        IpVersion::V6 => (TYPE_V6, 16, u128::MAX),
    };
    let attributes = message::in_table(table)
        .string(2, ANONYMOUS)
        .be32(3, CONSTANT_INTERVALS)
        .be32(4, key_type)
        .be32(5, key_length)
        .be32(10, id);
    let create = message::create("add a set of addresses".to_owned(), Kind::NewSet, family);
    let mut out = vec![create.with(&attributes)];
    let mut edges = Vec::new();
    for (first, end) in merge(prefixes) {
        edges.push((first, 0));
        // An interval that reaches the last address has no end.
        if end < last {
            edges.push((end + 1, INTERVAL_END));
        }
    }
    for chunk in edges.chunks(PER_MESSAGE) {
        let elements = chunk.iter().fold(Attributes::new(), |list, (edge, flags)| {
            let bytes = edge.to_be_bytes();
            let key = match version {
                IpVersion::V4 => bytes.get(12..).unwrap_or_default(),
                IpVersion::V6 => &bytes,
            };
            let mut element = Attributes::new().nested(1, &data_value(key));
            if *flags != 0 {
                element = element.be32(3, *flags);
            }
            list.nested(1, &element)
        });
        let attributes = message::in_table(table)
            .string(2, ANONYMOUS)
            .nested(3, &elements)
            .be32(4, id);
        let doing = "fill a set of addresses".to_owned();
        out.push(message::create(doing, Kind::NewElement, family).with(&attributes));
    }
    out
}

/// Ranges in order; those that overlap or touch become one, as the kernel wants them.
pub(super) fn merge(prefixes: &[Prefix]) -> Vec<(u128, u128)> {
    let mut ranges: Vec<_> = prefixes.iter().map(Prefix::range).collect();
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::new();
    for (first, end) in ranges {
        match merged.last_mut() {
            Some((_, before)) if first <= before.saturating_add(1) => *before = end.max(*before),
            _ => merged.push((first, end)),
        }
    }
    merged
}
