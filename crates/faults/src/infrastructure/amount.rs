//! How much to take of something that can be counted: a number, or the level to which it is filled.

use firedrill_experiment::units;
use firedrill_worker::stress::Amount;

use crate::FaultError;
use crate::arguments::Arguments;

/// Bytes or percent, one of which must be given.
pub(super) fn bytes(read: &mut Arguments<'_>, owner: &'static str) -> Amount {
    let bytes = read.size("bytes");
    either(read, owner, "bytes", bytes)
}

/// A count or percent, one of which must be given.
pub(super) fn count(read: &mut Arguments<'_>, owner: &'static str) -> Amount {
    let count = read.whole("count", 1.., "a whole number from 1");
    either(read, owner, "count", count)
}

/// Bytes that stay free; none is a choice, too.
pub(super) fn reserve_bytes(read: &mut Arguments<'_>) -> Option<u64> {
    read.read("reserve", "a size such as 64MiB", |value| {
        units::size(value).ok()
    })
}

pub(super) fn reserve_count(read: &mut Arguments<'_>) -> Option<u64> {
    read.whole("reserve", 0.., "a whole number from 0")
}

fn either(
    read: &mut Arguments<'_>,
    owner: &'static str,
    name: &'static str,
    number: Option<u64>,
) -> Amount {
    let percent = read.percent("percent");
    match (read.get(name).is_some(), read.get("percent").is_some()) {
        (true, true) => read.mistake(FaultError::Exclusive {
            owner,
            first: name,
            second: "percent",
        }),
        (false, false) => read.mistake(FaultError::Missing {
            owner,
            name,
            what: "how much to take; or `percent`, the level to fill to",
        }),
        _ => {}
    }
    percent.map_or(Amount::Count(number.unwrap_or(1)), Amount::Percent)
}
