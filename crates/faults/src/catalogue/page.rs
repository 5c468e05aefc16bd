//! The catalogue as a page of the manual, so that it cannot go stale.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Entry, Parameter, ParameterKind, UndoClass, catalogue};

/// The page in Markdown: an overview, then each fault.
#[must_use]
pub fn page() -> String {
    let entries = catalogue();
    let mut page = String::from(
        "# Catalogue of faults\n\n\
         Written by the program: a test keeps it true. \
         `firedrill faults NAME` shows the same, and `firedrill doctor` says what works on your \
         host.\n",
    );
    for entry in &entries {
        let first_of_layer = std::ptr::eq(
            entry,
            entries
                .iter()
                .find(|other| other.layer == entry.layer)
                .unwrap_or(entry),
        );
        if first_of_layer {
            heading(&mut page, entry.layer, &entries);
        }
    }
    for entry in &entries {
        fault(&mut page, entry);
    }
    page
}

fn heading(page: &mut String, layer: &str, entries: &[Entry]) {
    let mut title = layer.to_owned();
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let _ = writeln!(
        page,
        "\n## {title}\n\n| fault | what it does | undo |\n|---|---|---|"
    );
    for entry in entries.iter().filter(|entry| entry.layer == layer) {
        let _ = writeln!(
            page,
            "| [`{}`](#{}) | {} | {} |",
            entry.name,
            anchor(entry.name),
            cell(entry.summary),
            undo(entry.undo),
        );
    }
}

fn fault(page: &mut String, entry: &Entry) {
    let _ = writeln!(
        page,
        "\n## {}\n\n{}.\n",
        entry.name,
        sentence(entry.summary)
    );
    if !entry.parameters.is_empty() {
        page.push_str("| parameter | values | default | meaning |\n|---|---|---|---|\n");
        for parameter in &entry.parameters {
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} |",
                parameter.name,
                cell(&values(parameter)),
                default(parameter),
                cell(parameter.summary),
            );
        }
        page.push('\n');
    }
    let targets: Vec<String> = entry.targets.iter().map(ToString::to_string).collect();
    let mut row = |name: &str, text: &str| {
        let _ = writeln!(page, "- **{name}:** {text}");
    };
    row("targets", &targets.join(", "));
    row("needs", &or_nothing(&entry.needs));
    row("mechanism", &entry.mechanisms.join("; else "));
    row("undo", undo(entry.undo));
    row("when its owner is dead", entry.recovery_path);
    row("observed", entry.observed_effect);
    let target = entry.targets.first().map_or("", |kind| kind.example());
    let words = ["firedrill inject", entry.name, entry.example];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let _ = writeln!(
        page,
        "\n```sh\n{} --target {target} --for 10s\n```",
        words.join(" ")
    );
}

fn values(parameter: &Parameter) -> String {
    let kind = match parameter.kind {
        ParameterKind::Choice | ParameterKind::List | ParameterKind::Object => "",
        ParameterKind::Boolean => "true or false",
        ParameterKind::Number => "a number",
        ParameterKind::Duration => "a time",
        ParameterKind::Size => "a size",
        ParameterKind::Text => "words",
        ParameterKind::Command => "a command",
    };
    // Bounds that are a sentence of their own say the kind, too.
    let told = parameter
        .bounds
        .is_some_and(|bounds| bounds.starts_with("a ") || bounds.starts_with("an "));
    let kind = if told { "" } else { kind };
    let parts = [Some(kind), parameter.bounds, parameter.unit];
    let parts: Vec<&str> = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(", ")
}

fn default(parameter: &Parameter) -> String {
    match &parameter.default {
        _ if parameter.required => "required".into(),
        None => String::new(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(value) => format!("`{value}`"),
    }
}

fn undo(class: UndoClass) -> &'static str {
    match class {
        UndoClass::Reversible => "reversible",
        UndoClass::Replaced => "replaced",
        UndoClass::Irreversible => "irreversible",
    }
}

fn or_nothing(needs: &[&str]) -> String {
    if needs.is_empty() {
        return "nothing".into();
    }
    needs.join("; ")
}

/// As mdBook makes anchors of headings: without the points.
fn anchor(name: &str) -> String {
    name.replace('.', "")
}

/// A table's cell must not hold its own border.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn sentence(text: &str) -> String {
    let mut sentence = text.to_owned();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}
