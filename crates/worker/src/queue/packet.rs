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

/// Whether a raw socket can send the packet as it would go by itself, and it is one of the many of a
/// flow: TCP, but for the packets that open a connection, and UDP; whole, and to one receiver.
pub(crate) fn is_of_flow(packet: &[u8]) -> bool {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    const FLAGS: usize = 13;
    const SYN: u8 = 2;
    let Some((to, header)) = destination(packet).zip(network_header(packet)) else {
        return false;
    };
    let one_receiver = match to {
        IpAddr::V4(to) => !to.is_multicast() && !to.is_broadcast() && !to.is_unspecified(),
        IpAddr::V6(to) => !to.is_multicast() && !to.is_unicast_link_local(),
    };
    // Of IPv6, fragments and extension headers show as another protocol.
    let fragment = matches!(packet, [first, _, _, _, _, _, high, low, ..]
        if first >> 4 == 4 && (high & 0x3f, *low) != (0, 0));
    let protocol = packet.get(if to.is_ipv4() { 9 } else { 6 });
    let of_flow = match protocol {
        Some(&UDP) => true,
        Some(&TCP) => packet
            .get(header + FLAGS)
            .is_some_and(|flags| flags & SYN == 0),
        _ => false,
    };
    one_receiver && !fragment && of_flow
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

    fn packet(first: u8, protocol: u8) -> Vec<u8> {
        let mut packet = vec![0; 80];
        packet[0] = first;
        let (field, to) = if first >> 4 == 4 { (9, 16) } else { (6, 24) };
        packet[field] = protocol;
        packet[to] = if first >> 4 == 4 { 10 } else { 0xfd };
        packet
    }

    #[test]
    fn only_whole_packets_of_tcp_and_udp_flows_are_sent_anew() {
        for (first, header, six) in [(0x45, 20, false), (0x60, 40, true)] {
            assert!(is_of_flow(&packet(first, 17)));
            assert!(is_of_flow(&packet(first, 6)));
            assert!(!is_of_flow(&packet(first, if six { 44 } else { 1 })));
            let mut opening = packet(first, 6);
            opening[header + 13] = 2;
            assert!(!is_of_flow(&opening));
            let mut to_many = packet(first, 17);
            to_many[if six { 24 } else { 16 }] = if six { 0xff } else { 224 };
            assert!(!is_of_flow(&to_many));
        }
        let mut fragment = packet(0x45, 17);
        fragment[6] = 0x20;
        assert!(!is_of_flow(&fragment));
        fragment[6] = 0x40;
        assert!(is_of_flow(&fragment), "it may not be fragmented");
    }

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
            let _ = is_of_flow(&packet);
            flip_bit(&mut packet, 12345);
        }
    }
}
