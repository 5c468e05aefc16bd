//! Python's regular expressions, run by fancy-regex with a bound on backtracking.

use fancy_regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::ToleranceError;
use crate::python::{self, type_name};

/// The most steps of backtracking in one search.
const BACKTRACK_MAX: usize = 1_000_000;

/// A pattern as Python compiles it.
///
/// # Errors
/// In words, where Python raises `re.error`.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&translate(pattern)?)
        .backtrack_limit(BACKTRACK_MAX)
        .build()
        .map_err(|error| error.to_string())
}

/// `re.search`.
pub(super) fn search(pattern: &Value, value: &Value) -> Result<bool, ToleranceError> {
    let Value::String(pattern) = pattern else {
        return Err(ToleranceError::Pattern {
            pattern: python::str(pattern),
            message: format!("it is a {}", type_name(pattern)),
        });
    };
    let regex = compile(pattern).map_err(|message| ToleranceError::Pattern {
        pattern: pattern.clone(),
        message,
    })?;
    let Value::String(text) = value else {
        let hint = if value.is_object() {
            "; name a `target`, such as stdout or body"
        } else {
            ""
        };
        let found = type_name(value);
        return Err(ToleranceError::WrongValue {
            kind: "regex",
            needed: "a text",
            found,
            hint,
        });
    };
    regex
        .is_match(text)
        .map_err(|error| ToleranceError::PatternTooHard {
            pattern: pattern.clone(),
            message: error.to_string(),
        })
}

/// Python's dialect in fancy-regex's. They differ in `$` (also before a last newline), `\Z`, a `{`
/// that is no repetition, what a character class or an escape may hold, and in what is an error.
fn translate(pattern: &str) -> Result<String, String> {
    let mut translation = Translation {
        out: String::with_capacity(pattern.len() + 16),
        multiline: has_flag(pattern, 'm'),
        ascii: has_flag(pattern, 'a'),
        groups: 0,
        names: Vec::new(),
        last: Last::Atom,
    };
    let characters: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while at < characters.len() {
        at += translation.one(&characters[at..])?;
    }
    Ok(translation.out)
}

struct Translation {
    out: String,
    multiline: bool,
    ascii: bool,
    /// Capturing groups opened so far.
    groups: usize,
    names: Vec<String>,
    last: Last,
}

/// What stood before, for repetitions of repetitions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Atom,
    Repeat,
    /// With its `?` or `+`.
    RepeatEnded,
}

impl Translation {
    /// Takes one element of the pattern; gives its length.
    fn one(&mut self, rest: &[char]) -> Result<usize, String> {
        let before = std::mem::replace(&mut self.last, Last::Atom);
        match rest[0] {
            '\\' => self.escape(rest, false),
            '[' => self.class(rest),
            '(' => self.group(rest),
            '$' if !self.multiline => {
                self.out.push_str(r"(?=\n?\z)");
                Ok(1)
            }
            c @ ('*' | '+' | '?') => {
                self.last = match (before, c) {
                    (Last::Atom, _) => Last::Repeat,
                    (Last::Repeat, '+' | '?') => Last::RepeatEnded,
                    _ => return Err("multiple repeat".to_owned()),
                };
                self.out.push(c);
                Ok(1)
            }
            '{' => match repetition(rest)? {
                Some((text, length)) => {
                    if before != Last::Atom {
                        return Err("multiple repeat".to_owned());
                    }
                    self.last = Last::Repeat;
                    self.out.push_str(&text);
                    Ok(length)
                }
                None => {
                    self.out.push_str(r"\{");
                    Ok(1)
                }
            },
            '}' => {
                self.out.push_str(r"\}");
                Ok(1)
            }
            other => {
                self.out.push(other);
                Ok(1)
            }
        }
    }

    /// `(`, without the flags that are Python's default or have no meaning here.
    fn group(&mut self, rest: &[char]) -> Result<usize, String> {
        if !rest.starts_with(&['(', '?']) {
            self.groups += 1;
            self.out.push('(');
            return Ok(1);
        }
        let flags: String = rest[2..]
            .iter()
            .take_while(|c| "aiLmsux-".contains(**c))
            .collect();
        let end = 2 + flags.chars().count();
        let closing = rest.get(end).copied().unwrap_or_default();
        if !flags.is_empty() && matches!(closing, ')' | ':') {
            if flags.contains('L') {
                return Err("cannot use LOCALE flag with a str pattern".to_owned());
            }
            let kept: String = flags.chars().filter(|c| !"au".contains(*c)).collect();
            if !kept.is_empty() || closing == ':' {
                self.out.push_str(&format!("(?{kept}{closing}"));
            }
            return Ok(end + 1);
        }
        match rest.get(2..4) {
            Some(['P', '<']) => {
                let name: String = rest[4..].iter().take_while(|c| **c != '>').collect();
                let first = name.chars().next().unwrap_or_default();
                if !(first.is_alphabetic() || first == '_') {
                    return Err(format!("bad character in group name '{name}'"));
                }
                if self.names.contains(&name) {
                    return Err(format!("redefinition of group name '{name}'"));
                }
                self.names.push(name);
                self.groups += 1;
            }
            Some(['(', _]) => {
                let condition: String = rest[3..].iter().take_while(|c| **c != ')').collect();
                if condition
                    .parse::<usize>()
                    .is_ok_and(|group| group > self.groups)
                {
                    return Err(format!("invalid group reference {condition}"));
                }
            }
            _ => {}
        }
        self.out.push('(');
        Ok(1)
    }

