//! The instructions of a rule, as linux/netfilter/nf_tables.h defines them.
//!
//! Each works on register 1. Ordered comparisons are by bytes, so numbers of the host's byte order
//! are turned round first.

use crate::netlink::Attributes;

/// `NFT_REG_1`.
const REGISTER: u32 = 1;

/// A comparison.
#[derive(Clone, Copy)]
pub(super) enum Compare {
    Equal = 0,
    NotEqual = 1,
    Below = 2,
    AtLeast = 5,
}

/// Where a payload is counted from.
#[derive(Clone, Copy)]
pub(super) enum Base {
    Network = 1,
    Transport = 2,
}

/// `NFT_META_…`.
#[derive(Clone, Copy)]
pub(super) enum Meta {
    Priority = 2,
    Mark = 3,
    InName = 6,
    OutName = 7,
    UserId = 10,
    NfProto = 15,
    L4Proto = 16,
    Cgroup = 23,
}

/// A list element: `name` with its attributes.
pub(super) fn expression(name: &str, data: &Attributes) -> Attributes {
    let inner = Attributes::new().string(1, name).nested(2, data);
    Attributes::new().nested(1, &inner)
}

pub(super) fn meta(key: Meta) -> Attributes {
    let data = Attributes::new().be32(1, REGISTER).be32(2, key as u32);
    expression("meta", &data)
}

pub(super) fn set_meta(key: Meta) -> Attributes {
    let data = Attributes::new().be32(2, key as u32).be32(3, REGISTER);
    expression("meta", &data)
}

pub(super) fn payload(base: Base, offset: u32, length: u32) -> Attributes {
    let data = Attributes::new()
        .be32(1, REGISTER)
        .be32(2, base as u32)
        .be32(3, offset)
        .be32(4, length);
    expression("payload", &data)
}

pub(super) fn compare(how: Compare, value: &[u8]) -> Attributes {
    let data = Attributes::new()
        .be32(1, REGISTER)
        .be32(2, how as u32)
        .nested(3, &data_value(value));
    expression("cmp", &data)
}

/// Within the bounds, or (`NFT_RANGE_NEQ`) outside of them.
pub(super) fn range(inside: bool, first: &[u8], last: &[u8]) -> Attributes {
    let data = Attributes::new()
        .be32(1, REGISTER)
        .be32(2, u32::from(!inside))
        .nested(3, &data_value(first))
        .nested(4, &data_value(last));
    expression("range", &data)
}

/// Clears the bits that are not in the mask.
pub(super) fn mask(mask: &[u8]) -> Attributes {
    let length = u32::try_from(mask.len()).unwrap_or(0);
    let data = Attributes::new()
        .be32(1, REGISTER)
        .be32(2, REGISTER)
        .be32(3, length)
        .nested(4, &data_value(mask))
        .nested(5, &data_value(&vec![0; mask.len()]));
    expression("bitwise", &data)
}

/// Loads a value.
pub(super) fn load(value: &[u8]) -> Attributes {
    let data = Attributes::new()
        .be32(1, REGISTER)
        .nested(2, &data_value(value));
    expression("immediate", &data)
}

/// Ends the rule with a verdict: `NF_DROP` 0, `NF_ACCEPT` 1, `NFT_RETURN` -5.
pub(super) fn verdict(code: i32) -> Attributes {
    let verdict = Attributes::new().bytes(1, &code.to_be_bytes());
    let data = Attributes::new()
        .be32(1, 0)
        .nested(2, &Attributes::new().nested(2, &verdict));
    expression("immediate", &data)
}

/// Whether the register is in a set of the table; `id` names a set of the same transaction.
pub(super) fn lookup(set: &str, id: u32, inverted: bool) -> Attributes {
    let mut data = Attributes::new()
        .string(1, set)
        .be32(2, REGISTER)
        .be32(4, id);
    if inverted {
        data = data.be32(5, 1);
    }
    expression("lookup", &data)
}

/// A random number below the modulus, in network byte order.
pub(super) fn random(modulus: u32) -> Attributes {
    let number = Attributes::new()
        .be32(1, REGISTER)
        .be32(2, modulus)
        .be32(3, 1);
    // NFT_BYTEORDER_HTON, four bytes of four.
    let order = Attributes::new()
        .be32(1, REGISTER)
        .be32(2, REGISTER)
        .be32(3, 1)
        .be32(4, 4)
        .be32(5, 4);
    let mut both = expression("numgen", &number);
    both.append(&expression("byteorder", &order));
    both
}

/// The id of the cgroup v2 of the packet's socket, at a level below the root.
pub(super) fn socket_cgroup(level: u8) -> Attributes {
    let data = Attributes::new()
        .be32(1, 3)
        .be32(2, REGISTER)
        .be32(3, level.into());
    expression("socket", &data)
}

/// What the routes say of the destination: `NFT_FIB_RESULT_ADDRTYPE` of `NFTA_FIB_F_DADDR`.
pub(super) fn kind_of_destination() -> Attributes {
    let data = Attributes::new().be32(1, REGISTER).be32(2, 3).be32(3, 2);
    expression("fib", &data)
}

/// The state of the connection, as bits.
pub(super) fn connection_state() -> Attributes {
    expression("ct", &Attributes::new().be32(1, REGISTER).be32(2, 0))
}

pub(super) fn counter() -> Attributes {
    expression("counter", &Attributes::new().be64(1, 0).be64(2, 0))
}

/// `NFT_REJECT_ICMP_UNREACH` 0, `NFT_REJECT_TCP_RST` 1, `NFT_REJECT_ICMPX_UNREACH` 2.
pub(super) fn reject(kind: u32, code: u8) -> Attributes {
    expression("reject", &Attributes::new().be32(1, kind).u8(2, code))
}

/// To the port in the register.
pub(super) fn redirect() -> Attributes {
    expression("redir", &Attributes::new().be32(1, REGISTER))
}

/// nft's own queue statement.
pub(super) fn queue(number: u16, bypass: bool) -> Attributes {
    let data = Attributes::new()
        .be16(1, number)
        .be16(2, 1)
        .be16(3, u16::from(bypass));
    expression("queue", &data)
}

/// The xtables target NFQUEUE, revision 3 (`struct xt_NFQ_info_v3`), by nft's compatibility layer.
pub(super) fn queue_target(number: u16, bypass: bool) -> Attributes {
    let mut info = Vec::new();
    for field in [number, 1, u16::from(bypass), 0] {
        info.extend_from_slice(&field.to_ne_bytes());
    }
    let data = Attributes::new()
        .string(1, "NFQUEUE")
        .be32(2, 3)
        .bytes(3, &info);
    expression("target", &data)
}

/// `NFTA_DATA_VALUE`.
pub(super) fn data_value(value: &[u8]) -> Attributes {
    Attributes::new().bytes(1, value)
}
