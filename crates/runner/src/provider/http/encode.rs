//! Arguments as `requests` puts them on the wire.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Serializer, Value};
use url::Url;

/// Arguments of a shape that has no encoding.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[error("the arguments of a request must be a mapping, a string or a list of pairs")]
pub(crate) struct Unencodable;

pub(super) struct Form {
    pub(super) text: String,
    /// Whether the text is a form; a string is sent as it is, without a content type.
    pub(super) is_form: bool,
}

/// A request body that is not JSON.
pub(super) fn form(arguments: Option<&Value>) -> Result<Form, Unencodable> {
    match arguments {
        None => Ok(Form {
            text: String::new(),
            is_form: false,
        }),
        Some(value) if is_falsy(value) => Ok(Form {
            text: String::new(),
            is_form: false,
        }),
        Some(Value::String(text)) => Ok(Form {
            text: text.clone(),
            is_form: false,
        }),
        Some(value) => Ok(Form {
            text: pairs(value)?,
            is_form: true,
        }),
    }
}

/// Puts arguments behind what the URL asks for already.
pub(crate) fn append_query(url: &mut Url, arguments: Option<&Value>) -> Result<(), Unencodable> {
    let query = match arguments {
        // Anything true that is no mapping and no list is sent as its text.
        Some(value @ (Value::String(_) | Value::Bool(_) | Value::Number(_)))
            if !is_falsy(value) =>
        {
            scalar(value)
        }
        _ => form(arguments)?.text,
    };
    if query.is_empty() {
        return Ok(());
    }
    let query = match url.query() {
        Some(present) if !present.is_empty() => format!("{present}&{query}"),
        _ => query,
    };
    url.set_query(Some(&query));
    Ok(())
}

/// Python's `json.dumps`: a space after commas and colons, ASCII only.
pub(super) fn json(value: &Value) -> String {
    let mut bytes = Vec::new();
    // Writing a value to memory cannot fail; were it to, an empty body would be seen at once.
    let _written = value.serialize(&mut Serializer::with_formatter(&mut bytes, Dumps));
    String::from_utf8(bytes).unwrap_or_default()
}

fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

fn pairs(value: &Value) -> Result<String, Unencodable> {
    let mut words = Vec::new();
    match value {
        Value::Object(entries) => entries
            .iter()
            .for_each(|(key, value)| push(&mut words, key, value)),
        Value::Array(items) => {
            for item in items {
                match item.as_array().map(Vec::as_slice) {
                    Some([key, value]) => push(&mut words, &scalar(key), value),
                    _ => return Err(Unencodable),
                }
            }
        }
        _ => return Err(Unencodable),
    }
    Ok(words.join("&"))
}

/// A list gives one pair for each item, a mapping one for each of its keys, null gives none.
fn push(words: &mut Vec<String>, key: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Array(items) => items.iter().for_each(|item| push(words, key, item)),
        Value::Object(entries) => entries
            .keys()
            .for_each(|inner| words.push(pair(key, inner))),
        scalar_value => words.push(pair(key, &scalar(scalar_value))),
    }
}

fn pair(key: &str, value: &str) -> String {
    format!("{}={}", quote_plus(key), quote_plus(value))
}

/// Python's `str` of a scalar.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) if number.is_f64() => number.as_f64().map(float).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// Python writes `1e+16` and `1e-07` where Rust writes `1e16` and `1e-7`.
fn float(number: f64) -> String {
    let text = format!("{number:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent
                .strip_prefix('-')
                .map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

/// Python's `urllib.parse.quote_plus`.
fn quote_plus(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                quoted.push(char::from(byte));
            }
            b' ' => quoted.push('+'),
            _ => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    quoted
}

struct Dumps;

impl Formatter for Dumps {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for character in fragment.chars() {
            if character.is_ascii() {
                write!(writer, "{character}")?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_are_those_of_requests() {
        // Left: what requests 2.34 sent for the same arguments.
        let given = json!({"a": 1, "b": [1, 2], "c": null, "d": true, "e": 1.5, "f": "x y~*", "g": {"k": 1}});
        assert_eq!(
            "a=1&b=1&b=2&d=True&e=1.5&f=x+y~%2A&g=k",
            form(Some(&given)).unwrap().text
        );
        assert_eq!("a=b", form(Some(&json!([["a", "b"]]))).unwrap().text);
        assert!(!form(Some(&json!("raw=1&x"))).unwrap().is_form);
        assert_eq!(form(Some(&json!([1]))).err(), Some(Unencodable));
        assert_eq!(form(Some(&json!(5))).err(), Some(Unencodable));
        assert_eq!("", form(Some(&json!({}))).unwrap().text);
    }

    #[test]
    fn json_is_that_of_python() {
        assert_eq!(
            json(&json!({"a": "é😀", "b": [1, {}]})),
            "{\"a\": \"\\u00e9\\ud83d\\ude00\", \"b\": [1, {}]}"
        );
    }

    #[test]
    fn floats_are_those_of_python() {
        assert_eq!(float(1e16), "1e+16");
        assert_eq!(float(1e-7), "1e-07");
        assert_eq!(float(0.1), "0.1");
    }

    #[test]
    fn a_query_goes_behind_the_one_that_is_there() {
        let mut url = Url::parse("http://h/p?x=1").unwrap();
        append_query(&mut url, Some(&json!({"y": "a b"}))).unwrap();
        assert_eq!(url.as_str(), "http://h/p?x=1&y=a+b");
        append_query(&mut url, Some(&json!(true))).unwrap();
        append_query(&mut url, Some(&json!(0))).unwrap();
        assert_eq!(url.as_str(), "http://h/p?x=1&y=a+b&True");
    }
}
