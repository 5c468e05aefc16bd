//! A mistake, its place and what to do about it.

use std::fmt::Write as _;

use crate::path::Path;
use crate::source::{Source, Span};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look; the document still runs.
    Warning,
    /// The document does not run.
    Error,
}

/// What kind of mistake, for callers that treat some apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The text is not JSON or YAML.
    Syntax,
    /// Too long, too deep, too many aliases.
    Limit,
    /// A number or value that the journal could not hold.
    Unrepresentable,
    /// Something required is missing or empty.
    Missing,
    /// Of the wrong type.
    Type,
    /// Of the right type, with a value that cannot be.
    Value,
    /// A key nobody reads; Chaos Toolkit ignores those too.
    UnknownKey,
    /// A `ref` that leads nowhere.
    Reference,
    /// Chaos Toolkit accepts it and then does something else than it seems to say.
    Surprise,
    /// Nothing is wrong with the document; something that it needs is not here.
    Surroundings,
    /// A fault of ours without `blast-radius`: allowed in the demo only.
    BlastRadiusMissing,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub code: Code,
    pub path: Path,
    pub message: String,
    /// Where in the source; absent when the document had no text of its own.
    pub span: Option<Span>,
    pub hint: Option<String>,
}

/// Everything found in one document, in document order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Diagnostics {
    pub items: Vec<Diagnostic>,
}

impl Diagnostic {
    pub fn error(code: Code, path: &Path, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, path, message)
    }

    pub fn warning(code: Code, path: &Path, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, path, message)
    }

    fn new(severity: Severity, code: Code, path: &Path, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            path: path.clone(),
            message: message.into(),
            span: None,
            hint: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }
}

impl Diagnostics {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.items.push(diagnostic);
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items
            .iter()
            .filter(|item| item.severity == Severity::Error)
    }

    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items
            .iter()
            .filter(|item| item.severity == Severity::Warning)
    }

    /// Plain text for people: `file:line:col: error: message`, the line with carets, the hint.
    pub fn render(&self, source: &Source) -> String {
        let mut out = String::new();
        for item in self.items.iter().take(RENDERED_MAX) {
            render_one(&mut out, item, source);
        }
        if self.items.len() > RENDERED_MAX {
            let more = self.items.len() - RENDERED_MAX;
            out.push_str(&format!("{}: and {more} more\n", source.name));
        }
        out
    }

    /// One line each, for documents without a text of their own.
    pub fn lines(&self) -> Vec<String> {
        self.items
            .iter()
            .map(|item| {
                let path = item.path.to_string();
                let place = if path.is_empty() {
                    path
                } else {
                    format!("{path}: ")
                };
                let hint = item
                    .hint
                    .as_ref()
                    .map_or(String::new(), |hint| format!(" ({hint})"));
                format!("{}: {place}{}{hint}", word(item.severity), item.message)
            })
            .collect()
    }

    /// In the order of the text, so that a reader walks the document once.
    pub(crate) fn sort(&mut self) {
        self.items
            .sort_by_key(|item| item.span.map_or(0, |span| span.start));
    }
}

/// The most mistakes rendered; the rest are counted.
const RENDERED_MAX: usize = 100;
/// The most characters of a source line shown; the rest of a minified document helps nobody.
const LINE_SHOWN_MAX: usize = 160;

fn render_one(out: &mut String, item: &Diagnostic, source: &Source) {
    let path = item.path.to_string();
    let suffix = if path.is_empty() {
        String::new()
    } else {
        format!(" (at {path})")
    };
    // Writing to a String cannot fail.
    let _ = match item.span {
        Some(span) => {
            let place = source.line_column(span.start);
            let _ = writeln!(
                out,
                "{}:{}:{}: {}: {}{suffix}",
                source.name,
                place.line,
                place.column,
                word(item.severity),
                item.message
            );
            render_line(out, source, span)
        }
        None => writeln!(
            out,
            "{}: {}: {}{suffix}",
            source.name,
            word(item.severity),
            item.message
        ),
    };
    if let Some(hint) = &item.hint {
        let _ = writeln!(out, "  hint: {hint}");
    }
}

fn render_line(out: &mut String, source: &Source, span: Span) -> std::fmt::Result {
    let place = source.line_column(span.start);
    let characters: Vec<char> = source.line_at(span.start).chars().collect();
    let before = place.column - 1;
    // A window around the place, so that a minified line stays readable.
    let from = before.saturating_sub(LINE_SHOWN_MAX / 2);
    let shown: String = characters
        .iter()
        .skip(from)
        .take(LINE_SHOWN_MAX)
        .map(|&c| if c.is_control() { ' ' } else { c })
        .collect();
    let end = source.floor(span.end).max(source.floor(span.start));
    let wide = source.text[source.floor(span.start)..end]
        .chars()
        .take_while(|&c| c != '\n')
        .take(LINE_SHOWN_MAX - (before - from).min(LINE_SHOWN_MAX))
        .count()
        .max(1);
    writeln!(out, "    {}", shown.trim_end())?;
    writeln!(out, "    {}{}", " ".repeat(before - from), "^".repeat(wide))
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_beyond_a_hundred_are_counted() {
        let one = Diagnostic::error(Code::Missing, &Path::root(), "x");
        let all = Diagnostics {
            items: vec![one; 103],
        };
        let rendered = all.render(&Source::new("e.json", "{}"));
        assert_eq!(rendered.lines().count(), 101);
        assert!(rendered.ends_with("e.json: and 3 more\n"), "{rendered}");
    }

    #[test]
    fn a_mistake_shows_its_line_and_a_hint() {
        let source = Source::new("e.json", "{\n  \"titel\": 1\n}");
        let mut all = Diagnostics::default();
        all.push(
            Diagnostic::error(
                Code::Missing,
                &Path::root().key("title"),
                "a title is required",
            )
            .at(Span::new(4, 11))
            .hint("did you mean `title`?"),
        );
        assert_eq!(
            all.render(&source),
            "e.json:2:3: error: a title is required (at title)\n      \"titel\": 1\n      ^^^^^^^\n  hint: did you mean `title`?\n"
        );
    }
}
