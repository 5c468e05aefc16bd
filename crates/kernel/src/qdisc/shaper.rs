use serde::{Deserialize, Serialize};

use super::QdiscError;
use crate::netlink::Attributes;

/// A token bucket: `sch_tbf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tbf {
    pub bytes_per_second: u64,
    /// What may pass at once. At least one packet as the kernel sees it: up to 64 KiB where
    /// segmentation is offloaded (larger ones are cut up again, at a cost).
    pub burst_bytes: u32,
    /// What may wait; the rest is dropped.
    pub limit_bytes: u32,
}

const PARAMETERS: u16 = 1;
const RATE64: u16 = 4;
const BURST: u16 = 6;

/// One tick of the packet scheduler's clock: `PSCHED_SHIFT` is 6.
const TICK_NS: u64 = 64;

const NANOSECONDS_PER_SECOND: u128 = 1_000_000_000;

impl Tbf {
    /// `TCA_OPTIONS`. tc adds a table of transmission times, which kernels that know the link
    /// layer (since 3.10) do not read.
    pub(super) fn encode(&self) -> Result<Vec<u8>, QdiscError> {
        let refuse = |what, why| Err(QdiscError::OutOfRange { what, why });
        if self.bytes_per_second == 0 {
            return refuse("tbf's rate", "it is at least 1 byte per second");
        }
        if self.burst_bytes == 0 || self.limit_bytes == 0 {
            return refuse("tbf's burst and limit", "they are at least 1 byte");
        }
        let mut parameters = rate_specification(self.bytes_per_second).to_vec();
        parameters.extend_from_slice(&[0; 12]); // no peak rate
        let buffer = transmission_ticks(self.burst_bytes.into(), self.bytes_per_second);
        for word in [self.limit_bytes, buffer, 0] {
            parameters.extend_from_slice(&word.to_ne_bytes());
        }
        let mut attributes = Attributes::new()
            .bytes(PARAMETERS, &parameters)
            .u32(BURST, self.burst_bytes);
        if u32::try_from(self.bytes_per_second).is_err() {
            attributes = attributes.u64(RATE64, self.bytes_per_second);
        }
        Ok(attributes.as_bytes().to_vec())
    }
}

/// `struct tc_ratespec` for Ethernet; a rate beyond 32 bits needs a 64 bit attribute beside it.
pub(super) fn rate_specification(bytes_per_second: u64) -> [u8; 12] {
    let mut specification = [0; 12];
    // Cells of 8 bytes, link layer Ethernet, aligned by −1: as tc writes them.
    specification[..8].copy_from_slice(&[3, 1, 0, 0, 0xff, 0xff, 0, 0]);
    let short = u32::try_from(bytes_per_second).unwrap_or(u32::MAX);
    specification[8..].copy_from_slice(&short.to_ne_bytes());
    specification
}

/// How long so many bytes take at a rate, in ticks.
pub(super) fn transmission_ticks(bytes: u64, bytes_per_second: u64) -> u32 {
    let duration = u128::from(bytes) * NANOSECONDS_PER_SECOND / u128::from(bytes_per_second.max(1));
    ticks(u64::try_from(duration).unwrap_or(u64::MAX))
}

/// Nanoseconds in ticks, cut to what 32 bits hold (275 s).
pub(super) fn ticks(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds / TICK_NS).unwrap_or(u32::MAX)
}

/// The time of so many ticks.
pub(super) fn nanoseconds(ticks: u32) -> u64 {
    u64::from(ticks) * TICK_NS
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    //! The expected bytes were sent by tc of iproute2 6.1 and read with strace.

    use super::*;
    use crate::netlink::AttributeIter;

    fn attribute(options: &[u8], kind: u16) -> Option<Vec<u8>> {
        let found = AttributeIter::new(options).get(kind)?;
        Some(found.payload.to_vec())
    }

    #[test]
    fn a_narrow_rate_is_encoded_as_by_tc() {
        let tbf = Tbf {
            bytes_per_second: 125_000,
            burst_bytes: 10_240,
            limit_bytes: 30_000,
        };
        let expected: [u8; 36] = [
            0x03, 0x01, 0, 0, 0xff, 0xff, 0, 0, 0x48, 0xe8, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0x30, 0x75, 0, 0, 0, 0x88, 0x13, 0, 0, 0, 0, 0,
        ];
        let options = tbf.encode().unwrap();
        assert_eq!(attribute(&options, PARAMETERS).unwrap(), expected);
        assert_eq!(attribute(&options, BURST).unwrap(), [0, 0x28, 0, 0]);
        assert_eq!(attribute(&options, RATE64), None);
    }

    #[test]
    fn a_wide_rate_is_encoded_as_by_tc() {
        let tbf = Tbf {
            bytes_per_second: 10_000_000_000,
            burst_bytes: 10 << 20,
            limit_bytes: 300_000,
        };
        let options = tbf.encode().unwrap();
        let parameters = attribute(&options, PARAMETERS).unwrap();
        let start = [0x03, 0x01, 0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(parameters[..12], start);
        assert_eq!(attribute(&options, BURST).unwrap(), [0, 0, 0xa0, 0]);
        let rate = [0, 0xe4, 0x0b, 0x54, 0x02, 0, 0, 0];
        assert_eq!(attribute(&options, RATE64).unwrap(), rate);
    }

    #[test]
    fn nothing_at_all_is_refused() {
        let tbf = Tbf {
            bytes_per_second: 1,
            burst_bytes: 1,
            limit_bytes: 1,
        };
        assert!(tbf.encode().is_ok());
        assert!(
            Tbf {
                bytes_per_second: 0,
                ..tbf
            }
            .encode()
            .is_err()
        );
        assert!(
            Tbf {
                burst_bytes: 0,
                ..tbf
            }
            .encode()
            .is_err()
        );
        assert!(
            Tbf {
                limit_bytes: 0,
                ..tbf
            }
            .encode()
            .is_err()
        );
    }

    #[test]
    fn ticks_are_cut_and_not_wrapped() {
        assert_eq!(ticks(100_000_000), 1_562_500);
        assert_eq!(ticks(u64::MAX), u32::MAX);
        assert_eq!(transmission_ticks(u64::MAX, 0), u32::MAX);
    }
}
