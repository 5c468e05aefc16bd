//! Fields of Kafka's messages, in the older encoding and in the newer, flexible one.

/// Reads fields one after the other; nothing where there is none.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    pub(super) flexible: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            flexible: false,
        }
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn varint(&mut self) -> Option<u32> {
        let mut value = 0_u32;
        for at in 0..5 {
            let byte = *self.take(1)?.first()?;
            value |= u32::from(byte & 0x7f).checked_shl(at * 7)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A length as it stands in the newer encoding, or in so many bytes; below 0 is none.
    fn length(&mut self, bytes: usize) -> Option<Option<usize>> {
        let length = match (self.flexible, bytes) {
            (true, _) => i64::from(self.varint()?) - 1,
            (false, 2) => self.i16()?.into(),
            (false, _) => self.i32()?.into(),
        };
        Some(usize::try_from(length).ok())
    }

    /// A text, which may be none.
    pub(super) fn string(&mut self) -> Option<Option<&'a [u8]>> {
        match self.length(2)? {
            None => Some(None),
            Some(length) => self.take(length).map(Some),
        }
    }

    pub(super) fn bytes(&mut self) -> Option<()> {
        match self.length(4)? {
            None => Some(()),
            Some(length) => self.take(length).map(|_| ()),
        }
    }

    /// Each of an array, which may be none.
    pub(super) fn array<T>(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Option<Vec<T>>> {
        let Some(count) = self.length(4)? else {
            return Some(None);
        };
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(each(self)?);
        }
        Some(Some(all))
    }

    /// What a newer client may have added.
    pub(super) fn tags(&mut self) -> Option<()> {
        if self.flexible {
            for _ in 0..self.varint()? {
                self.varint()?;
                let length = self.varint()?;
                self.take(length as usize)?;
            }
        }
        Some(())
    }
}

/// Writes fields one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    pub(super) flexible: bool,
}

impl Writer {
    pub(super) fn i16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(super) fn string(&mut self, text: Option<&[u8]>) {
        let length = text.map_or(-1, |text| text.len() as i32);
        match self.flexible {
            true => self.varint((length + 1) as u32),
            false => self.i16(length as i16),
        }
        self.bytes.extend_from_slice(text.unwrap_or_default());
    }

    /// The length of an array, or of bytes; -1 for none.
    pub(super) fn count(&mut self, count: i32) {
        match self.flexible {
            true => self.varint((count + 1) as u32),
            false => self.i32(count),
        }
    }

    pub(super) fn array<T>(&mut self, all: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.count(all.len() as i32);
        for one in all {
            each(self, one);
            self.tags();
        }
    }

    pub(super) fn tags(&mut self) {
        if self.flexible {
            self.bytes.push(0);
        }
    }
}
