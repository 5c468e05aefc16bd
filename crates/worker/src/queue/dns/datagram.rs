//! IP packets that carry DNS: found, and written anew with another message.

use super::super::packet::network_header;

const PORT: u16 = 53;
const UDP: u8 = 17;
const TCP: u8 = 6;
const UDP_HEADER: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Query,
    Response,
}

/// A packet to or from port 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Datagram<'a> {
    pub(super) transport: Transport,
    pub(super) direction: Direction,
    /// The message; of TCP without its length.
    pub(super) payload: &'a [u8],
    packet: &'a [u8],
    header: usize,
}

impl<'a> Datagram<'a> {
    /// `None` for fragments, extension headers, and what is not to or from port 53.
    pub(super) fn parse(packet: &'a [u8]) -> Option<Self> {
        let header = network_header(packet)?;
        let protocol = if packet.first()? >> 4 == 4 {
            // More fragments, or not the first.
            let fragment = u16::from_be_bytes(*packet.get(6..)?.first_chunk()?);
            if fragment & 0x3fff != 0 {
                return None;
            }
            *packet.get(9)?
        } else {
            *packet.get(6)?
        };
        let segment = packet.get(header..)?;
        let from = u16::from_be_bytes(*segment.first_chunk()?);
        let to = u16::from_be_bytes(*segment.get(2..)?.first_chunk()?);
        let direction = match (from, to) {
            (_, PORT) => Direction::Query,
            (PORT, _) => Direction::Response,
            _ => return None,
        };
        let (transport, payload) = match protocol {
            UDP => {
                let length = usize::from(u16::from_be_bytes(*segment.get(4..)?.first_chunk()?));
                (Transport::Udp, segment.get(UDP_HEADER..length)?)
            }
            TCP => {
                let options = usize::from(*segment.get(12)? >> 4) * 4;
                let data = segment.get(options.max(20)..)?;
                // Two bytes of length go before the message (RFC 1035, section 4.2.2).
                (Transport::Tcp, data.get(2..).unwrap_or_default())
            }
            _ => return None,
        };
        Some(Self {
            transport,
            direction,
            payload,
            packet,
            header,
        })
    }

    /// The same UDP packet with another message; lengths and checksums are right. `None` when it
    /// does not fit, or for TCP.
    pub(super) fn with_payload(&self, message: &[u8]) -> Option<Vec<u8>> {
        if self.transport == Transport::Tcp {
            return None;
        }
        let length = u16::try_from(UDP_HEADER + message.len()).ok()?;
        let mut packet = self.packet.get(..self.header + 4)?.to_vec();
        packet.extend(length.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(message);
        let addresses = if self.packet.first()? >> 4 == 4 {
            let total = u16::try_from(packet.len()).ok()?;
            put(&mut packet, 2, total)?;
            put(&mut packet, 10, 0)?;
            let sum = checksum(0, packet.get(..self.header)?);
            put(&mut packet, 10, sum)?;
            12..20
        } else {
            put(&mut packet, 4, length)?;
            8..40
        };
        let pseudo = sum_of(packet.get(addresses)?) + u64::from(UDP) + u64::from(length);
        // 0 would mean that there is no checksum (RFC 768).
        let sum = match checksum(pseudo, packet.get(self.header..)?) {
            0 => u16::MAX,
            sum => sum,
        };
        put(&mut packet, self.header + 6, sum)?;
        Some(packet)
    }
}

fn put(packet: &mut [u8], at: usize, value: u16) -> Option<()> {
    packet
        .get_mut(at..at + 2)?
        .copy_from_slice(&value.to_be_bytes());
    Some(())
}

/// The Internet checksum (RFC 1071).
pub(super) fn checksum(start: u64, bytes: &[u8]) -> u16 {
    let mut sum = start + sum_of(bytes);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn sum_of(bytes: &[u8]) -> u64 {
    bytes
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u64::from(u16::from_be_bytes([*high, *low])),
            [high] => u64::from(*high) << 8,
            _ => 0,
        })
        .sum()
}
