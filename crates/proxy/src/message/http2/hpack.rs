//! Header blocks (HPACK, RFC 7541).
//!
//! The decoder follows the sender's table from its first byte, whatever becomes of its blocks. The
//! encoder has no table at all: what it writes is right for a receiver whose table is in any state.

mod huffman;
mod table;

use table::{STATIC, Table};

use super::error::Code;

/// The largest dynamic table that is followed. A sender may only use more than 4096 if its receiver
/// allows it.
pub(super) const TABLE: usize = 64 << 10;

/// Names and values of one block, with 32 for each of them. A small block may stand for a very
/// large one.
pub(super) const LIST: usize = 256 << 10;

/// A line of headers or trailers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Box<[u8]>,
    pub(super) value: Box<[u8]>,
    /// Its sender wants it in nobody's table.
    pub(super) sensitive: bool,
}

impl Field {
    pub(super) fn new(name: &str, value: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_bytes().into(),
            value: value.as_ref().into(),
            sensitive: false,
        }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        *self.name == *name.as_bytes()
    }
}

/// Takes a name, a value, and whether it is sensitive.
type Take<'a> = &'a mut dyn FnMut(&[u8], &[u8], bool);

/// What one side's blocks refer to.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    table: Table,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// The fields of a block. None: they are more than [`LIST`].
    pub(super) fn decode(&mut self, block: &[u8]) -> Result<Option<Vec<Field>>, Code> {
        let mut size = 0_usize;
        let mut fields = Vec::new();
        self.each(block, &mut |name, value, sensitive| {
            size += name.len() + value.len() + 32;
            if size <= LIST {
                fields.push(Field {
                    name: name.into(),
                    value: value.into(),
                    sensitive,
                });
            }
        })?;
        Ok((size <= LIST).then_some(fields))
    }

    /// Takes each field of a block.
    pub(super) fn each(&mut self, block: &[u8], take: Take<'_>) -> Result<(), Code> {
        let mut rest = block;
        self.follow(&mut rest, take).ok_or(Code::COMPRESSION_ERROR)
    }

    fn follow(&mut self, rest: &mut &[u8], take: Take<'_>) -> Option<()> {
        let mut first = true;
        while let Some(byte) = rest.first() {
            match byte {
                0x80.. => {
                    let (name, value) = self.table.get(integer(rest, 7)?)?;
                    take(name, value, false);
                }
                0x40.. => {
                    self.literal(rest, 6)?;
                    take(&self.name, &self.value, false);
                    self.table.insert(&self.name, &self.value);
                }
                0x20.. => {
                    let size = integer(rest, 5)?;
                    if !first || size > TABLE {
                        return None;
                    }
                    self.table.resize(size);
                    continue;
                }
                byte => {
                    let sensitive = *byte >= 0x10;
                    self.literal(rest, 4)?;
                    take(&self.name, &self.value, sensitive);
                }
            }
            first = false;
        }
        Some(())
    }

    /// A field that stands there itself, its name perhaps in a table.
    fn literal(&mut self, rest: &mut &[u8], prefix: u32) -> Option<()> {
        self.name.clear();
        self.value.clear();
        match integer(rest, prefix)? {
            0 => string(rest, &mut self.name)?,
            index => self.name.extend_from_slice(self.table.get(index)?.0),
        }
        string(rest, &mut self.value)
    }
}

/// A number whose first bits are the last `prefix` ones of the next byte.
fn integer(rest: &mut &[u8], prefix: u32) -> Option<usize> {
    let most = (1_u32 << prefix) - 1;
    let mut value = u32::from(take(rest)?) & most;
    if value < most {
        return Some(value as usize);
    }
    for shift in [0, 7, 14, 21] {
        let byte = take(rest)?;
        value = value.checked_add(u32::from(byte & 0x7f) << shift)?;
        if byte < 0x80 {
            return Some(value as usize);
        }
    }
    None
}

fn take(rest: &mut &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    Some(*first)
}

fn string(rest: &mut &[u8], text: &mut Vec<u8>) -> Option<()> {
    let coded = *rest.first()? >= 0x80;
    let length = integer(rest, 7)?;
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    if coded {
        return huffman::decode(bytes, text);
    }
    text.extend_from_slice(bytes);
    Some(())
}

/// Writes blocks that refer to nothing but the static table.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    begun: bool,
}

impl Encoder {
    pub(super) fn encode<'a>(&mut self, fields: impl IntoIterator<Item = &'a Field>) -> Vec<u8> {
        let mut block = Vec::new();
        // The receiver's table is emptied and stays so. Whatever it allows later is no smaller, so
        // it never waits for a word about it (RFC 7541, section 4.2).
        if !std::mem::replace(&mut self.begun, true) {
            block.push(0x20);
        }
        for field in fields {
            write_field(&mut block, field);
        }
        block
    }
}

fn write_field(block: &mut Vec<u8>, field: &Field) {
    let Field {
        name,
        value,
        sensitive,
    } = field;
    let named = |row: &(&str, &str)| *row.0.as_bytes() == **name;
    let whole = |row: &(&str, &str)| named(row) && *row.1.as_bytes() == **value;
    if !sensitive && let Some(index) = STATIC.iter().position(whole) {
        write_integer(block, 0x80, 7, index + 1);
        return;
    }
    let kind = if *sensitive { 0x10 } else { 0 };
    match STATIC.iter().position(named) {
        Some(index) => write_integer(block, kind, 4, index + 1),
        None => {
            block.push(kind);
            write_string(block, name);
        }
    }
    write_string(block, value);
}

fn write_string(block: &mut Vec<u8>, text: &[u8]) {
    write_integer(block, 0, 7, text.len());
    block.extend_from_slice(text);
}

fn write_integer(block: &mut Vec<u8>, kind: u8, prefix: u32, value: usize) {
    let most = (1 << prefix) - 1;
    if value < most {
        block.push(kind | value as u8);
        return;
    }
    block.push(kind | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        block.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.push(rest as u8);
}

#[cfg(test)]
mod tests;
