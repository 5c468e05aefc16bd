//! Addresses, names and ports as people write them.

use firedrill_kernel::nftables::{PortRange, Prefix};
use serde_json::Value;

/// One thing, or a list of at least one.
pub(in crate::switching) fn list<T>(
    value: &Value,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<Vec<T>> {
    match value {
        Value::Array(several) if several.is_empty() => None,
        Value::Array(several) => several.iter().map(read).collect(),
        one => Some(vec![read(one)?]),
    }
}

pub(in crate::switching) fn prefix(value: &Value) -> Option<Prefix> {
    value.as_str()?.trim().parse().ok()
}

pub(in crate::switching) fn host(value: &Value) -> Option<String> {
    let name = value.as_str()?.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (!name.is_empty() && name.len() <= 253 && name.chars().all(allowed)).then(|| name.to_owned())
}

/// As the kernel has it: `IFNAMSIZ`, no slash, no space.
pub(in crate::switching) fn interface(value: &Value) -> Option<String> {
    let name = value.as_str()?;
    let forbidden = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    (!name.is_empty() && name.len() < 16 && !name.contains(forbidden)).then(|| name.to_owned())
}

pub(in crate::switching) fn port_range(value: &Value) -> Option<PortRange> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    if let Some(number) = value.as_u64() {
        return u16::try_from(number)
            .ok()
            .filter(|port| *port > 0)
            .map(PortRange::one);
    }
    let text = value.as_str()?;
    match text.split_once('-') {
        None => port(text).map(PortRange::one),
        Some((first, last)) => {
            let (first, last) = (port(first)?, port(last)?);
            (first <= last).then_some(PortRange { first, last })
        }
    }
}
