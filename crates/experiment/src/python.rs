//! Python's `str`, `repr`, truth and `==` over JSON values, since documents rely on them.

use std::cmp::Ordering;
use std::sync::LazyLock;

use fancy_regex::Regex;
use serde_json::{Number, Value};

/// `str(value)`: strings as they are, everything else as [`repr`].
pub fn str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)`.
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => repr_number(number),
        Value::String(text) => repr_str(text),
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(repr).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Object(map) => {
            let pairs = map
                .iter()
                .map(|(key, value)| format!("{}: {}", repr_str(key), repr(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// `bool(value)`.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// `a == b`: `1 == 1.0 == True`, mappings regardless of order.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        (Value::String(a), Value::String(b)) => a == b,
        (Value::Null, Value::Null) => true,
        _ => match (numeric(a), numeric(b)) {
            (Some(a), Some(b)) => compare_numbers(&a, &b) == Some(Ordering::Equal),
            _ => false,
        },
    }
}

/// `a < b` and its kin; nothing where Python raises `TypeError`.
pub fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.chars().cmp(b.chars())),
        (Value::Array(a), Value::Array(b)) => {
            let differ = a.iter().zip(b).find(|(a, b)| !equal(a, b));
            match differ {
                Some((a, b)) => compare(a, b),
                None => Some(a.len().cmp(&b.len())),
            }
        }
        _ => compare_numbers(&numeric(a)?, &numeric(b)?),
    }
}

/// The name of the value's Python type, for messages that look like Python's.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// Numbers, and bools, which Python counts among them.
fn numeric(value: &Value) -> Option<Number> {
    match value {
        Value::Bool(flag) => Some(u64::from(*flag).into()),
        Value::Number(number) => Some(number.clone()),
        _ => None,
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (Some(a), None) => compare_mixed(a, b.as_f64()?),
        (None, Some(b)) => compare_mixed(b, a.as_f64()?).map(Ordering::reverse),
        (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from))
}

/// Exact, as Python's: not through a rounded float.
fn compare_mixed(integer: i128, float: f64) -> Option<Ordering> {
    // Every integer here fits in 65 bits, so a float beyond 2^100 is decided by its sign.
    if float.abs() >= 1e30 {
        return 0.0_f64.partial_cmp(&float);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded above, and the fraction is compared"
    )]
    let whole = float.trunc() as i128;
    match integer.cmp(&whole) {
        Ordering::Equal => 0.0_f64.partial_cmp(&float.fract()),
        unequal => Some(unequal),
    }
}

fn repr_number(number: &Number) -> String {
    if number.is_f64() {
        number.as_f64().map_or_else(String::new, repr_float)
    } else {
        number.to_string()
    }
}

/// The shortest digits that read back the same, with an exponent below 1e-4 and from 1e16.
pub fn repr_float(float: f64) -> String {
    let scientific = format!("{float:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if float == 0.0 || (-4..16).contains(&exponent) {
        let plain = format!("{float}");
        return if plain.contains('.') {
            plain
        } else {
            format!("{plain}.0")
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn repr_str(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c if u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push(quote);
    out
}

/// Python's `str.isprintable`: no control, format, unassigned or separator character but a space.
fn is_printable(c: char) -> bool {
    static HIDDEN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\A[\p{C}\p{Z}]").ok());
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    let mut buffer = [0; 4];
    let text = c.encode_utf8(&mut buffer);
    !HIDDEN
        .as_ref()
        .is_some_and(|hidden| hidden.is_match(text).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn str_is_what_python_312_prints() {
        for (value, expected) in [
            (json!(false), "False"),
            (json!(null), "None"),
            (json!({"a": [1]}), "{'a': [1]}"),
            (
                json!(["it's", "a \"b\"", "'\""]),
                r#"["it's", 'a "b"', '\'"']"#,
            ),
            (json!(1.0), "1.0"),
            (json!(1e16), "1e+16"),
            (json!(123_456_789_012_345_680.0), "1.2345678901234568e+17"),
            (json!(0.0001), "0.0001"),
            (json!(0.00001), "1e-05"),
            (json!(-0.0), "-0.0"),
            (json!(["a\nb\u{7f}\u{200b}é"]), "['a\\nb\\x7f\\u200bé']"),
        ] {
            assert_eq!(str(&value), expected);
        }
    }

    #[test]
    fn one_equals_one_point_nought_equals_true() {
        assert!(equal(&json!([1, {"a": 1.0}]), &json!([true, {"a": 1}])));
        assert!(!equal(&json!("1"), &json!(1)));
        assert!(!equal(
            &json!(9_007_199_254_740_993_i64),
            &json!(9_007_199_254_740_992.0)
        ));
        assert!(!equal(&json!(null), &json!(false)));
    }

    #[test]
    fn order_is_python_s_and_refuses_mixed_types() {
        assert_eq!(compare(&json!(1), &json!(1.5)), Some(Ordering::Less));
        assert_eq!(
            compare(&json!([1, "b"]), &json!([1, "a"])),
            Some(Ordering::Greater)
        );
        assert_eq!(compare(&json!(1), &json!("1")), None);
        assert_eq!(compare(&json!(null), &json!(null)), None);
    }
}
