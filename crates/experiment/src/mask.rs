//! Keeps secrets out of journals, logs and error texts.
//!
//! Every occurrence of a secret becomes `********`: as a whole value, inside a longer text, as a
//! key, and in the forms a text is carried in (JSON-escaped, percent-encoded, `repr`). Secrets
//! shorter than [`EMBEDDED_MIN`] characters are masked only where they stand alone, between
//! characters that are neither letters nor digits: masking every `1` would hide the journal and
//! not the secret. Bools, null and the empty string are never masked.

use serde_json::{Map, Value};

use crate::python;

/// What stands for a secret.
pub const MASKED: &str = "********";
/// The shortest secret masked inside words, in characters.
pub const EMBEDDED_MIN: usize = 4;
/// The shortest line of a secret of several lines (a key, a certificate) masked by itself.
const LINE_MIN: usize = 8;

/// The secrets of a drill, ready to be masked.
#[derive(Clone, Default)]
pub struct Mask {
    /// Longest first, so that a secret inside another leaves nothing of it behind.
    embedded: Vec<String>,
    alone: Vec<String>,
}

/// A value without the secrets in it.
pub fn mask(value: &Value, secrets: &Map<String, Value>) -> Value {
    Mask::new(secrets).value(value)
}

impl Mask {
    pub fn new(secrets: &Map<String, Value>) -> Self {
        let mut forms = Vec::new();
        for value in secrets.values() {
            collect(value, &mut forms);
        }
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        let (embedded, alone) = forms
            .into_iter()
            .partition(|form| form.chars().count() >= EMBEDDED_MIN);
        Self { embedded, alone }
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.embedded.is_empty() && self.alone.is_empty()
    }

    pub fn value(&self, value: &Value) -> Value {
        if self.is_empty() {
            return value.clone();
        }
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Number(_) => {
                let text = python::str(value);
                let masked = self.text(&text);
                if masked == text {
                    value.clone()
                } else {
                    Value::String(masked)
                }
            }
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, value)| (self.text(key), self.value(value)))
                    .collect(),
            ),
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }

    pub fn text(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.embedded {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), MASKED);
            }
        }
        for secret in &self.alone {
            out = replace_alone(&out, secret);
        }
        out
    }
}

/// Its secrets stay out of debug output too.
impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let secrets = self.embedded.len() + self.alone.len();
        f.debug_struct("Mask")
            .field("secrets", &secrets)
            .finish_non_exhaustive()
    }
}

/// Every form under which a secret may appear.
fn collect(value: &Value, forms: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            forms_of(text, forms);
            if text.contains('\n') {
                for line in text
                    .lines()
                    .map(str::trim)
                    .filter(|line| line.len() >= LINE_MIN)
                {
                    forms_of(line, forms);
                }
            }
        }
        Value::Number(_) => forms.push(python::str(value)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, forms)),
        Value::Object(map) => map.values().for_each(|value| collect(value, forms)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn forms_of(text: &str, forms: &mut Vec<String>) {
    if text.is_empty() {
        return;
    }
    let unquoted = |quoted: String| {
        let mut characters = quoted.chars();
        characters.next();
        characters.next_back();
        characters.as_str().to_owned()
    };
    let trimmed = text.trim();
    if !trimmed.is_empty() {
        // Outputs are often stripped before they are kept.
        forms.push(trimmed.to_owned());
    }
    forms.push(text.to_owned());
    forms.push(unquoted(Value::String(text.to_owned()).to_string()));
    forms.push(unquoted(python::repr(&Value::String(text.to_owned()))));
    forms.push(percent_encoded(text, "%20"));
    forms.push(percent_encoded(text, "+"));
}

fn percent_encoded(text: &str, space: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push_str(space),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn replace_alone(text: &str, secret: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let before = rest[..at]
            .chars()
            .next_back()
            .or_else(|| out.chars().next_back());
        let after = rest[at + secret.len()..].chars().next();
        let alone =
            !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric);
        out.push_str(&rest[..at]);
        out.push_str(if alone { MASKED } else { secret });
        rest = &rest[at + secret.len()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets() -> Map<String, Value> {
        let value = json!({
            "g": {"token": "hush-hush", "longer": "hush-hush!", "pin": 123_456, "short": "ab",
                  "special": "p@ss w\"rd", "flag": true, "none": null, "empty": "",
                  "pem": "-----BEGIN-----\nAAAABBBBCCCC\n"}
        });
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_secret_is_masked_wherever_it_stands() {
        let value = json!({
            "stdout": "token=hush-hush; hush-hush!", "n": 123_456, "text": "123456x",
            "hush-hush": ["p@ss w\"rd", "p%40ss%20w%22rd", "p%40ss+w%22rd", "p@ss w\\\"rd"],
            "key": "AAAABBBBCCCC", "flag": true, "other": 12
        });
        let masked = mask(&value, &secrets()).to_string();
        for leak in ["hush", "123456", "ss w", "p%40", "AAAA"] {
            assert!(!masked.contains(leak), "{leak} in {masked}");
        }
        assert!(
            masked.contains("\"flag\":true") && masked.contains("\"other\":12"),
            "{masked}"
        );
    }

    #[test]
    fn a_short_secret_is_masked_only_where_it_stands_alone() {
        let mask = Mask::new(&secrets());
        assert_eq!(
            mask.text("ab table ab=ab xab ab"),
            "******** table ********=******** xab ********"
        );
    }

    #[test]
    fn debug_output_shows_no_secret() {
        assert!(!format!("{:?}", Mask::new(&secrets())).contains("hush"));
    }
}
