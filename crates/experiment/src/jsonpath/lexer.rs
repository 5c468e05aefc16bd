//! A path's tokens.

use super::{Dialect, JsonPathError};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `@ .. $ . * = >= > <= < != { } [ ] : , ( ) ?`
    Sign(&'static str),
    /// `and`, `or`, `not`, `true`, `false`, `null`: never names.
    Word(&'static str),
    Name(String),
    /// Without its quotes, escapes as written.
    Text(String),
    Number(String),
}

/// Longest first where one is the start of another.
const SIGNS: [&str; 20] = [
    "..", ">=", "<=", "!=", "@", "$", ".", "*", "=", ">", "<", "{", "}", "[", "]", ":", ",", "(",
    ")", "?",
];
const WORDS: [&str; 6] = ["and", "or", "not", "true", "false", "null"];

/// Each token with the byte it starts at.
pub(super) fn tokens(text: &str, dialect: Dialect) -> Result<Vec<(usize, Token)>, JsonPathError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            at += 1;
            continue;
        }
        let after_dot = matches!(out.last(), Some((_, Token::Sign("." | ".."))));
        let (token, length) = if c == '"' || (c == '\'' && dialect == Dialect::Ours) {
            string(rest, c).ok_or_else(|| error(text, at, "a string that does not end well"))?
        } else if c == '_' || c.is_ascii_alphabetic() {
            name(rest, dialect == Dialect::Ours && after_dot)
        } else if c.is_ascii_digit() || c == '-' {
            number(rest).ok_or_else(|| error(text, at, "not a number"))?
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| error(text, at, &format!("unexpected `{c}`")))?;
            (Token::Sign(sign), sign.len())
        };
        out.push((at, token));
        at += length;
    }
    Ok(out)
}

pub(super) fn error(text: &str, at: usize, message: &str) -> JsonPathError {
    let column = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
    JsonPathError::Syntax {
        column,
        message: message.to_owned(),
    }
}

fn name(rest: &str, with_dashes: bool) -> (Token, usize) {
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || (with_dashes && c == '-')))
        .unwrap_or(rest.len());
    let name = &rest[..end];
    let token = match WORDS.into_iter().find(|word| *word == name) {
        Some(word) => Token::Word(word),
        None => Token::Name(name.to_owned()),
    };
    (token, end)
}

fn string(rest: &str, quote: char) -> Option<(Token, usize)> {
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            c if c == quote => return Some((Token::Text(rest[1..at].to_owned()), at + 1)),
            c if c < ' ' => return None,
            '\\' => match characters.next()?.1 {
                'u' => {
                    for _ in 0..4 {
                        characters.next().filter(|(_, c)| c.is_ascii_hexdigit())?;
                    }
                }
                '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' => {}
                '\'' if quote == '\'' => {}
                _ => return None,
            },
            _ => {}
        }
    }
    None
}

fn number(rest: &str) -> Option<(Token, usize)> {
    let digits = |from: usize| {
        rest[from..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(rest.len(), |at| from + at)
    };
    // No leading zeros: `01` is two numbers.
    let integer = |from: usize| {
        if rest[from..].starts_with('0') {
            from + 1
        } else {
            digits(from)
        }
    };
    let start = usize::from(rest.starts_with('-'));
    let mut end = integer(start);
    if end == start {
        return None;
    }
    if rest[end..].starts_with('.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        let exponent = integer(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    Some((Token::Number(rest[..end].to_owned()), end))
}
