//! IP packets: only as much as the queue changes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a packet goes; `None` for what is neither IPv4 nor IPv6.
pub(crate) fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => {
            let octets: [u8; 4] = *packet.get(16..)?.first_chunk()?;
            Some(Ipv4Addr::from(octets).into())
        }
        6 => {
            let octets: [u8; 16] = *packet.get(24..)?.first_chunk()?;
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

/// Flips the bit behind the network header that `choice` names. The checksums stay as they were.
pub(crate) fn flip_bit(packet: &mut [u8], choice: u64) {
    let start = network_header(packet).unwrap_or(0);
    let start = if start < packet.len() { start } else { 0 };
    let Some(bytes) = packet.get_mut(start..) else {
        return;
    };
    let bits = bytes.len() as u64 * 8;
    if bits == 0 {
        return;
    }
    let bit = choice % bits;
    if let Some(byte) = usize::try_from(bit / 8)
        .ok()
        .and_then(|at| bytes.get_mut(at))
    {
        *byte ^= 1 << (bit % 8);
    }
}

/// Size of the network header; of IPv6 without its extension headers.
pub(crate) fn network_header(packet: &[u8]) -> Option<usize> {
    let first = packet.first()?;
    match first >> 4 {
        4 => Some(usize::from(first & 0x0f) * 4).filter(|size| *size >= 20),
        6 => Some(40),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exactly_one_bit_behind_the_header_is_flipped(
            mut packet in proptest::collection::vec(any::<u8>(), 41..100),
            choice: u64,
            six: bool,
        ) {
            packet[0] = if six { 0x60 } else { 0x45 };
            let header = if six { 40 } else { 20 };
            let before = packet.clone();
            flip_bit(&mut packet, choice);
            let flipped: u32 = before
                .iter()
                .zip(&packet)
                .map(|(before, after)| (before ^ after).count_ones())
                .sum();
            prop_assert_eq!(flipped, 1);
            prop_assert_eq!(&before[..header], &packet[..header]);
        }

        #[test]
        fn garbage_is_survived(mut packet in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = destination(&packet);
            flip_bit(&mut packet, 12345);
        }
    }
}
