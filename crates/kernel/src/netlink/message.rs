//! Messages: what is sent, and what came back cut into pieces.

use super::attributes::{AttributeIter, Attributes, first};

/// Size of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;
/// `NLMSG_ERROR`: a refusal, or an acknowledgement.
pub(crate) const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub(crate) const DONE: u16 = 3;

/// A request to the kernel.
#[derive(Clone, Debug)]
pub struct Message {
    pub(crate) doing: String,
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    header: Vec<u8>,
    attributes: Attributes,
}

impl Message {
    /// `doing` completes "cannot …" in errors; `header` is the family's fixed header, such as
    /// `struct ifinfomsg`; of the flags, those of the exchange itself (request, ack, dump) are
    /// added by [`super::Socket`].
    #[must_use]
    pub fn new(doing: impl Into<String>, kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut header = header.to_vec();
        header.resize(header.len().next_multiple_of(4), 0);
        Self {
            doing: doing.into(),
            kind,
            flags,
            header,
            attributes: Attributes::new(),
        }
    }

    /// Adds attributes after those already there.
    #[must_use]
    pub fn with(mut self, attributes: &Attributes) -> Self {
        self.attributes.append(attributes);
        self
    }

    /// Whether it can be sent: every attribute has fitted its length.
    #[must_use]
    pub fn is_oversized(&self) -> bool {
        self.attributes.is_oversized()
    }

    /// The bytes on the socket; the port is left 0, for the kernel.
    pub(crate) fn encode(&self, extra_flags: u16, sequence: u32, into: &mut Vec<u8>) {
        let length = HEADER + self.header.len() + self.attributes.as_bytes().len();
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        into.extend_from_slice(&length.to_ne_bytes());
        into.extend_from_slice(&self.kind.to_ne_bytes());
        into.extend_from_slice(&(self.flags | extra_flags).to_ne_bytes());
        into.extend_from_slice(&sequence.to_ne_bytes());
        into.extend_from_slice(&0_u32.to_ne_bytes());
        into.extend_from_slice(&self.header);
        into.extend_from_slice(self.attributes.as_bytes());
    }
}

/// A message of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    /// Everything after `struct nlmsghdr`.
    pub payload: Vec<u8>,
}

impl Parsed {
    /// The family's fixed header, when the message is long enough to have one.
    #[must_use]
    pub fn header<const N: usize>(&self) -> Option<[u8; N]> {
        first(&self.payload)
    }

    /// The attributes after a fixed header of that size; none when the message ends before.
    #[must_use]
    pub fn attributes(&self, header: usize) -> AttributeIter<'_> {
        let rest = self.payload.get(header.next_multiple_of(4)..);
        AttributeIter::new(rest.unwrap_or_default())
    }
}

/// Cuts a datagram into its messages; ends at the first that is malformed.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Parsed> + '_ {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let bytes = std::mem::take(&mut rest);
        let length = usize::try_from(u32::from_ne_bytes(first(bytes)?)).ok()?;
        let payload = bytes.get(HEADER..length)?.to_vec();
        let parsed = Parsed {
            kind: u16::from_ne_bytes(first(bytes.get(4..)?)?),
            flags: u16::from_ne_bytes(first(bytes.get(6..)?)?),
            sequence: u32::from_ne_bytes(first(bytes.get(8..)?)?),
            payload,
        };
        rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(parsed)
    })
}