    fn class(&mut self, rest: &[char]) -> Result<usize, String> {
        self.out.push('[');
        let mut at = 1;
        if rest.get(at) == Some(&'^') {
            self.out.push('^');
            at += 1;
        }
        let first = at;
        loop {
            match rest.get(at) {
                None => return Err("unterminated character set".to_owned()),
                Some(']') if at > first => {
                    self.out.push(']');
                    return Ok(at + 1);
                }
                Some('\\') => at += self.escape(&rest[at..], true)?,
                Some(&c) => {
                    // Rust's classes nest and have operators; Python's do not.
                    if "[]&~".contains(c) || (c == '-' && rest.get(at + 1) == Some(&'-')) {
                        self.out.push('\\');
                    }
                    self.out.push(c);
                    at += 1;
                }
            }
        }
    }

    fn escape(&mut self, rest: &[char], in_class: bool) -> Result<usize, String> {
        let Some(&c) = rest.get(1) else {
            return Err("bad escape (end of pattern)".to_owned());
        };
        let octal_next = rest
            .get(2..4)
            .is_some_and(|next| next.iter().all(|c| is_octal(*c)));
        match c {
            'Z' if !in_class => self.out.push_str(r"\z"),
            'A' | 'B' if !in_class => self.out.extend(['\\', c]),
            'b' if in_class => self.out.push_str(r"\x08"),
            'd' | 's' | 'w' if self.ascii => {
                let set = match c {
                    'd' => "0-9",
                    's' => r" \t\n\r\f\v",
                    _ => "A-Za-z0-9_",
                };
                let set = if in_class {
                    set.to_owned()
                } else {
                    format!("[{set}]")
                };
                self.out.push_str(&set);
            }
            'b' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
                self.out.extend(['\\', c]);
            }
            'x' => return self.code_point(rest, 2),
            'u' => return self.code_point(rest, 4),
            'U' => return self.code_point(rest, 8),
            '1'..='3' if octal_next => return self.octal(rest),
            '1'..='9' if !in_class => {
                self.out.extend(['\\', c]);
                // A digit after it belongs to the reference in Rust as in Python.
            }
            '0'..='9' => return self.octal(rest),
            c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
            // `\<` and `\>` are word boundaries in Rust.
            c if c.is_ascii_punctuation() && c != '<' && c != '>' => self.out.extend(['\\', c]),
            c => self.out.push(c),
        }
        Ok(2)
    }

    fn code_point(&mut self, rest: &[char], digits: usize) -> Result<usize, String> {
        let text: String = rest.iter().skip(2).take(digits).collect();
        let fine = text.len() == digits && text.chars().all(|c| c.is_ascii_hexdigit());
        let code = u32::from_str_radix(&text, 16)
            .ok()
            .filter(|_| fine)
            .and_then(char::from_u32);
        let code = code.ok_or_else(|| format!("incomplete escape \\{}{text}", rest[1]))?;
        self.out.push_str(&format!("\\x{{{:x}}}", u32::from(code)));
        Ok(2 + digits)
    }

    fn octal(&mut self, rest: &[char]) -> Result<usize, String> {
        let text: String = rest[1..]
            .iter()
            .take(3)
            .take_while(|c| is_octal(**c))
            .collect();
        let code =
            u32::from_str_radix(&text, 8).map_err(|_| format!("bad escape \\{}", rest[1]))?;
        self.out.push_str(&format!("\\x{{{code:x}}}"));
        Ok(1 + text.len())
    }
}

fn is_octal(c: char) -> bool {
    ('0'..='7').contains(&c)
}

/// A flag of the whole pattern, `(?m)` at its start.
fn has_flag(pattern: &str, flag: char) -> bool {
    let flags = pattern
        .strip_prefix("(?")
        .and_then(|rest| rest.split_once(')'));
    flags.is_some_and(|(flags, _)| {
        flags.chars().all(|c| c.is_ascii_alphabetic()) && flags.contains(flag)
    })
}

/// `{2}`, `{2,}`, `{,3}`, `{2,3}`; anything else is a brace.
fn repetition(rest: &[char]) -> Result<Option<(String, usize)>, String> {
    let Some(end) = rest.iter().position(|&c| c == '}') else {
        return Ok(None);
    };
    let inner: String = rest[1..end].iter().collect();
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (low, high) = inner.split_once(',').unwrap_or((&inner, ""));
    if !is_number(low) || !is_number(high) || inner.is_empty() || inner == "," {
        return Ok(None);
    }
    let low = if low.is_empty() { "0" } else { low };
    if let (Ok(low), Ok(high)) = (low.parse::<u64>(), high.parse::<u64>())
        && low > high
    {
        return Err("min repeat greater than max repeat".to_owned());
    }
    let text = if inner.contains(',') {
        format!("{{{low},{high}}}")
    } else {
        format!("{{{low}}}")
    };
    Ok(Some((text, end + 1)))
}
