//! Where a value of RESP ends, found as its bytes come. Nothing is kept of it.

/// What a stretch of bytes had of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scanned {
    /// All of them are its, and it goes on.
    Part(usize),
    /// It ends after so many.
    Whole(usize),
    /// They are no value.
    Garbage,
}

/// Values that are awaited, innermost first; how deep they lie in each other does not matter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner {
    values: u64,
    step: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// The first byte of a value.
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

impl Scanner {
    pub(super) fn of(values: u64) -> Self {
        Self {
            values,
            step: Step::Kind,
        }
    }

    /// So many bytes and the end of their line are awaited first, which are one of the values.
    pub(super) fn within(bytes: u64, values: u64) -> Self {
        Self {
            values,
            step: Step::Bytes(bytes),
        }
    }

    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scanned {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let used = match &mut self.step {
                Step::Kind => self.begin(rest[0]).map(|()| 1),
                Step::Line => match memchr::memchr(b'\n', rest) {
                    Some(end) => {
                        self.end_value();
                        Some(end + 1)
                    }
                    None => Some(rest.len()),
                },
                Step::Number { .. } => self.number(rest[0]).map(|()| 1),
                Step::Bytes(left) => {
                    let length = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= length as u64;
                    if *left == 0 {
                        self.end_value();
                    }
                    Some(length)
                }
            };
            let Some(used) = used else {
                return Scanned::Garbage;
            };
            at += used;
            if self.values == 0 {
                return Scanned::Whole(at);
            }
        }
        Scanned::Part(at)
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
                self.values = self.values.checked_add(count.checked_mul(each)?)?;
            }
            (Of::Attributes, Some(count)) => {
                self.step = Step::Kind;
                self.values = self.values.checked_add(count.checked_mul(2)?)?;
            }
            (_, None) => self.end_value(),
        }
        (self.values <= VALUES_MOST).then_some(())
    }

    fn end_value(&mut self) {
        self.values -= 1;
        self.step = Step::Kind;
    }
}
