//! The ratchet on long functions: those in the list may only get shorter and fewer.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use super::Fault;
use super::sources::Source;

const LINES_MAX: usize = 70;
const LIST: &str = "xtask/long-functions.txt";

#[derive(Debug)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// Long functions that are not in the list, or longer than it says, or gone from the code.
pub(super) fn check(root: &Path, sources: &[Source]) -> anyhow::Result<Vec<Fault>> {
    let mut allowed = read_list(root)?;
    let mut faults = Vec::new();
    for (source, function) in long_functions(sources) {
        let key = key(source, &function);
        let limit = allowed.remove(&key).map_or(LINES_MAX, |(_, lines)| lines);
        if function.lines != limit {
            let (name, lines) = (&function.name, function.lines);
            let what = if lines > limit {
                format!("`{name}` has {lines} lines, at most {limit}")
            } else {
                format!("`{name}` is down to {lines} lines; run `cargo xtask tidy --ratchet`")
            };
            faults.push(Fault {
                file: source.path.clone(),
                line: function.line,
                what,
            });
        }
    }
    faults.extend(allowed.into_iter().map(|(key, (line, _))| Fault {
        file: LIST.into(),
        line,
        what: format!("{key} is no longer too long; run `cargo xtask tidy --ratchet`"),
    }));
    Ok(faults)
}

/// Writes the list with what is there now, but never a new entry or a longer one.
pub(super) fn write_list(root: &Path, sources: &[Source]) -> anyhow::Result<()> {
    let allowed = read_list(root)?;
    let kept = long_functions(sources).filter_map(|(source, function)| {
        let key = key(source, &function);
        let (_, limit) = allowed.get(&key)?;
        Some(format!("{} {key}\n", function.lines.min(*limit)))
    });
    let text: String = kept.collect();
    std::fs::write(root.join(LIST), text).context(LIST)
}

fn read_list(root: &Path) -> anyhow::Result<BTreeMap<String, (usize, usize)>> {
    let text = std::fs::read_to_string(root.join(LIST)).context(LIST)?;
    let entries = text.lines().enumerate().map(|(at, line)| {
        let (lines, key) = line
            .split_once(' ')
            .with_context(|| format!("{LIST}:{}", at + 1))?;
        Ok((key.to_owned(), (at + 1, lines.parse()?)))
    });
    entries.collect()
}

fn key(source: &Source, function: &Function) -> String {
    format!("{}:{}", source.path.display(), function.name)
}

fn long_functions(sources: &[Source]) -> impl Iterator<Item = (&Source, Function)> {
    let rust = sources.iter().filter(|s| s.is_rust());
    rust.flat_map(|source| {
        let lines: Vec<&str> = source.without_tests().collect();
        let found = functions(&lines)
            .into_iter()
            .filter(|f| f.lines > LINES_MAX);
        found.map(move |f| (source, f)).collect::<Vec<_>>()
    })
}

/// By indentation: rustfmt puts a function's closing brace under its first letter.
fn functions(lines: &[&str]) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = name_of_function(line) else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let length = lines[at..].iter().position(|l| *l == end);
        if let Some(length) = length {
            found.push(Function {
                name,
                line: at + 1,
                lines: length + 1,
            });
        }
    }
    found
}

fn name_of_function(line: &str) -> Option<String> {
    let text = line.trim_start();
    let before = text.split("fn ").next()?;
    let is_function = before
        .split_whitespace()
        .all(|w| w.starts_with("pub") || ["async", "const", "unsafe", "extern"].contains(&w));
    if !is_function || text.starts_with("//") {
        return None;
    }
    let after = text.get(before.len() + 3..)?;
    // One that begins and ends on its line is never long.
    if after.ends_with(';') || after.ends_with('}') {
        return None;
    }
    let name: String = after
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_ends_at_the_brace_under_its_first_letter() {
        let text = "    pub(crate) async fn f(\n        a: u8,\n    ) {\n        g(|| {\n        })\n    }\nfn g() {}\n";
        let lines: Vec<&str> = text.lines().collect();
        let found = functions(&lines);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].name.as_str(), found[0].line, found[0].lines),
            ("f", 1, 6)
        );
    }
}
