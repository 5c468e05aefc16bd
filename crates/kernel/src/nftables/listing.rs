//! What is there: the tables of a namespace, and what the rules of one have counted.

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::KernelError;
use crate::netlink::{Attribute, Socket};

use super::message::{self, Family, HEADER, Kind};
use super::{RuleCount, message::SUBSYSTEM};

/// A table of any owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableInfo {
    /// `NFPROTO_…`: 1 inet, 2 ip, 10 ip6, 3 arp, 5 netdev, 7 bridge.
    pub family: u8,
    pub name: String,
    /// The netlink port of the socket that owns it, when one does.
    pub owner_port: Option<u32>,
    /// Given once per namespace.
    pub handle: u64,
    /// How many chains, sets and other objects it has.
    pub uses: u32,
}

/// Every table of the namespace of the socket.
///
/// # Errors
/// With the kernel's reason; it takes CAP_NET_ADMIN in the namespace.
pub fn tables(socket: &mut Socket) -> Result<Vec<TableInfo>, KernelError> {
    let all = message::plain("list nft tables".to_owned(), Kind::GetTable, 0);
    let replies = socket.dump(&all)?;
    let read = replies.iter().filter_map(|reply| {
        let [family, ..] = reply.header::<HEADER>()?;
        let attributes = reply.attributes(HEADER);
        Some(TableInfo {
            family,
            name: attributes.get(1)?.text()?.to_owned(),
            owner_port: attributes.get(7).and_then(|owner| owner.be32()),
            handle: attributes.get(4)?.be64()?,
            uses: attributes.get(3)?.be32()?,
        })
    });
    Ok(read.collect())
}

/// Removes a table by its name, in recovery. Whether there was one.
///
/// # Errors
/// `EPERM` when a socket of somebody else owns it: the kernel then leaves it alone.
pub fn delete_named(socket: &mut Socket, family: u8, name: &str) -> Result<bool, KernelError> {
    let doing = format!("delete the nft table {name}");
    let delete = message::plain(doing, Kind::DeleteTable, family).with(&message::in_table(name));
    match socket.transaction(SUBSYSTEM, &[delete]) {
        Ok(()) => Ok(true),
        Err(error) if error.netlink_errno() == Some(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn counters(
    socket: &mut Socket,
    families: &[Family],
    table: &str,
) -> Result<Vec<RuleCount>, KernelError> {
    let mut counts: Vec<RuleCount> = Vec::new();
    for family in families {
        let list = message::plain(
            format!("list the rules of {table}"),
            Kind::GetRule,
            family.number(),
        );
        for reply in socket.dump(&list.with(&message::in_table(table)))? {
            let attributes = reply.attributes(HEADER);
            if attributes.get(1).and_then(|name| name.text()) != Some(table) {
                continue;
            }
            let chain = attributes.get(2).and_then(|chain| chain.text());
            let index = attributes
                .get(7)
                .and_then(|data| message::rule_index(data.payload));
            let counted = attributes.get(4).and_then(|list| counted(&list));
            let (Some(chain), Some(rule), Some((packets, bytes))) = (chain, index, counted) else {
                continue;
            };
            // A rule with addresses is one per IP version in the kernel.
            match counts
                .iter_mut()
                .find(|count| count.chain == chain && count.rule == rule)
            {
                Some(count) => {
                    count.packets += packets;
                    count.bytes += bytes;
                }
                None => counts.push(RuleCount {
                    chain: chain.to_owned(),
                    rule,
                    packets,
                    bytes,
                }),
            }
        }
    }
    Ok(counts)
}

/// Packets and bytes of the counter among a rule's expressions.
fn counted(expressions: &Attribute<'_>) -> Option<(u64, u64)> {
    let counter = expressions
        .nested()
        .map(|expression| expression.nested())
        .find(|one| one.get(1).and_then(|name| name.text()) == Some("counter"))?;
    let data = counter.get(2)?.nested();
    Some((data.get(2)?.be64()?, data.get(1)?.be64()?))
}
