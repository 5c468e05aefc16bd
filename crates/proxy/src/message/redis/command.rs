//! What a command is: its name, its first key, and what it means for the connection.

use std::ops::Range;

use super::value::Values;
use crate::message::wire::{HEAD_MOST, Shape};

/// A command, told by its head. Something that is none, and gets no answer, is nothing.
#[derive(Debug)]
pub(super) struct Command {
    name: Range<usize>,
    key: Option<Range<usize>>,
    pub(super) turn: Turn,
}

type Found = Shape<Values, Option<Command>>;

/// What a command means for those behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Plain,
    /// A transaction begins, is executed, is dropped.
    Begin,
    Execute,
    Discard,
    /// What comes then are not requests with one answer each.
    Away,
}

/// A line with a number.
const LINE_MOST: usize = 24;

/// Words that are looked at.
const WORDS_MOST: usize = 16;

/// What these bytes begin with; there is at least one. Never depends on bytes behind what is found.
/// The key is looked for if somebody asks for it.
pub(super) fn find(bytes: &[u8], with_key: bool) -> Found {
    let words = Words::new(bytes, with_key);
    match bytes[0] {
        b'*' => find_array(bytes, words),
        first if first.is_ascii_graphic() || first.is_ascii_whitespace() => find_line(bytes, words),
        _ => Shape::Garbage,
    }
}

fn find_array(bytes: &[u8], mut words: Words<'_>) -> Found {
    let (count, mut at) = match number(bytes) {
        Line::Number(count, length) => (count, length),
        Line::NotYet => return Shape::Unknown,
        Line::Garbage => return Shape::Garbage,
    };
    let Ok(count) = u32::try_from(count.max(0)) else {
        return Shape::Garbage;
    };
    if count == 0 {
        return nothing(at);
    }
    let mut left = u64::from(count);
    let mut rest = None;
    while left > 0 && words.want_more() {
        let Some(first) = bytes.get(at) else {
            return Shape::Unknown;
        };
        if *first != b'$' {
            return Shape::Garbage;
        }
        let (length, begin) = match number(&bytes[at..]) {
            Line::Number(length, line) => (length, at + line),
            Line::NotYet => return Shape::Unknown,
            Line::Garbage => return Shape::Garbage,
        };
        let Ok(length) = usize::try_from(length) else {
            return Shape::Garbage;
        };
        if length > HEAD_MOST || begin + length + 2 > HEAD_MOST {
            rest = Some(Values::within(length as u64 + 2, left));
            at = begin;
            break;
        }
        if bytes.len() < begin + length + 2 {
            return Shape::Unknown;
        }
        words.push(begin..begin + length);
        at = begin + length + 2;
        left -= 1;
    }
    let rest = rest.unwrap_or(Values::of(left));
    words.command(at, rest)
}

/// A command as people type it.
fn find_line(bytes: &[u8], mut words: Words<'_>) -> Found {
    let looked = &bytes[..bytes.len().min(HEAD_MOST)];
    let Some(end) = memchr::memchr(b'\n', looked) else {
        return match bytes.len() {
            HEAD_MOST.. => Shape::Garbage,
            _ => Shape::Unknown,
        };
    };
    let mut from = 0;
    for word in bytes[..end].split(u8::is_ascii_whitespace) {
        let to = from + word.len();
        if !word.is_empty() && words.count < WORDS_MOST {
            words.push(from..to);
        }
        from = to + 1;
    }
    if words.count == 0 {
        return nothing(end + 1);
    }
    words.command(end + 1, Values::default())
}

fn nothing(length: usize) -> Found {
    Shape::Known {
        head: length,
        rest: Values::default(),
        about: None,
    }
}

enum Line {
    NotYet,
    Garbage,
    /// The number, and the length of its line.
    Number(i64, usize),
}

/// The number behind the first byte.
fn number(bytes: &[u8]) -> Line {
    let looked = &bytes[..bytes.len().min(LINE_MOST)];
    let Some(end) = memchr::memchr(b'\n', looked) else {
        return match bytes.len() {
            LINE_MOST.. => Line::Garbage,
            _ => Line::NotYet,
        };
    };
    let text = looked[1..end.max(1)].strip_suffix(b"\r");
    let number = text.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    number.map_or(Line::Garbage, |number| Line::Number(number, end + 1))
}

/// The first words of a command.
#[derive(Debug)]
struct Words<'a> {
    bytes: &'a [u8],
    places: [(usize, usize); WORDS_MOST],
    count: usize,
    with_key: bool,
    /// Known when the first word is.
    key: KeyPlace,
}

/// Where the first key of a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyPlace {
    None,
    At(usize),
    /// Behind the word that says how many keys there are.
    Counted(usize),
    /// Behind this word.
    Behind(&'static [u8]),
}

impl<'a> Words<'a> {
    fn new(bytes: &'a [u8], with_key: bool) -> Self {
        Self {
            bytes,
            places: [(0, 0); WORDS_MOST],
            count: 0,
            with_key,
            key: KeyPlace::None,
        }
    }

    fn push(&mut self, word: Range<usize>) {
        if self.count == 0 && self.with_key {
            self.key = key_place(&self.bytes[word.clone()]);
        }
        self.places[self.count] = (word.start, word.end);
        self.count += 1;
    }

    fn place(&self, at: usize) -> Option<Range<usize>> {
        let (from, to) = *self.places[..self.count].get(at)?;
        Some(from..to)
    }

    fn is(&self, at: usize, word: &[u8]) -> bool {
        let place = self.place(at);
        place.is_some_and(|place| self.bytes[place].eq_ignore_ascii_case(word))
    }

