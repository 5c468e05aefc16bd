//! A table as it can be compared before and after: without handles, counters and what runs out.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::KernelError;
use crate::netlink::{Attribute, AttributeIter, Parsed, Socket};

use super::message::{self, HEADER, Kind};

/// Everything a table was told to be, one line per chain, rule, set, element and object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint {
    lines: Vec<String>,
}

/// `NFT_SET_TIMEOUT | NFT_SET_EVAL`: the packets themselves, or time, change such sets.
const CHANGING: u32 = 0x10 | 0x20;
/// `NFTA_SET_FLAGS` and `NFTA_SET_NAME`.
const SET_FLAGS: u16 = 3;
const NAME: u16 = 2;
const EXPRESSIONS: u16 = 4;

impl Fingerprint {
    /// Readable beginnings with the bytes in hexadecimal; the order of rules is kept.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    fn line(&mut self, what: &str, attributes: AttributeIter<'_>, omitted: &[u16]) {
        let mut line = what.to_owned();
        for attribute in attributes.filter(|attribute| !omitted.contains(&attribute.kind)) {
            describe(&mut line, &attribute, attribute.payload);
        }
        self.lines.push(line);
    }

    fn rule(&mut self, attributes: AttributeIter<'_>) {
        // NFTA_RULE_HANDLE, POSITION, PAD.
        const OMITTED: [u16; 3] = [3, 6, 8];
        let mut line = "rule".to_owned();
        for attribute in attributes.filter(|attribute| !OMITTED.contains(&attribute.kind)) {
            if attribute.kind != EXPRESSIONS {
                describe(&mut line, &attribute, attribute.payload);
                continue;
            }
            for expression in attribute.nested().map(|element| element.nested()) {
                let name = expression.get(1).and_then(|name| name.text());
                let name = name.unwrap_or_default();
                let data = expression.get(2).map(|data| data.payload);
                // What these have counted so far is no part of what they are.
                let data = match name {
                    "counter" | "quota" | "last" => &[],
                    _ => data.unwrap_or_default(),
                };
                let _ = write!(line, " {name}");
                hexadecimal(&mut line, data);
            }
        }
        self.lines.push(line);
    }
}

/// Reads a table whole. Empty when there is none of that name.
///
/// # Errors
/// With the kernel's reason.
pub fn fingerprint(
    socket: &mut Socket,
    family: u8,
    table: &str,
) -> Result<Fingerprint, KernelError> {
    let mut all = Fingerprint::default();
    // NFTA_TABLE_USE, HANDLE, PAD.
    for reply in of_table(socket, Kind::GetTable, family, table, "tables")? {
        all.line("table", reply.attributes(HEADER), &[3, 4, 5]);
    }
    // NFTA_CHAIN_HANDLE, USE, COUNTERS, PAD, ID.
    for reply in of_table(socket, Kind::GetChain, family, table, "chains")? {
        all.line("chain", reply.attributes(HEADER), &[2, 6, 8, 9, 11]);
    }
    for reply in of_table(socket, Kind::GetRule, family, table, "rules")? {
        all.rule(reply.attributes(HEADER));
    }
    for reply in of_table(socket, Kind::GetSet, family, table, "sets")? {
        let attributes = reply.attributes(HEADER);
        // NFTA_SET_ID, PAD, HANDLE, and the type and number of elements that new kernels add.
        all.line("set", attributes.clone(), &[10, 14, 16, 19, 20]);
        let flags = attributes.get(SET_FLAGS).and_then(|flags| flags.be32());
        let name = attributes.get(NAME).and_then(|name| name.text());
        if let (0, Some(name)) = (flags.unwrap_or(0) & CHANGING, name) {
            elements(socket, family, table, name, &mut all)?;
        }
    }
    // The state of an object (data, uses, handle) counts; its table, name and type are what it is.
    for reply in of_table(socket, Kind::GetObject, family, table, "objects")? {
        all.line("object", reply.attributes(HEADER), &[4, 5, 6, 7]);
    }
    // NFTA_FLOWTABLE_USE, HANDLE, PAD.
    for reply in of_table(socket, Kind::GetFlowTable, family, table, "flow tables")? {
        all.line("flow table", reply.attributes(HEADER), &[4, 5, 6]);
    }
    Ok(all)
}

/// What a listing gives of one table; not every kernel filters by itself.
fn of_table(
    socket: &mut Socket,
    kind: Kind,
    family: u8,
    table: &str,
    what: &str,
) -> Result<Vec<Parsed>, KernelError> {
    let list = message::plain(format!("list nft {what}"), kind, family);
    let mut replies = socket.dump(&list)?;
    replies.retain(|reply| {
        let name = reply.attributes(HEADER).get(1);
        name.and_then(|name| name.text()) == Some(table)
            && reply.header::<HEADER>().map(|[of, ..]| of) == Some(family)
    });
    Ok(replies)
}

/// Elements come in the order of a hash, so they are sorted.
fn elements(
    socket: &mut Socket,
    family: u8,
    table: &str,
    set: &str,
    all: &mut Fingerprint,
) -> Result<(), KernelError> {
    let list = message::plain(format!("list the nft set {set}"), Kind::GetElement, family);
    let named = message::in_table(table).string(2, set);
    let mut found = Fingerprint::default();
    for reply in socket.dump(&list.with(&named))? {
        let Some(list) = reply.attributes(HEADER).get(3) else {
            continue;
        };
        for element in list.nested() {
            // NFTA_SET_ELEM_EXPIRATION, EXPR, PAD, EXPRESSIONS: what runs out or counts.
            let what = format!("element of {set}");
            found.line(&what, element.nested(), &[5, 7, 8, 11]);
        }
    }
    found.lines.sort_unstable();
    all.lines.append(&mut found.lines);
    Ok(())
}

fn describe(line: &mut String, attribute: &Attribute<'_>, payload: &[u8]) {
    let _ = write!(line, " {}", attribute.kind);
    hexadecimal(line, payload);
}

fn hexadecimal(line: &mut String, bytes: &[u8]) {
    line.push('=');
    for byte in bytes {
        let _ = write!(line, "{byte:02x}");
    }
}
