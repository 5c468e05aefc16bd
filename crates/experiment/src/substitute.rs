//! `${name}`, `$name` and `$$`, as Python's `string.Template.safe_substitute` reads them.
//!
//! A string that is exactly `${name}` becomes the value with its type; anywhere else the value is
//! put in as Python's `str` prints it. Unknown names stay as they stand; keys are left alone.

use serde_json::Value;

use crate::python;
use crate::scope::Scope;

/// Fills in every string of a value.
pub fn substitute(value: &Value, scope: &Scope) -> Value {
    match value {
        Value::String(text) => substitute_text(text, scope),
        Value::Array(items) => items.iter().map(|item| substitute(item, scope)).collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), substitute(value, scope)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// As [`substitute`], but an empty scope changes nothing: Chaos Toolkit's rule for arguments.
pub fn substitute_unless_empty(value: &Value, scope: &Scope) -> Value {
    if scope.is_empty() {
        value.clone()
    } else {
        substitute(value, scope)
    }
}

/// One string; typed when it is exactly one `${name}`.
pub fn substitute_text(text: &str, scope: &Scope) -> Value {
    if let Some(name) = only_pattern(text)
        && let Some(value) = scope.get(name)
    {
        return value.clone();
    }
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Dollar => out.push('$'),
            Piece::Name { name, raw } => match scope.get(name) {
                Some(value) => out.push_str(&python::str(value)),
                None => out.push_str(raw),
            },
        }
    }
    Value::String(out)
}

/// Every name a value refers to, in order, with repetitions.
pub fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => pieces(text)
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Name { name, .. } => Some(name),
                Piece::Text(_) | Piece::Dollar => None,
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::Object(map) => map.values().flat_map(names).collect(),
        _ => Vec::new(),
    }
}

/// The name, when the text is `${name}` and nothing else.
pub fn only_pattern(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    (identifier(name) == Some(name)).then_some(name)
}

enum Piece<'a> {
    Text(&'a str),
    Dollar,
    Name { name: &'a str, raw: &'a str },
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        if at > 0 {
            out.push(Piece::Text(&rest[..at]));
        }
        let after = &rest[at + 1..];
        let (piece, length) = if after.starts_with('$') {
            (Piece::Dollar, 2)
        } else if let Some(name) = identifier(after) {
            (
                Piece::Name {
                    name,
                    raw: &rest[at..=at + name.len()],
                },
                1 + name.len(),
            )
        } else if let Some(name) = after.strip_prefix('{').and_then(identifier)
            && after[1 + name.len()..].starts_with('}')
        {
            let length = name.len() + 3;
            (
                Piece::Name {
                    name,
                    raw: &rest[at..at + length],
                },
                length,
            )
        } else {
            (Piece::Text("$"), 1)
        };
        out.push(piece);
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        out.push(Piece::Text(rest));
    }
    out
}

/// The identifier a text starts with: ASCII only.
fn identifier(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    if !first.is_ascii_alphabetic() && first != '_' {
        return None;
    }
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    Some(&text[..end])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        Scope {
            configuration: object(
                json!({"x": 5, "no": false, "d": {"a": [1]}, "n": null, "s": "c"}),
            ),
            secrets: object(json!({"g": {"s": "secret", "t": "one"}, "h": {"t": "two"}})),
            registered: object(json!({"x": 9, "out": [1]})),
        }
    }

    #[test]
    fn patterns_read_as_chaoslib_1_45_reads_them() {
        // Expectations recorded from chaoslib.substitute.
        for (text, expected) in [
            ("${x}", json!(5)),
            ("$x", json!("5")),
            ("a${x}", json!("a5")),
            ("a$x-", json!("a5-")),
            ("$$x", json!("$x")),
            ("$${x}", json!("${x}")),
            ("${no} ${d} ${n}", json!("False {'a': [1]} None")),
            ("${n}", json!(null)),
            ("${a-b}", json!("${a-b}")),
            ("${unknown} $unknown", json!("${unknown} $unknown")),
            ("${x", json!("${x")),
            ("$", json!("$")),
            ("$1", json!("$1")),
            ("${é}", json!("${é}")),
            ("$xé", json!("5é")),
            ("${s}", json!("c")),
            ("${t}", json!("one")),
            ("${out}", json!([1])),
        ] {
            assert_eq!(substitute_text(text, &scope()), expected, "{text}");
        }
    }

    #[test]
    fn values_inside_are_filled_and_keys_are_not() {
        assert_eq!(
            substitute(&json!({"${x}": ["${x}", {"k": "$x"}], "n": 1}), &scope()),
            json!({"${x}": [5, {"k": "5"}], "n": 1})
        );
    }

    #[test]
    fn an_empty_scope_leaves_arguments_alone_but_not_urls() {
        let empty = Scope::default();
        assert_eq!(substitute_unless_empty(&json!("$$"), &empty), json!("$$"));
        assert_eq!(substitute(&json!("$$"), &empty), json!("$"));
    }
}
