//! Attributes: written without overflow, read without trust.

/// `NLA_F_NESTED`: the payload is attributes again.
const NESTED: u16 = 0x8000;
/// Without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const KIND_MASK: u16 = 0x3fff;
const HEADER: usize = 4;

/// Attributes being written, in the order given.
///
/// An attribute whose payload does not fit its 16-bit length makes the whole list oversized;
/// [`super::Socket`] refuses to send it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    bytes: Vec<u8>,
    oversized: bool,
}

impl Attributes {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds raw bytes.
    #[must_use]
    pub fn bytes(mut self, kind: u16, payload: &[u8]) -> Self {
        self.push(kind, payload);
        self
    }

    /// Adds attributes inside an attribute.
    #[must_use]
    pub fn nested(mut self, kind: u16, inner: &Attributes) -> Self {
        self.oversized |= inner.oversized;
        self.push(kind | NESTED, &inner.bytes);
        self
    }

    /// Adds attributes inside an attribute as the kernel gave them.
    #[must_use]
    pub(crate) fn nested_bytes(mut self, kind: u16, inner: &[u8]) -> Self {
        self.push(kind | NESTED, inner);
        self
    }

    /// Adds a text and the NUL that ends it.
    #[must_use]
    pub fn string(mut self, kind: u16, text: &str) -> Self {
        let mut payload = text.as_bytes().to_vec();
        payload.push(0);
        self.push(kind, &payload);
        self
    }

    /// Adds an attribute that says something by being there.
    #[must_use]
    pub fn flag(self, kind: u16) -> Self {
        self.bytes(kind, &[])
    }

    /// Adds a number of the host's byte order.
    #[must_use]
    pub fn u8(self, kind: u16, value: u8) -> Self {
        self.bytes(kind, &[value])
    }

    /// Adds a number of the host's byte order.
    #[must_use]
    pub fn u16(self, kind: u16, value: u16) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Adds a number of the host's byte order.
    #[must_use]
    pub fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Adds a number of the host's byte order.
    #[must_use]
    pub fn u64(self, kind: u16, value: u64) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Adds a number in network byte order.
    #[must_use]
    pub fn be16(self, kind: u16, value: u16) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Adds a number in network byte order.
    #[must_use]
    pub fn be32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Adds a number in network byte order.
    #[must_use]
    pub fn be64(self, kind: u16, value: u64) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// What has been written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether an attribute did not fit.
    #[must_use]
    pub fn is_oversized(&self) -> bool {
        self.oversized
    }

    /// Continues with the attributes of another list.
    pub(crate) fn append(&mut self, other: &Attributes) {
        self.oversized |= other.oversized;
        self.bytes.extend_from_slice(&other.bytes);
    }

    fn push(&mut self, kind: u16, payload: &[u8]) {
        let Ok(length) = u16::try_from(HEADER + payload.len()) else {
            self.oversized = true;
            return;
        };
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(HEADER), 0);
    }
}

/// One attribute of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its number, without the flag bits.
    pub kind: u16,
    pub payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// Its payload as attributes.
    #[must_use]
    pub fn nested(&self) -> AttributeIter<'a> {
        AttributeIter::new(self.payload)
    }

    /// Its payload as text, up to the first NUL.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        let text = self.payload.split(|byte| *byte == 0).next()?;
        std::str::from_utf8(text).ok()
    }

    #[must_use]
    pub fn u8(&self) -> Option<u8> {
        self.payload.first().copied()
    }

    #[must_use]
    pub fn u16(&self) -> Option<u16> {
        Some(u16::from_ne_bytes(first(self.payload)?))
    }

    #[must_use]
    pub fn u32(&self) -> Option<u32> {
        Some(u32::from_ne_bytes(first(self.payload)?))
    }

    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        Some(u64::from_ne_bytes(first(self.payload)?))
    }

    /// A 16-bit number in network byte order.
    #[must_use]
    pub fn be16(&self) -> Option<u16> {
        Some(u16::from_be_bytes(first(self.payload)?))
    }

    /// A 32-bit number in network byte order.
    #[must_use]
    pub fn be32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(first(self.payload)?))
    }

    /// A 64-bit number in network byte order.
    #[must_use]
    pub fn be64(&self) -> Option<u64> {
        Some(u64::from_be_bytes(first(self.payload)?))
    }
}

/// Walks attributes; ends at the first that is malformed.
#[derive(Clone, Debug)]
pub struct AttributeIter<'a> {
    rest: &'a [u8],
}

impl<'a> AttributeIter<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The first attribute of that number.
    #[must_use]
    pub fn get(&self, kind: u16) -> Option<Attribute<'a>> {
        self.clone().find(|attribute| attribute.kind == kind)
    }
}

impl<'a> Iterator for AttributeIter<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let rest = std::mem::take(&mut self.rest);
        let length = usize::from(u16::from_ne_bytes(first(rest)?));
        let kind = u16::from_ne_bytes(first(rest.get(2..)?)?);
        let payload = rest.get(HEADER..length)?;
        self.rest = rest
            .get(length.next_multiple_of(HEADER)..)
            .unwrap_or_default();
        Some(Attribute {
            kind: kind & KIND_MASK,
            payload,
        })
    }
}

/// The first `N` bytes.
pub(crate) fn first<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}
