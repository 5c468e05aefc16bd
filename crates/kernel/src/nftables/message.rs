//! The framing of nftables: message types, families, and the comment that numbers a rule.

use serde::{Deserialize, Serialize};

use crate::netlink::{Attributes, Message};

use super::IpVersion;

/// `NFNL_SUBSYS_NFTABLES`.
pub(super) const SUBSYSTEM: u16 = 10;
/// Size of `struct nfgenmsg`.
pub(super) const HEADER: usize = 4;
/// `NLM_F_EXCL`, `NLM_F_CREATE`, `NLM_F_APPEND`.
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
/// What the comment of a rule of ours begins with.
const COMMENT: &str = "firedrill rule ";

/// The family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    Ip,
    Ip6,
}

/// `enum nf_tables_msg_types`.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    NewTable = 0,
    GetTable = 1,
    DeleteTable = 2,
    NewChain = 3,
    GetChain = 4,
    NewRule = 6,
    GetRule = 7,
    NewSet = 9,
    GetSet = 10,
    NewElement = 12,
    GetElement = 13,
    DeleteElement = 14,
    GetObject = 19,
    GetFlowTable = 23,
}

impl Family {
    /// `NFPROTO_…`.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Ip6 => 10,
        }
    }
}

impl IpVersion {
    /// `NFPROTO_IPV4`, `NFPROTO_IPV6`.
    pub(super) fn protocol_family(self) -> u8 {
        match self {
            Self::V4 => Family::Ip.number(),
            Self::V6 => Family::Ip6.number(),
        }
    }
}

/// Makes something that must not be there yet.
pub(super) fn create(doing: String, kind: Kind, family: Family) -> Message {
    message(doing, kind, family.number(), CREATE | EXCLUSIVE)
}

/// Adds to the end of a list.
pub(super) fn append(doing: String, kind: Kind, family: Family) -> Message {
    message(doing, kind, family.number(), CREATE | APPEND)
}

/// Reads or deletes; family 0 is any.
pub(super) fn plain(doing: String, kind: Kind, family: u8) -> Message {
    message(doing, kind, family, 0)
}

fn message(doing: String, kind: Kind, family: u8, flags: u16) -> Message {
    let number = SUBSYSTEM << 8 | kind as u16;
    Message::new(doing, number, flags, &[family, 0, 0, 0])
}

/// The user data of a rule, as libnftnl writes it: type 0 (comment), length, text with its NUL.
pub(super) fn rule_comment(index: usize) -> Vec<u8> {
    let text = format!("{COMMENT}{index}\0");
    let mut out = vec![0, u8::try_from(text.len()).unwrap_or(u8::MAX)];
    out.extend_from_slice(text.as_bytes());
    out
}

/// The number in the comment of a rule of ours.
pub(super) fn rule_index(user_data: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(user_data.get(2..)?).ok()?;
    let number = text.strip_prefix(COMMENT)?.strip_suffix('\0')?;
    number.parse().ok()
}

/// Names a table, a set or a chain of a table in a request.
pub(super) fn in_table(table: &str) -> Attributes {
    Attributes::new().string(1, table)
}