    /// Whether another word has to be known to tell what the command is.
    fn want_more(&self) -> bool {
        if self.count == 0 {
            return true;
        }
        match self.key {
            // The second word of CLIENT says what it does.
            KeyPlace::None => self.count < 2 && self.is(0, b"CLIENT"),
            KeyPlace::At(place) => self.count <= place,
            KeyPlace::Counted(place) => self.count <= place + 1,
            KeyPlace::Behind(word) => {
                let is_found = self.count > 1 && self.is(self.count - 2, word);
                !is_found && self.count < WORDS_MOST
            }
        }
    }

    fn key(&self) -> Option<Range<usize>> {
        self.place(match self.key {
            KeyPlace::None => return None,
            KeyPlace::At(place) => place,
            KeyPlace::Counted(place) if self.is(place, b"0") => return None,
            KeyPlace::Counted(place) => place + 1,
            KeyPlace::Behind(word) => (1..self.count).find(|at| self.is(*at, word))? + 1,
        })
    }

    fn turn(&self) -> Turn {
        const AWAY: [&[u8]; 9] = [
            b"SUBSCRIBE",
            b"PSUBSCRIBE",
            b"SSUBSCRIBE",
            b"UNSUBSCRIBE",
            b"PUNSUBSCRIBE",
            b"SUNSUBSCRIBE",
            b"MONITOR",
            b"SYNC",
            b"PSYNC",
        ];
        if AWAY.iter().any(|word| self.is(0, word)) || self.is(0, b"CLIENT") && self.is(1, b"REPLY")
        {
            return Turn::Away;
        }
        if self.is(0, b"MULTI") {
            Turn::Begin
        } else if self.is(0, b"EXEC") {
            Turn::Execute
        } else if self.is(0, b"DISCARD") || self.is(0, b"RESET") {
            Turn::Discard
        } else {
            Turn::Plain
        }
    }

    fn command(&self, length: usize, rest: Values) -> Found {
        let about = self.place(0).map(|name| Command {
            name,
            key: self.key(),
            turn: self.turn(),
        });
        Shape::Known {
            head: length,
            rest,
            about,
        }
    }
}

impl Command {
    /// `head` is what it was found in.
    pub(super) fn name<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        &head[self.name.clone()]
    }

    pub(super) fn key<'a>(&self, head: &'a [u8]) -> Option<&'a [u8]> {
        self.key.clone().map(|key| &head[key])
    }
}

/// Commands whose first word behind the name is not a key, and where theirs is.
const PLACES: &[(KeyPlace, &[&[u8]])] = &[
    (
        KeyPlace::None,
        &[
            b"ACL",
            b"ASKING",
            b"AUTH",
            b"BGREWRITEAOF",
            b"BGSAVE",
            b"CLIENT",
            b"CLUSTER",
            b"COMMAND",
            b"CONFIG",
            b"DBSIZE",
            b"DEBUG",
            b"DISCARD",
            b"ECHO",
            b"EXEC",
            b"FAILOVER",
            b"FLUSHALL",
            b"FLUSHDB",
            b"FUNCTION",
            b"HELLO",
            b"INFO",
            b"KEYS",
            b"LASTSAVE",
            b"LATENCY",
            b"LOLWUT",
            b"MODULE",
            b"MONITOR",
            b"MULTI",
            b"PING",
            b"PSUBSCRIBE",
            b"PSYNC",
            b"PUBLISH",
            b"PUBSUB",
            b"PUNSUBSCRIBE",
            b"QUIT",
            b"RANDOMKEY",
            b"READONLY",
            b"READWRITE",
            b"REPLCONF",
            b"REPLICAOF",
            b"RESET",
            b"ROLE",
            b"SAVE",
            b"SCAN",
            b"SCRIPT",
            b"SELECT",
            b"SHUTDOWN",
            b"SLAVEOF",
            b"SLOWLOG",
            b"SPUBLISH",
            b"SSUBSCRIBE",
            b"SUBSCRIBE",
            b"SUNSUBSCRIBE",
            b"SWAPDB",
            b"SYNC",
            b"TIME",
            b"UNSUBSCRIBE",
            b"UNWATCH",
            b"WAIT",
            b"WAITAOF",
        ],
    ),
    (
        KeyPlace::At(2),
        &[b"BITOP", b"MEMORY", b"OBJECT", b"XGROUP", b"XINFO"],
    ),
    (KeyPlace::At(3), &[b"MIGRATE"]),
    (
        KeyPlace::Counted(1),
        &[
            b"LMPOP",
            b"SINTERCARD",
            b"ZDIFF",
            b"ZINTER",
            b"ZINTERCARD",
            b"ZMPOP",
            b"ZUNION",
        ],
    ),
    (
        KeyPlace::Counted(2),
        &[
            b"BLMPOP",
            b"BZMPOP",
            b"EVAL",
            b"EVALSHA",
            b"EVALSHA_RO",
            b"EVAL_RO",
            b"FCALL",
            b"FCALL_RO",
        ],
    ),
    (KeyPlace::Behind(b"STREAMS"), &[b"XREAD", b"XREADGROUP"]),
];

fn key_place(name: &[u8]) -> KeyPlace {
    let has =
        |(_, names): &&(KeyPlace, &[&[u8]])| names.iter().any(|one| one.eq_ignore_ascii_case(name));
    let known = PLACES.iter().find(has);
    known.map_or(KeyPlace::At(1), |(place, _)| *place)
}
