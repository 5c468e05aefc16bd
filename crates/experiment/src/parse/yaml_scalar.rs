//! What a YAML 1.1 scalar means: <https://yaml.org/type/>, in PyYAML's reading.

use fancy_regex::Regex;
use jiff::civil::Date;
use serde_json::{Number, Value};
use std::sync::LazyLock;

use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;

pub(super) enum Scalar {
    Value(Value),
    /// A date or time, as Python's `isoformat` would put it in the journal.
    Time(String),
    /// `<<`.
    Merge,
    /// `=`: an ordinary key, and nothing else.
    Equals,
}

/// A plain scalar without a tag.
pub(super) fn resolve(text: &str) -> Result<Scalar, Diagnostic> {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "<<" => return Ok(Scalar::Merge),
        "=" => return Ok(Scalar::Equals),
        _ if is_bool(text) => boolean(text)?,
        _ if is_float(text) => float(text)?,
        _ if is_int(text) => int(text)?,
        _ if is_time(text) => return time(text).map(Scalar::Time),
        _ => Value::String(text.to_owned()),
    };
    Ok(Scalar::Value(value))
}

/// A scalar with an explicit tag, whatever its quotes.
pub(super) fn tagged(text: &str, tag: &str) -> Result<Scalar, Diagnostic> {
    let value = match tag.strip_prefix("tag:yaml.org,2002:") {
        Some("str") => Value::String(text.to_owned()),
        Some("int") => int(text)?,
        Some("float") => float(text)?,
        Some("bool") => boolean(text)?,
        Some("null") => Value::Null,
        Some("timestamp") if is_time(text) => return time(text).map(Scalar::Time),
        Some("timestamp") => return Err(wrong(text, "a time")),
        Some("merge") => return Ok(Scalar::Merge),
        _ => return Err(unsupported(tag)),
    };
    Ok(Scalar::Value(value))
}

pub(super) fn unsupported(tag: &str) -> Diagnostic {
    let shown = tag
        .strip_prefix("tag:yaml.org,2002:")
        .map_or(tag.to_owned(), |t| format!("!!{t}"));
    let hint = if tag.contains("python/") {
        "Python objects are never built from a document"
    } else {
        "usable tags: !!str !!int !!float !!bool !!null !!timestamp !!seq !!map"
    };
    Diagnostic::error(
        Code::Unrepresentable,
        &Path::root(),
        format!("the tag {shown} has no meaning here"),
    )
    .hint(hint)
}

fn is_bool(text: &str) -> bool {
    const WORDS: [&str; 6] = ["yes", "no", "true", "false", "on", "off"];
    let lower = text.to_ascii_lowercase();
    let Some(first) = text.get(..1) else {
        return false;
    };
    WORDS.contains(&lower.as_str())
        && (text == lower
            || text == lower.to_ascii_uppercase()
            || text == format!("{}{}", first.to_ascii_uppercase(), &lower[1..]))
}

fn boolean(text: &str) -> Result<Value, Diagnostic> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Ok(Value::Bool(true)),
        "no" | "false" | "off" => Ok(Value::Bool(false)),
        _ => Err(wrong(text, "a bool")),
    }
}

fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

fn matches(regex: &LazyLock<Option<Regex>>, text: &str) -> bool {
    regex
        .as_ref()
        .is_some_and(|regex| regex.is_match(text).unwrap_or(false))
}

fn is_float(text: &str) -> bool {
    static FLOAT: LazyLock<Option<Regex>> = LazyLock::new(|| {
        pattern(concat!(
            r"\A(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?",
            r"|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?",
            r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*",
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\z",
        ))
    });
    matches(&FLOAT, text)
}

fn is_int(text: &str) -> bool {
    static INT: LazyLock<Option<Regex>> = LazyLock::new(|| {
        pattern(concat!(
            r"\A[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+",
            r"|[1-9][0-9_]*(?::[0-5]?[0-9])+)\z",
        ))
    });
    matches(&INT, text)
}

fn is_time(text: &str) -> bool {
    static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
        pattern(concat!(
            r"\A(?:[0-9]{4}-[0-9]{2}-[0-9]{2}",
            r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}",
            r"(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?)\z",
        ))
    });
    matches(&TIME, text)
}

