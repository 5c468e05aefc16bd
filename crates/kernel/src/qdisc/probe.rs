//! What this kernel has, found by attaching it in a network namespace that ends with the attempt.

use super::{Bands, BandsKind, Discipline, Handle, Netem, QdiscError, Spot, Tbf, add};
use crate::link;
use crate::namespace::in_fresh;
use crate::netlink::{Protocol, Socket};

/// The loopback interface, which every new namespace has.
const LOOPBACK: u32 = 1;

/// Whether delays, loss and their kin can be left to the kernel.
///
/// # Errors
/// [`QdiscError::Missing`] where the kernel has no netem; the kernel's reason otherwise, above all
/// when no namespace may be made.
pub fn netem_usable() -> Result<(), QdiscError> {
    attachable(&Discipline::Netem(Netem {
        delay_ns: 1_000_000,
        ..Netem::default()
    }))
}

/// Whether a rate can be limited by the kernel.
///
/// # Errors
/// As [`netem_usable`].
pub fn tbf_usable() -> Result<(), QdiscError> {
    attachable(&Discipline::Tbf(Tbf {
        bytes_per_second: 1_000_000,
        burst_bytes: 65_536,
        limit_bytes: 65_536,
    }))
}

/// The kind of root with bands that this kernel has; `prio` where it can choose.
///
/// # Errors
/// As [`netem_usable`], when it has none.
pub fn bands_usable() -> Result<BandsKind, QdiscError> {
    let attach = |kind| {
        in_fresh(|| {
            let bands = Bands {
                interface: LOOPBACK,
                handle: Handle::of_major(1),
                kind,
                count: 1,
            };
            bands.attach(&mut Socket::open(Protocol::Route)?)
        })
    };
    match attach(BandsKind::Prio) {
        Ok(()) => Ok(BandsKind::Prio),
        Err(QdiscError::Missing { .. }) => attach(BandsKind::Htb).map(|()| BandsKind::Htb),
        Err(error) => Err(error),
    }
}

/// Whether incoming packets can be sent through a discipline, by way of an intermediate interface.
///
/// # Errors
/// As [`netem_usable`].
pub fn ifb_usable() -> Result<(), QdiscError> {
    in_fresh(|| {
        let mut socket = Socket::open(Protocol::Route)?;
        match link::add(&mut socket, "firedrill-ifb", "ifb") {
            Err(error) if link::is_unknown_kind(&error) => Err(QdiscError::Missing { kind: "ifb" }),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(()),
        }
    })
}

fn attachable(discipline: &Discipline) -> Result<(), QdiscError> {
    in_fresh(|| {
        let mut socket = Socket::open(Protocol::Route)?;
        let spot = Spot::root(LOOPBACK, Handle::of_major(1));
        add(&mut socket, spot, discipline)
    })
}
