use serde::{Deserialize, Serialize};

use super::shaper::{rate_specification, transmission_ticks};
use super::{
    CREATE, Deletion, EXCLUSIVE, Handle, KIND, NEW_CLASS, OPTIONS, QdiscError, Spot, attach,
    delete, header,
};
use crate::netlink::{Attributes, Message, Socket};

/// A root that lets everything through, except what is led into one of its bands by its priority.
///
/// ```text
///              root  fd00:
///       ┌────────┼──────────┐
///   through   band 1     band 2 …      a packet whose priority is fd00:2 goes to band 1
///             fd00:2     fd00:3        and meets the discipline attached there
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bands {
    pub interface: u32,
    pub handle: Handle,
    pub kind: BandsKind,
    /// 1 to 15, numbered from 1.
    pub count: u16,
}

/// What the root is made of. Only the first is served in the order of priority; the second is for
/// kernels without it, and sends what is not led into a band past all classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BandsKind {
    Prio,
    Htb,
}

/// `TCQ_PRIO_BANDS`, one of which is for everything else.
const COUNT_MAX: u16 = 15;

const HTB_PARAMETERS: u16 = 1;
const HTB_INIT: u16 = 2;
const HTB_CEIL64: u16 = 7;
const HTB_RATE64: u16 = 6;

/// `TC_HTB_PROTOVER` in its upper part.
const HTB_VERSION: u32 = 3;

/// 100 Gbit/s: a class of htb has a rate, and ours shall not limit.
const UNLIMITED_BYTES_PER_SECOND: u64 = 12_500_000_000;
const UNLIMITED_BURST_BYTES: u64 = 12_500_000;
/// Bytes served in a row; the default would be a tenth of the rate, and a warning in the log.
const QUANTUM_BYTES: u32 = 200_000;

impl Bands {
    /// Attaches the root and its bands, all of them or nothing.
    ///
    /// # Errors
    /// [`QdiscError::Missing`] where the kernel has no such root; `EEXIST` in the kernel's reason
    /// where somebody else's root is attached.
    pub fn attach(&self, socket: &mut Socket) -> Result<(), QdiscError> {
        if !(1..=COUNT_MAX).contains(&self.count) {
            return Err(QdiscError::OutOfRange {
                what: "the number of bands",
                why: "it is 1 to 15",
            });
        }
        let spot = Spot::root(self.interface, self.handle);
        let flags = CREATE | EXCLUSIVE;
        match self.kind {
            BandsKind::Prio => attach(socket, spot, "prio", &self.prio_options(), flags),
            BandsKind::Htb => {
                attach(socket, spot, "htb", &htb_options(), flags)?;
                self.attach_classes(socket).inspect_err(|_| {
                    // It is ours and useless; why it is useless is the error to report.
                    let _ = delete(socket, spot);
                })
            }
        }
    }

    /// Detaches the root with everything below it; the kernel attaches its default again.
    ///
    /// # Errors
    /// As [`delete`].
    pub fn detach(&self, socket: &mut Socket) -> Result<Deletion, QdiscError> {
        delete(socket, Spot::root(self.interface, self.handle))
    }

    /// Where a band's discipline is attached, and the priority that leads packets there; `None`
    /// if there is no such band.
    #[must_use]
    pub fn band(&self, number: u16) -> Option<Handle> {
        let class = number.checked_add(1)?;
        (1..=self.count)
            .contains(&number)
            .then(|| self.handle.class(class))
    }

    /// `struct tc_prio_qopt`: every priority of the host leads to the first band.
    fn prio_options(&self) -> Vec<u8> {
        let mut options = (u32::from(self.count) + 1).to_ne_bytes().to_vec();
        options.extend_from_slice(&[0; 16]);
        options
    }

    fn attach_classes(&self, socket: &mut Socket) -> Result<(), QdiscError> {
        for class in (1..=self.count).filter_map(|number| self.band(number)) {
            let spot = Spot {
                interface: self.interface,
                parent: self.handle,
                handle: class,
            };
            let attributes = Attributes::new()
                .string(KIND, "htb")
                .bytes(OPTIONS, &htb_class_options());
            let doing = format!("add traffic class {class}");
            let flags = CREATE | EXCLUSIVE;
            let message = Message::new(doing, NEW_CLASS, flags, &header(spot)).with(&attributes);
            socket.request(&message)?;
        }
        Ok(())
    }
}

/// `struct tc_htb_glob`, with no default class: what belongs to none is sent directly.
fn htb_options() -> Vec<u8> {
    let rate_to_quantum = 10_u32;
    let glob: Vec<u8> = [HTB_VERSION, rate_to_quantum, 0, 0, 0]
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    Attributes::new().bytes(HTB_INIT, &glob).as_bytes().to_vec()
}

/// `struct tc_htb_opt`, and the rate in 64 bits.
fn htb_class_options() -> Vec<u8> {
    let rate = rate_specification(UNLIMITED_BYTES_PER_SECOND);
    let buffer = transmission_ticks(UNLIMITED_BURST_BYTES, UNLIMITED_BYTES_PER_SECOND);
    let mut parameters = rate.to_vec();
    parameters.extend_from_slice(&rate);
    for word in [buffer, buffer, QUANTUM_BYTES, 0, 0] {
        parameters.extend_from_slice(&word.to_ne_bytes());
    }
    Attributes::new()
        .u64(HTB_RATE64, UNLIMITED_BYTES_PER_SECOND)
        .u64(HTB_CEIL64, UNLIMITED_BYTES_PER_SECOND)
        .bytes(HTB_PARAMETERS, &parameters)
        .as_bytes()
        .to_vec()
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    //! The expected bytes were sent by tc of iproute2 6.1 and read with strace.

    use super::*;

    fn bands(kind: BandsKind) -> Bands {
        Bands {
            interface: 1,
            handle: Handle::of_major(0xfd00),
            kind,
            count: 3,
        }
    }

    #[test]
    fn prio_is_encoded_as_by_tc() {
        // prio bands 4 priomap 0 0 …; after it tc sends an empty attribute, which nobody reads.
        let mut expected = vec![4, 0, 0, 0];
        expected.extend([0; 16]);
        assert_eq!(bands(BandsKind::Prio).prio_options(), expected);
    }

    #[test]
    fn htb_is_encoded_as_by_tc() {
        let expected = [
            0x18, 0, 2, 0, 3, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(htb_options(), expected);
        // The same rate with tc; buffer and quantum are ours.
        let expected = [
            0x0c, 0, 6, 0, 0, 0xdd, 0x0e, 0xe9, 2, 0, 0, 0, 0x0c, 0, 7, 0, 0, 0xdd, 0x0e, 0xe9, 2,
            0, 0, 0, 0x30, 0, 1, 0, 3, 1, 0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 3, 1, 0,
            0, 0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff,
        ];
        assert_eq!(htb_class_options()[..expected.len()], expected);
    }

    #[test]
    fn bands_are_numbered_from_one_and_end() {
        let bands = bands(BandsKind::Prio);
        assert_eq!(bands.band(0), None);
        assert_eq!(bands.band(1), Some(Handle(0xfd00_0002)));
        assert_eq!(bands.band(3), Some(Handle(0xfd00_0004)));
        assert_eq!(bands.band(4), None);
        assert_eq!(bands.band(u16::MAX), None);
    }
}
