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
/// that is no repetition, and what a character class or an escape may hold.
fn translate(pattern: &str) -> Result<String, String> {
    let multiline = has_flag(pattern, 'm');
    let characters: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut at = 0;
    while let Some(&c) = characters.get(at) {
        let rest = &characters[at..];
        let taken = match c {
            '\\' => escape(rest, false, &mut out)?,
            '[' => class(rest, &mut out)?,
            '$' if !multiline => {
                out.push_str(r"(?=\n?\z)");
                1
            }
            '{' => match repetition(rest) {
                Some((text, length)) => {
                    out.push_str(&text);
                    length
                }
                None => {
                    out.push_str(r"\{");
                    1
                }
            },
            '}' => {
                out.push_str(r"\}");
                1
            }
            '(' => group(rest, &mut out),
            other => {
                out.push(other);
                1
            }
        };
        at += taken;
    }
    Ok(out)
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

/// `(`, without the flags that are Python's default or have no meaning here.
fn group(rest: &[char], out: &mut String) -> usize {
    if rest.starts_with(&['(', '?']) {
        let flags: String = rest[2..]
            .iter()
            .take_while(|c| "aiLmsux-".contains(**c))
            .collect();
        let end = 2 + flags.chars().count();
        if !flags.is_empty() && matches!(rest.get(end), Some(')' | ':')) {
            let kept: String = flags.chars().filter(|c| !"auL".contains(*c)).collect();
            let closing = rest.get(end).copied().unwrap_or(')');
            if !kept.is_empty() || closing == ':' {
                out.push_str("(?");
                out.push_str(&kept);
                out.push(closing);
            }
            return end + 1;
        }
    }
    out.push('(');
    1
}

/// `{2}`, `{2,}`, `{,3}`, `{2,3}`; anything else is a brace.
fn repetition(rest: &[char]) -> Option<(String, usize)> {
    let end = rest.iter().position(|&c| c == '}')?;
    let inner: String = rest[1..end].iter().collect();
    let number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (low, high) = inner.split_once(',').unwrap_or((&inner, ""));
    let fine = number(low) && number(high) && inner != "" && inner != ",";
    let low_or_zero = if low.is_empty() { "0" } else { low };
    let text = if inner.contains(',') {
        format!("{{{low_or_zero},{high}}}")
    } else {
        format!("{{{low_or_zero}}}")
    };
    fine.then_some((text, end + 1))
}

fn class(rest: &[char], out: &mut String) -> Result<usize, String> {
    out.push('[');
    let mut at = 1;
    if rest.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    loop {
        match rest.get(at) {
            None => return Err("unterminated character set".to_owned()),
            Some(']') if at > first => {
                out.push(']');
                return Ok(at + 1);
            }
            Some('\\') => at += escape(&rest[at..], true, out)?,
            Some(&c) => {
                // Rust's classes nest and have operators; Python's do not.
                if "[]&~".contains(c) || (c == '-' && rest.get(at + 1) == Some(&'-')) {
                    out.push('\\');
                }
                out.push(c);
                at += 1;
            }
        }
    }
}

fn escape(rest: &[char], in_class: bool, out: &mut String) -> Result<usize, String> {
    let Some(&c) = rest.get(1) else {
        return Err("bad escape (end of pattern)".to_owned());
    };
    match c {
        'Z' if !in_class => out.push_str(r"\z"),
        'A' | 'B' if !in_class => out.extend(['\\', c]),
        'b' if in_class => out.push_str(r"\x08"),
        'b' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
            out.extend(['\\', c]);
        }
        'x' => return code_point(rest, 2, out),
        'u' => return code_point(rest, 4, out),
        'U' => return code_point(rest, 8, out),
        '1'..='9' if !in_class => out.extend(['\\', c]),
        '0'..='9' => return octal(rest, out),
        c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() && c != '<' && c != '>' => {
            if c.is_ascii_punctuation() {
                out.push('\\');
            }
            out.push(c);
        }
        c => out.push(c),
    }
    Ok(2)
}

fn code_point(rest: &[char], digits: usize, out: &mut String) -> Result<usize, String> {
    let text: String = rest.iter().skip(2).take(digits).collect();
    let fine = text.len() == digits && text.chars().all(|c| c.is_ascii_hexdigit());
    let code = u32::from_str_radix(&text, 16)
        .ok()
        .filter(|_| fine)
        .and_then(char::from_u32);
    let code = code.ok_or_else(|| format!("incomplete escape \\{}{text}", rest[1]))?;
    out.push_str(&format!("\\x{{{:x}}}", u32::from(code)));
    Ok(2 + digits)
}

fn octal(rest: &[char], out: &mut String) -> Result<usize, String> {
    let text: String = rest[1..]
        .iter()
        .take(3)
        .take_while(|c| ('0'..='7').contains(*c))
        .collect();
    let code = u32::from_str_radix(&text, 8).map_err(|_| format!("bad escape \\{}", rest[1]))?;
    out.push_str(&format!("\\x{{{code:x}}}"));
    Ok(1 + text.len())
}
