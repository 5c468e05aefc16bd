//! Where the reply to a command ends.

use std::sync::Arc;

use super::capabilities::Capabilities;
use super::packet;
use crate::message::wire::Kept;

/// What a command's reply is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// One packet.
    One,
    /// How it went, or rows; perhaps several times.
    Results,
    /// What was prepared, under its number.
    Prepared(Arc<[u8]>),
    /// Until a packet says that it was the last.
    List,
    /// The server and the client go on to talk until one says how it went.
    Talk,
}

impl Kept for Reply {
    fn bytes(&self) -> usize {
        match self {
            Self::Prepared(text) => text.len(),
            _ => 0,
        }
    }
}

/// How far a reply has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    First,
    /// So many packets tell columns, then so many more; what tells that they were all is between
    /// them, unless there is nothing like that.
    Columns {
        left: u64,
        then: u64,
        rows: bool,
    },
    /// What tells that they were all.
    ColumnsEnd {
        then: u64,
        rows: bool,
    },
    Rows,
}

/// What a packet means for the reply that it is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    More(Place),
    /// The client sends a file now.
    File,
    Last {
        well: bool,
    },
    /// Statements may be executed under this number from now on.
    PreparedAs(u32),
    Garbage,
}

const MORE_RESULTS: u16 = 0x08;
const CURSOR: u16 = 0x40;

impl Reply {
    /// `content` is the beginning of a packet that has `length` bytes.
    pub(super) fn read(
        &self,
        place: Place,
        content: &[u8],
        length: u64,
        agreed: Capabilities,
    ) -> Means {
        let first = content.first().copied();
        match first {
            // How far it has come; not the end.
            Some(0xff) if packet::word(content, 1) == Some(0xffff) => return Means::More(place),
            Some(0xff) => return Means::Last { well: false },
            None if place != Place::Rows => return Means::Garbage,
            _ => {}
        }
        match (place, self) {
            (Place::First, Self::One) => Means::Last { well: true },
            (Place::First, Self::Talk) => match first {
                Some(0) => Means::Last { well: true },
                _ => Means::More(Place::First),
            },
            (Place::First, Self::List) => self.read_row(first, content, length, agreed),
            (Place::First, Self::Prepared(_)) => Self::read_prepared(content),
            (Place::First, Self::Results) => Self::read_first(first, content, agreed),
            (Place::Columns { left, then, rows }, _) => match left {
                0 | 1 => Self::after_columns(then, rows, agreed),
                _ => Means::More(Place::Columns {
                    left: left - 1,
                    then,
                    rows,
                }),
            },
            (Place::ColumnsEnd { then: 0, rows }, _) => {
                let status = packet::word(content, 3).unwrap_or(0);
                match rows && status & CURSOR == 0 {
                    true => Means::More(Place::Rows),
                    false => Means::Last { well: true },
                }
            }
            (Place::ColumnsEnd { then, rows }, _) => Means::More(Place::Columns {
                left: then,
                then: 0,
                rows,
            }),
            (Place::Rows, _) => self.read_row(first, content, length, agreed),
        }
    }

    fn read_first(first: Option<u8>, content: &[u8], agreed: Capabilities) -> Means {
        match first {
            Some(0) => Self::end(status_of_ok(content)),
            Some(0xfb) => Means::File,
            _ => match packet::number(content) {
                None | Some((0, _)) => Means::Garbage,
                Some((count, used)) => {
                    let are_known = agreed.is_metadata_cached() && content.get(used) == Some(&0);
                    match (are_known, agreed.is_without_eof()) {
                        (false, _) => Means::More(Place::Columns {
                            left: count,
                            then: 0,
                            rows: true,
                        }),
                        (true, true) => Means::More(Place::Rows),
                        (true, false) => Means::More(Place::ColumnsEnd {
                            then: 0,
                            rows: true,
                        }),
                    }
                }
            },
        }
    }

    /// The number of what was prepared comes first; its columns follow.
    fn read_prepared(content: &[u8]) -> Means {
        match (content.first(), packet::double_word(content, 1)) {
            (Some(0), Some(number)) => Means::PreparedAs(number),
            _ => Means::Garbage,
        }
    }

    /// What follows the first packet of something prepared.
    pub(super) fn after_prepared(content: &[u8]) -> Means {
        let columns = packet::word(content, 5).unwrap_or(0).into();
        let parameters: u64 = packet::word(content, 7).unwrap_or(0).into();
        let (left, then) = match parameters {
            0 => (columns, 0),
            _ => (parameters, columns),
        };
        match left {
            0 => Means::Last { well: true },
            _ => Means::More(Place::Columns {
                left,
                then,
                rows: false,
            }),
        }
    }

    fn after_columns(then: u64, rows: bool, agreed: Capabilities) -> Means {
        match (agreed.is_without_eof(), then, rows) {
            (false, ..) => Means::More(Place::ColumnsEnd { then, rows }),
            (true, 0, true) => Means::More(Place::Rows),
            (true, 0, false) => Means::Last { well: true },
            (true, left, _) => Means::More(Place::Columns {
                left,
                then: 0,
                rows,
            }),
        }
    }

    fn read_row(
        &self,
        first: Option<u8>,
        content: &[u8],
        length: u64,
        agreed: Capabilities,
    ) -> Means {
        let is_last = match agreed.is_without_eof() {
            true => length < packet::FULL,
            false => length < 9,
        };
        if first != Some(0xfe) || !is_last {
            let is_list = *self == Self::List;
            return Means::More(if is_list { Place::First } else { Place::Rows });
        }
        let status = match agreed.is_without_eof() {
            true => status_of_ok(content),
            false => packet::word(content, 3),
        };
        match self {
            Self::List => Means::Last { well: true },
            _ => Self::end(status),
        }
    }

    fn end(status: Option<u16>) -> Means {
        match status {
            Some(status) if status & MORE_RESULTS != 0 => Means::More(Place::First),
            Some(_) => Means::Last { well: true },
            None => Means::Garbage,
        }
    }
}

/// Behind the counts of rows and of the last number given.
fn status_of_ok(content: &[u8]) -> Option<u16> {
    let (_, rows) = packet::number(content.get(1..)?)?;
    let (_, last) = packet::number(content.get(1 + rows..)?)?;
    packet::word(content, 1 + rows + last)
}
