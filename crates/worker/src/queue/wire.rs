//! nfnetlink_queue on the wire (linux/netfilter/nfnetlink_queue.h): pure.

use firedrill_kernel::netlink::AttributeIter;

/// `NFNL_SUBSYS_QUEUE` and its messages.
pub(crate) const PACKET: u16 = 0x300;
pub(crate) const VERDICT: u16 = 0x301;
pub(crate) const CONFIG: u16 = 0x302;
pub(crate) const VERDICT_BATCH: u16 = 0x303;

const REQUEST: u16 = 1;
const HEADER: usize = 16;
const ERROR: u16 = 2;
const GENERIC: usize = 4;

const PACKET_HEADER: u16 = 1;
const VERDICT_HEADER: u16 = 2;
const PACKET_MARK: u16 = 3;
const OUT_INTERFACE: u16 = 6;
const PAYLOAD: u16 = 10;
const CAPTURED_FROM: u16 = 13;

/// `NF_DROP` and `NF_ACCEPT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Drop = 0,
    Accept = 1,
}

/// `NF_INET_LOCAL_OUT`
const LOCAL_OUT: u8 = 3;

/// A packet that waits for its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queued<'a> {
    pub(crate) id: u32,
    /// As far as it was copied.
    pub(crate) payload: &'a [u8],
    /// Of the whole packet; 0 when nothing of it was copied.
    pub(crate) length: u32,
    /// 0 for none.
    pub(crate) mark: u32,
    /// The interface by which it leaves, when it is from this host.
    pub(crate) leaves_by: Option<u32>,
}

/// What the kernel sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    Packet(Queued<'a>),
    /// A refusal: which request (0 is a verdict), and the errno.
    Refused {
        sequence: u32,
        errno: i32,
    },
}

/// Cuts a datagram of the kernel; ends at the first malformed message.
pub(crate) fn events(datagram: &[u8]) -> impl Iterator<Item = Event<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        loop {
            let bytes = std::mem::take(&mut rest);
            let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
            let message = bytes.get(..length)?;
            rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
            if let Some(event) = event(message) {
                return Some(event);
            }
        }
    })
}

fn event(message: &[u8]) -> Option<Event<'_>> {
    let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
    let body = message.get(HEADER..)?;
    match kind {
        PACKET => packet(body.get(GENERIC..)?).map(Event::Packet),
        ERROR => {
            let errno = i32::from_ne_bytes(*body.first_chunk()?).saturating_neg();
            let sequence = u32_at(message, 8)?;
            (errno != 0).then_some(Event::Refused { sequence, errno })
        }
        _ => None,
    }
}

fn packet(attributes: &[u8]) -> Option<Queued<'_>> {
    let mut id = None;
    let mut payload = [].as_slice();
    let mut whole = None;
    let mut mark = 0;
    let mut hook = None;
    let mut interface = None;
    for attribute in AttributeIter::new(attributes) {
        match attribute.kind {
            // struct nfqnl_msg_packet_hdr: the id, the protocol, the hook.
            PACKET_HEADER => {
                let (first, rest) = attribute.payload.split_first_chunk()?;
                id = Some(u32::from_be_bytes(*first));
                hook = rest.get(2).copied();
            }
            PACKET_MARK => mark = attribute.be32().unwrap_or(0),
            OUT_INTERFACE => interface = attribute.be32(),
            PAYLOAD => payload = attribute.payload,
            CAPTURED_FROM => whole = attribute.be32(),
            _ => {}
        }
    }
    let copied = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    Some(Queued {
        id: id?,
        payload,
        length: whole.unwrap_or(copied),
        mark,
        leaves_by: interface.filter(|_| hook == Some(LOCAL_OUT)),
    })
}

/// Adds a verdict about one packet, with its new bytes when they changed.
pub(crate) fn verdict(
    into: &mut Vec<u8>,
    queue: u16,
    id: u32,
    verdict: Verdict,
    payload: Option<&[u8]>,
) {
    let start = begin(into, VERDICT, 0, queue);
    verdict_header(into, id, verdict);
    if let Some(payload) = payload {
        attribute(into, PAYLOAD, payload);
    }
    finish(into, start);
}

/// Adds one verdict about every waiting packet up to an id.
pub(crate) fn verdict_up_to(into: &mut Vec<u8>, queue: u16, id: u32, verdict: Verdict) {
    let start = begin(into, VERDICT_BATCH, 0, queue);
    verdict_header(into, id, verdict);
    finish(into, start);
}

/// Adds a configuration request that is not acknowledged, only refused.
pub(crate) fn configuration(
    into: &mut Vec<u8>,
    sequence: u32,
    queue: u16,
    kind: u16,
    value: &[u8],
) {
    let start = begin(into, CONFIG, sequence, queue);
    attribute(into, kind, value);
    finish(into, start);
}

fn verdict_header(into: &mut Vec<u8>, id: u32, verdict: Verdict) {
    let mut header = [0; 8];
    header[..4].copy_from_slice(&(verdict as u32).to_be_bytes());
    header[4..].copy_from_slice(&id.to_be_bytes());
    attribute(into, VERDICT_HEADER, &header);
}

fn begin(into: &mut Vec<u8>, kind: u16, sequence: u32, queue: u16) -> usize {
    let start = into.len();
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(&kind.to_ne_bytes());
    into.extend_from_slice(&REQUEST.to_ne_bytes());
    into.extend_from_slice(&sequence.to_ne_bytes());
    into.extend_from_slice(&[0; 4]);
    // struct nfgenmsg: any family, version 0, the queue in network byte order.
    into.extend_from_slice(&[0, 0]);
    into.extend_from_slice(&queue.to_be_bytes());
    start
}

fn attribute(into: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    let length = u16::try_from(4 + payload.len()).unwrap_or(u16::MAX);
    into.extend_from_slice(&length.to_ne_bytes());
    into.extend_from_slice(&kind.to_ne_bytes());
    into.extend_from_slice(payload);
    into.resize(into.len().next_multiple_of(4), 0);
}

fn finish(into: &mut [u8], start: usize) {
    let length = u32::try_from(into.len().saturating_sub(start)).unwrap_or(u32::MAX);
    if let Some(field) = into.get_mut(start..start + 4) {
        field.copy_from_slice(&length.to_ne_bytes());
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_tells_its_whole_length_when_it_was_copied_in_part() {
        let mut bytes = Vec::new();
        let start = begin(&mut bytes, PACKET, 0, 7);
        attribute(&mut bytes, PACKET_HEADER, &[0, 0, 1, 2, 8, 0, 3]);
        attribute(&mut bytes, PACKET_MARK, &[0, 0, 0, 9]);
        attribute(&mut bytes, OUT_INTERFACE, &[0, 0, 0, 2]);
        attribute(&mut bytes, PAYLOAD, b"begin");
        attribute(&mut bytes, CAPTURED_FROM, &[0, 0, 0x10, 0]);
        finish(&mut bytes, start);
        let expected = Event::Packet(Queued {
            id: 258,
            payload: b"begin",
            length: 4096,
            mark: 9,
            leaves_by: Some(2),
        });
        assert_eq!(events(&bytes).collect::<Vec<_>>(), [expected]);
    }

    proptest! {
        #[test]
        fn garbage_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = events(&bytes).count();
        }
    }
}
