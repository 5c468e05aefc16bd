//! Where a value of RESP ends, found as its bytes come. Nothing is kept of it.

use crate::message::wire::Rest;

/// Values that are awaited, innermost first; how deep they lie in each other does not matter.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Values {
    count: u64,
    step: Step,
}

#[derive(Debug, Clone, Copy, Default)]
enum Step {
    /// The first byte of a value.
    #[default]
    Kind,
    /// A line that means itself.
    Line,
    /// A line that is a number, and what the number is of.
    Number { of: Of, text: [u8; 20], length: u8 },
    /// So many bytes, and the end of their line.
    Bytes(u64),
}

#[derive(Debug, Clone, Copy)]
enum Of {
    Bytes,
    /// Each is so many values.
    Values(u64),
    /// What is said about the value that follows.
    Attributes,
}

/// A reply that says it has more is none.
const VALUES_MOST: u64 = 1 << 40;

impl Values {
    pub(super) fn of(count: u64) -> Self {
        Self {
            count,
            step: Step::Kind,
        }
    }

    /// So many bytes and the end of their line are awaited first, which are one of the values.
    pub(super) fn within(bytes: u64, count: u64) -> Self {
        Self {
            count,
            step: Step::Bytes(bytes),
        }
    }

    /// One value, of which the first byte was this; nothing if no value begins like that.
    pub(super) fn begun(kind: u8) -> Option<Self> {
        let mut one = Self::of(1);
        one.begin(kind).map(|()| one)
    }

    /// How many of these bytes are a step further.
    fn step(&mut self, bytes: &[u8]) -> Option<usize> {
        match &mut self.step {
            Step::Kind => self.begin(bytes[0]).map(|()| 1),
            Step::Line => {
                let end = memchr::memchr(b'\n', bytes);
                if end.is_some() {
                    self.end_value();
                }
                Some(end.map_or(bytes.len(), |end| end + 1))
            }
            Step::Number { .. } => self.number(bytes[0]).map(|()| 1),
            Step::Bytes(left) => {
                let taken = left.take(bytes);
                if *left == 0 {
                    self.end_value();
                }
                taken
            }
        }
    }

    fn begin(&mut self, kind: u8) -> Option<()> {
        let of = match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {
                self.step = Step::Line;
                return Some(());
            }
            b'$' | b'!' | b'=' => Of::Bytes,
            b'*' | b'~' | b'>' => Of::Values(1),
            b'%' => Of::Values(2),
            b'|' => Of::Attributes,
            _ => return None,
        };
        self.step = Step::Number {
            of,
            text: [0; 20],
            length: 0,
        };
        Some(())
    }

    fn number(&mut self, byte: u8) -> Option<()> {
        let Step::Number { of, text, length } = &mut self.step else {
            return None;
        };
        if byte != b'\n' {
            *text.get_mut(usize::from(*length))? = byte;
            *length += 1;
            return Some(());
        }
        let text = text[..usize::from(*length)].strip_suffix(b"\r")?;
        let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        // Below 0: there is no such value.
        let number = u64::try_from(number).ok();
        match (*of, number) {
            (Of::Bytes, Some(length)) => {
                self.step = Step::Bytes(length.checked_add(2)?);
                return Some(());
            }
            (Of::Values(each), Some(count)) => {
                self.end_value();
                self.count = self.count.checked_add(count.checked_mul(each)?)?;
            }
            (Of::Attributes, Some(count)) => {
                self.step = Step::Kind;
                self.count = self.count.checked_add(count.checked_mul(2)?)?;
            }
            (_, None) => self.end_value(),
        }
        (self.count <= VALUES_MOST).then_some(())
    }

    fn end_value(&mut self) {
        self.count -= 1;
        self.step = Step::Kind;
    }
}

impl Rest for Values {
    fn is_over(&self) -> bool {
        self.count == 0
    }

    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() && !self.is_over() {
            at += self.step(&bytes[at..])?;
        }
        Some(at)
    }
}
