//! JSON, as Python's `json.load` takes it, save for NaN and its kin.

use jsonc_parser::ast::{self, ObjectPropName};
use jsonc_parser::common::Range;
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};
use serde_json::{Number, Value};

use super::{DEPTH_MAX, too_deep};
use crate::diagnostic::{Code, Diagnostic};
use crate::node::{Entry, Node, NodeKind};
use crate::path::Path;
use crate::source::{Source, Span};

pub(super) fn parse(source: &Source) -> Result<Node, Diagnostic> {
    let collect = CollectOptions {
        comments: CommentCollectionStrategy::Off,
        tokens: false,
    };
    let parsed = parse_to_ast(&source.text, &collect, &strict()).map_err(|error| {
        let range = error.range();
        let message = sentence(&error.kind().to_string());
        let found = source.text.get(range.start..).unwrap_or_default();
        let hint = hint(&message, found);
        let diagnostic = Diagnostic::error(Code::Syntax, &Path::root(), message).at(span(range));
        match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    })?;
    match parsed.value {
        Some(value) => lower(&value, source, 0),
        None => Err(
            Diagnostic::error(Code::Syntax, &Path::root(), "the document is empty")
                .at(Span::new(0, 1)),
        ),
    }
}

fn strict() -> ParseOptions {
    ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn lower(value: &ast::Value<'_>, source: &Source, depth: usize) -> Result<Node, Diagnostic> {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    let (range, kind) = match value {
        ast::Value::NullKeyword(null) => (null.range, NodeKind::Scalar(Value::Null)),
        ast::Value::BooleanLit(literal) => {
            (literal.range, NodeKind::Scalar(Value::Bool(literal.value)))
        }
        ast::Value::StringLit(string) => {
            without_control_characters(string.range, source)?;
            (
                string.range,
                NodeKind::Scalar(Value::String(string.value.to_string())),
            )
        }
        ast::Value::NumberLit(literal) => {
            let number = number(literal.value).map_err(|error| error.at(span(literal.range)))?;
            (literal.range, NodeKind::Scalar(Value::Number(number)))
        }
        ast::Value::Array(array) => {
            let items = array
                .elements
                .iter()
                .map(|item| lower(item, source, depth + 1));
            (
                array.range,
                NodeKind::List(items.collect::<Result<_, _>>()?),
            )
        }
        ast::Value::Object(object) => {
            let entries = object.properties.iter().map(|property| {
                let (key, range) = match &property.name {
                    ObjectPropName::String(name) => (name.value.to_string(), name.range),
                    ObjectPropName::Word(name) => (name.value.to_owned(), name.range),
                };
                without_control_characters(range, source)?;
                let value = lower(&property.value, source, depth + 1)?;
                Ok(Entry {
                    key,
                    key_span: span(range),
                    value,
                })
            });
            (
                object.range,
                NodeKind::Map(entries.collect::<Result<_, Diagnostic>>()?),
            )
        }
    };
    Ok(Node {
        span: span(range),
        kind,
    })
}

/// A literal's number, refused when 64 bits do not hold it.
pub(super) fn number(text: &str) -> Result<Number, Diagnostic> {
    let refused = |why: &str| {
        Diagnostic::error(
            Code::Unrepresentable,
            &Path::root(),
            format!("{text} {why}"),
        )
    };
    if text.contains(['.', 'e', 'E']) {
        return text
            .parse::<f64>()
            .ok()
            .and_then(Number::from_f64)
            .ok_or_else(|| refused("is not a number a journal can hold"));
    }
    if let Ok(number) = text.parse::<i64>() {
        return Ok(number.into());
    }
    text.parse::<u64>()
        .map(Number::from)
        .map_err(|_| refused("does not fit in 64 bits").hint("write it as a string"))
}

/// Python refuses raw control characters in strings; the parser lets them pass.
fn without_control_characters(range: Range, source: &Source) -> Result<(), Diagnostic> {
    let raw = source.text.get(range.start..range.end).unwrap_or_default();
    match raw.find(|c: char| c < ' ') {
        Some(at) => Err(Diagnostic::error(
            Code::Syntax,
            &Path::root(),
            "a string holds a raw control character",
        )
        .at(Span::new(range.start + at, range.start + at + 1))
        .hint("write it as \\n, \\t or \\u00XX")),
        None => Ok(()),
    }
}

fn hint(message: &str, found: &str) -> Option<&'static str> {
    if found.starts_with(['N', 'I']) || found.starts_with("-I") {
        return Some("NaN and infinities cannot be written in a journal; use null or a string");
    }
    if message.starts_with("comments") {
        return Some("JSON has no comments; YAML has");
    }
    None
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

fn span(range: Range) -> Span {
    Span::new(range.start, range.end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Result<Value, Diagnostic> {
        parse(&Source::new("x.json", text)).map(|node| node.to_value())
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(
            value(r#"{"a": 1, "b": 2, "a": 3}"#).unwrap(),
            json!({"a": 3, "b": 2})
        );
    }

    #[test]
    fn what_a_journal_cannot_hold_is_refused_with_its_place() {
        for (text, at) in [("[NaN]", 1), ("[-Infinity]", 1), ("[1, 1e999]", 4)] {
            let error = value(text).unwrap_err();
            assert_eq!(error.span.unwrap().start, at, "{text}: {error:?}");
        }
        assert_eq!(
            value("[18446744073709551616]").unwrap_err().code,
            Code::Unrepresentable
        );
        assert_eq!(
            value("[18446744073709551615, -0]").unwrap(),
            json!([u64::MAX, 0])
        );
    }

    #[test]
    fn leniency_of_other_parsers_is_off() {
        for text in [
            "{'a': 1}",
            "{a: 1}",
            "[1,]",
            "[1 2]",
            "// x\n1",
            "[0x10]",
            "[+1]",
            "[.5]",
            "1 2",
            "",
            "[01]",
            "[\"a\nb\"]",
            "{\"a\" 1}",
            "[1",
            "nul",
        ] {
            assert!(value(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_crash() {
        assert!(value(&"[".repeat(100_000)).is_err());
        let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
        assert_eq!(value(&deep).unwrap_err().code, Code::Limit);
    }
}
