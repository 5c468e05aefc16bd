//! What a command is: its name, its first key, and what it means for the connection.

use super::value::Values;
use crate::message::wire::HEAD_MOST;

/// The beginning of what a client sent.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// More has to come first.
    NotYet,
    Command(Command<'a>),
    /// So many bytes that are no command, and get no answer.
    Nothing(usize),
    Garbage,
}

#[derive(Debug)]
pub(super) struct Command<'a> {
    pub(super) name: &'a [u8],
    pub(super) key: Option<&'a [u8]>,
    pub(super) turn: Turn,
    /// Bytes that were looked at.
    pub(super) length: usize,
    /// What is behind them.
    pub(super) rest: Values,
}

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
pub(super) fn find(bytes: &[u8]) -> Found<'_> {
    match bytes[0] {
        b'*' => find_array(bytes),
        first if first.is_ascii_graphic() || first.is_ascii_whitespace() => find_line(bytes),
        _ => Found::Garbage,
    }
}

fn find_array(bytes: &[u8]) -> Found<'_> {
    let (count, mut at) = match number(bytes) {
        Line::Number(count, length) => (count, length),
        Line::NotYet => return Found::NotYet,
        Line::Garbage => return Found::Garbage,
    };
    let Ok(count) = u32::try_from(count.max(0)) else {
        return Found::Garbage;
    };
    if count == 0 {
        return Found::Nothing(at);
    }
    let mut words = Words::default();
    let mut left = u64::from(count);
    let mut rest = None;
    while left > 0 && words.want_more() {
        let Some(first) = bytes.get(at) else {
            return Found::NotYet;
        };
        if *first != b'$' {
            return Found::Garbage;
        }
        let (length, begin) = match number(&bytes[at..]) {
            Line::Number(length, line) => (length, at + line),
            Line::NotYet => return Found::NotYet,
            Line::Garbage => return Found::Garbage,
        };
        let Ok(length) = usize::try_from(length) else {
            return Found::Garbage;
        };
        if length > HEAD_MOST || begin + length + 2 > HEAD_MOST {
            rest = Some(Values::within(length as u64 + 2, left));
            at = begin;
            break;
        }
        if bytes.len() < begin + length + 2 {
            return Found::NotYet;
        }
        words.push(&bytes[begin..begin + length]);
        at = begin + length + 2;
        left -= 1;
    }
    let rest = rest.unwrap_or(Values::of(left));
    Found::Command(words.command(at, rest))
}

/// A command as people type it.
fn find_line(bytes: &[u8]) -> Found<'_> {
    let looked = &bytes[..bytes.len().min(HEAD_MOST)];
    let Some(end) = memchr::memchr(b'\n', looked) else {
        return match bytes.len() {
            HEAD_MOST.. => Found::Garbage,
            _ => Found::NotYet,
        };
    };
    let mut words = Words::default();
    let all = bytes[..end].split(u8::is_ascii_whitespace);
    all.filter(|word| !word.is_empty())
        .take(WORDS_MOST)
        .for_each(|word| words.push(word));
    if words.count == 0 {
        return Found::Nothing(end + 1);
    }
    Found::Command(words.command(end + 1, Values::default()))
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
#[derive(Debug, Default)]
struct Words<'a> {
    words: [&'a [u8]; WORDS_MOST],
    count: usize,
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
    fn push(&mut self, word: &'a [u8]) {
        self.words[self.count] = word;
        self.count += 1;
    }

    fn is(&self, at: usize, word: &[u8]) -> bool {
        at < self.count && self.words[at].eq_ignore_ascii_case(word)
    }

    /// Whether another word has to be known to tell what the command is.
    fn want_more(&self) -> bool {
        if self.count == 0 {
            return true;
        }
        match key_place(self.words[0]) {
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

    fn key(&self) -> Option<&'a [u8]> {
        let words = &self.words[..self.count];
        let place = match key_place(words.first()?) {
            KeyPlace::None => return None,
            KeyPlace::At(place) => place,
            KeyPlace::Counted(place) if self.is(place, b"0") => return None,
            KeyPlace::Counted(place) => place + 1,
            KeyPlace::Behind(word) => (1..self.count).find(|at| self.is(*at, word))? + 1,
        };
        words.get(place).copied()
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

    fn command(&self, length: usize, rest: Values) -> Command<'a> {
        Command {
            name: self.words[0],
            key: self.key(),
            turn: self.turn(),
            length,
            rest,
        }
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