/// Octal with a leading 0, base 60 with colons, `0x`, `0b`, underscores anywhere.
fn int(text: &str) -> Result<Value, Diagnostic> {
    let clean = text.replace('_', "");
    let (negative, digits) = signed(&clean);
    let parsed = if digits == "0" {
        Some(0)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i128::from_str_radix(binary, 2).ok()
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        i128::from_str_radix(hexadecimal, 16).ok()
    } else if digits.starts_with('0') {
        i128::from_str_radix(digits, 8).ok()
    } else if digits.contains(':') {
        digits.split(':').try_fold(0_i128, |sum, part| {
            sum.checked_mul(60)?.checked_add(part.parse::<i128>().ok()?)
        })
    } else {
        digits.parse::<i128>().ok()
    };
    let Some(magnitude) = parsed else {
        let digits_only = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
        return Err(if digits_only {
            too_wide(text)
        } else {
            wrong(text, "an integer")
        });
    };
    let number = if negative { -magnitude } else { magnitude };
    if let Ok(number) = i64::try_from(number) {
        return Ok(number.into());
    }
    u64::try_from(number)
        .map(Value::from)
        .map_err(|_| too_wide(text))
}

fn float(text: &str) -> Result<Value, Diagnostic> {
    let clean = text.replace('_', "").to_ascii_lowercase();
    let (negative, digits) = signed(&clean);
    let parsed = if digits.contains(':') {
        digits.split(':').try_fold(0.0, |sum, part| {
            part.parse::<f64>().ok().map(|part| sum * 60.0 + part)
        })
    } else {
        digits
            .parse::<f64>()
            .ok()
            .filter(|_| !digits.contains(['n', 'i']))
    };
    match parsed {
        Some(number) => Number::from_f64(if negative { -number } else { number })
            .map(Value::Number)
            .ok_or_else(|| not_finite(text)),
        None if matches!(digits, ".inf" | ".nan" | "inf" | "nan" | "infinity") => {
            Err(not_finite(text))
        }
        None => Err(wrong(text, "a float")),
    }
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Python's `isoformat` of a date, or of a time with its zone as written.
fn time(text: &str) -> Result<String, Diagnostic> {
    let no_such = || wrong(text, "a time that exists");
    let (date, rest) = match text.find(['T', 't', ' ', '\t']) {
        Some(at) => (&text[..at], text[at + 1..].trim_start_matches([' ', '\t'])),
        None => (text, ""),
    };
    let mut parts = date
        .split('-')
        .map(|part| part.parse::<i16>().unwrap_or(-1));
    let (year, month, day) = (
        parts.next().unwrap_or(-1),
        parts
            .next()
            .and_then(|part| i8::try_from(part).ok())
            .unwrap_or(-1),
        parts
            .next()
            .and_then(|part| i8::try_from(part).ok())
            .unwrap_or(-1),
    );
    let date = Date::new(year, month, day)
        .ok()
        .filter(|_| year > 0)
        .ok_or_else(no_such)?;
    let mut out = format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day());
    if rest.is_empty() {
        return Ok(out);
    }
    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = (rest[..zone_at].trim_end(), &rest[zone_at..]);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let numbers: Vec<u32> = clock
        .split(':')
        .map(|part| part.parse().unwrap_or(99))
        .collect();
    let [hour, minute, second] = numbers[..] else {
        return Err(no_such());
    };
    if hour > 23 || minute > 59 || second > 59 {
        return Err(no_such());
    }
    out.push_str(&format!("T{hour:02}:{minute:02}:{second:02}"));
    let micros = format!(
        "{:0<6}",
        fraction.get(..fraction.len().min(6)).unwrap_or_default()
    );
    if micros != "000000" {
        out.push_str(&format!(".{micros}"));
    }
    out.push_str(&offset(zone).ok_or_else(no_such)?);
    Ok(out)
}

fn offset(zone: &str) -> Option<String> {
    match zone {
        "" => Some(String::new()),
        "Z" => Some("+00:00".to_owned()),
        _ => {
            let sign = &zone[..1];
            let (hours, minutes) = zone[1..].split_once(':').unwrap_or((&zone[1..], "0"));
            let (hours, minutes) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
            let all = hours * 60 + minutes;
            let sign = if all == 0 { "+" } else { sign };
            (all < 24 * 60).then(|| format!("{sign}{:02}:{:02}", all / 60, all % 60))
        }
    }
}

fn wrong(text: &str, what: &str) -> Diagnostic {
    Diagnostic::error(
        Code::Syntax,
        &Path::root(),
        format!("`{text}` is not {what}"),
    )
    .hint("quote it if it is meant as text")
}

fn too_wide(text: &str) -> Diagnostic {
    Diagnostic::error(
        Code::Unrepresentable,
        &Path::root(),
        format!("{text} does not fit in 64 bits"),
    )
    .hint("write it as a string")
}

fn not_finite(text: &str) -> Diagnostic {
    Diagnostic::error(
        Code::Unrepresentable,
        &Path::root(),
        format!("{text} is not a number a journal can hold"),
    )
    .hint("NaN and infinities cannot be written in a journal; use null or a string")
}
