//! Collects every mistake while a document is lowered.

use serde_json::{Map, Value};

use super::Strictness;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use crate::path::Path;
use crate::python::type_name;

pub(super) struct Reader {
    pub(super) diagnostics: Diagnostics,
    strictness: Strictness,
}

impl Reader {
    pub(super) fn new(strictness: Strictness) -> Self {
        Self {
            diagnostics: Diagnostics::default(),
            strictness,
        }
    }

    /// A reader whose findings are dropped: for what is reported at its own place.
    pub(super) fn silent(&self) -> Self {
        Self::new(self.strictness)
    }

    pub(super) fn error(&mut self, code: Code, path: &Path, message: impl Into<String>) {
        self.diagnostics
            .push(Diagnostic::error(code, path, message));
    }

    pub(super) fn warning(&mut self, code: Code, path: &Path, message: impl Into<String>) {
        self.diagnostics
            .push(Diagnostic::warning(code, path, message));
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// A rule of validation: a warning when validation is off.
    pub(super) fn rule(&mut self, mut diagnostic: Diagnostic) {
        if self.strictness == Strictness::Lenient {
            diagnostic.severity = Severity::Warning;
        }
        self.diagnostics.push(diagnostic);
    }

    /// A mapping, or an error.
    pub(super) fn map<'a>(
        &mut self,
        value: &'a Value,
        path: &Path,
    ) -> Option<&'a Map<String, Value>> {
        let map = value.as_object();
        if map.is_none() {
            self.wrong_type(path, "a mapping", value);
        }
        map
    }

    /// A list under a key; nothing when absent or null.
    pub(super) fn list<'a>(
        &mut self,
        map: &'a Map<String, Value>,
        key: &str,
        path: &Path,
    ) -> &'a [Value] {
        match map.get(key) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.wrong_type(&path.key(key), "a list", other);
                &[]
            }
        }
    }

    /// A string that is not empty, required by validation.
    pub(super) fn required_text(
        &mut self,
        map: &Map<String, Value>,
        key: &str,
        path: &Path,
        message: &str,
    ) -> String {
        match map.get(key) {
            Some(Value::String(text)) if !text.is_empty() => return text.clone(),
            None | Some(Value::Null) => {
                self.rule(Diagnostic::error(Code::Missing, &path.key(key), message));
            }
            Some(Value::String(_)) => {
                self.rule(
                    Diagnostic::error(Code::Missing, &path.key(key), message).hint("it is empty"),
                );
            }
            Some(other) => {
                let found = format!("`{key}` must be a string, not a {}", type_name(other));
                self.rule(Diagnostic::error(Code::Type, &path.key(key), found));
                return crate::python::str(other);
            }
        }
        String::new()
    }

    pub(super) fn wrong_type(&mut self, path: &Path, expected: &str, found: &Value) {
        let message = format!("expected {expected}, found a {}", type_name(found));
        self.error(Code::Type, path, message);
    }

    /// Keys nobody reads are ignored, as Chaos Toolkit does; one that looks like a slip is told.
    pub(super) fn known_keys(&mut self, map: &Map<String, Value>, path: &Path, known: &[&str]) {
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            let close = nearest(
                key,
                known
                    .iter()
                    .copied()
                    .filter(|name| !map.contains_key(*name)),
            );
            if let Some(close) = close {
                self.push(
                    Diagnostic::warning(
                        Code::UnknownKey,
                        &path.key(key),
                        format!("nobody reads the key `{key}`"),
                    )
                    .hint(format!("did you mean `{close}`?")),
                );
            }
        }
    }
}

/// The name a slip of the fingers away, if there is one.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_lowercase().replace('_', "-");
    names
        .map(|name| {
            (
                strsim::damerau_levenshtein(&folded, &name.to_lowercase().replace('_', "-")),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= (name.chars().count() / 4).clamp(1, 3))
        .min()
        .map(|(_, name)| name)
}

/// `: one of a, b, c`, and the nearest as a hint.
pub(super) fn not_one_of(path: &Path, what: &str, found: &str, names: &[&str]) -> Diagnostic {
    let message = format!("unknown {what} `{found}`: one of {}", names.join(", "));
    let diagnostic = Diagnostic::error(Code::Value, path, message);
    match nearest(found, names.iter().copied()) {
        Some(close) => diagnostic.hint(format!("did you mean `{close}`?")),
        None => diagnostic,
    }
}
