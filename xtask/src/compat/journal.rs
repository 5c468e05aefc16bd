//! Reads a journal, which may hold numbers that JSON does not know.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

/// Stands for a journal that stops in the middle: Chaos Toolkit dies while it writes a
/// value that JSON cannot hold.
pub(crate) const BROKEN: &str = "broken";

/// The journal at that path, if there is one.
pub(crate) fn read(path: &Path) -> anyhow::Result<Option<Value>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(Some(
        serde_json::from_str(&quote_non_numbers(&text)).unwrap_or_else(|_| BROKEN.into()),
    ))
}

/// Python writes `NaN`, `Infinity` and `-Infinity`; they become text with a mark.
fn quote_non_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let word = ["NaN", "Infinity", "-Infinity"]
            .into_iter()
            .find(|w| rest.starts_with(w));
        if next == '"' {
            let end = end_of_string(rest);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if let Some(word) = word {
            out.push_str(&format!("\"number {word}\""));
            rest = &rest[word.len()..];
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

/// Where the JSON string at the start of `text` ends, its quotes included.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::quote_non_numbers;

    #[test]
    fn only_bare_words_are_quoted() {
        let text = r#"{"a": NaN, "NaN \" Infinity": [-Infinity, 1]}"#;
        let quoted = r#"{"a": "number NaN", "NaN \" Infinity": ["number -Infinity", 1]}"#;
        assert_eq!(quote_non_numbers(text), quoted);
    }
}
