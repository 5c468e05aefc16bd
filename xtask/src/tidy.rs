//! The house's rules that no compiler checks, each fault with its file and line.

mod functions;
mod sources;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::compat::RuleSet;
use crate::workspace;
use sources::Source;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write the list of long functions anew; it may only get shorter
    #[arg(long)]
    ratchet: bool,
}

/// Lines of a file without its tests.
const FILE_LINES_MAX: usize = 600;
const BANNED_NAMES: [&str; 4] = ["utils", "helpers", "manager", "common"];

/// One broken rule.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let root = workspace::root();
    let sources = sources::committed(&root)?;
    if arguments.ratchet {
        functions::write_list(&root, &sources)?;
    }
    let mut faults = functions::check(&root, &sources)?;
    for source in &sources {
        faults.extend(check_source(source));
    }
    faults.extend(check_rules_are_documented(&root)?);
    for fault in &faults {
        println!("{fault}");
    }
    println!("tidy: {} files, {} faults", sources.len(), faults.len());
    Ok(ExitCode::from(u8::from(!faults.is_empty())))
}

fn check_source(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |line: usize, what: String| {
        faults.push(Fault {
            file: source.path.clone(),
            line,
            what,
        });
    };
    for (at, text) in source.text.lines().enumerate() {
        // Written in two parts so that this file does not hold what it looks for.
        if text.contains(concat!("/wor", "k/")) {
            fault(at + 1, "names a path of the workplace".into());
        }
    }
    if !source.is_rust() {
        return faults;
    }
    let stem = source
        .path
        .file_stem()
        .map(|s| s.to_string_lossy().into_owned());
    let stem = stem.unwrap_or_default();
    if stem == "mod" {
        fault(1, "is a mod.rs; use foo.rs beside foo/".into());
    }
    let folders = source.path.iter().map(|part| part.to_string_lossy());
    for name in folders.chain([stem.as_str().into()]) {
        if BANNED_NAMES.contains(&name.as_ref()) {
            fault(1, format!("`{name}` names no idea"));
        }
    }
    let lines = source.lines_without_tests();
    if lines > FILE_LINES_MAX {
        fault(
            lines,
            format!("{lines} lines without tests, at most {FILE_LINES_MAX}"),
        );
    }
    if source.path.ends_with("src/lib.rs") && !source.text.starts_with("//!") {
        fault(1, "a lib.rs begins with its purpose (//!)".into());
    }
    faults
}

/// Every rule is a row of docs/compat.md, and every row with an id is a rule.
fn check_rules_are_documented(root: &Path) -> anyhow::Result<Vec<Fault>> {
    let page = PathBuf::from("docs/compat.md");
    let text = std::fs::read_to_string(root.join(&page)).context("docs/compat.md")?;
    let rules = RuleSet::load(&root.join("compat/rules.json"))?;
    let ids: BTreeSet<&str> = rules.ids().collect();
    let rows: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .filter_map(|(at, line)| Some((at + 1, line.strip_prefix("| `")?.split_once('`')?.0)))
        .collect();
    let known: BTreeSet<&str> = rows.iter().map(|(_, id)| *id).collect();
    let fault = |line, what| Fault {
        file: page.clone(),
        line,
        what,
    };
    let absent = ids
        .difference(&known)
        .map(|id| fault(1, format!("no row for the rule {id}")));
    let stale = rows.iter().filter(|(_, id)| !ids.contains(id));
    let stale = stale.map(|(line, id)| fault(*line, format!("{id} is no rule")));
    Ok(absent.chain(stale).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(path: &str, text: &str) -> Vec<String> {
        let source = Source {
            path: path.into(),
            text: text.into(),
        };
        check_source(&source)
            .into_iter()
            .map(|f| f.to_string())
            .collect()
    }

    #[test]
    fn a_library_without_its_purpose_is_a_fault() {
        let faults = faults_of("crates/x/src/lib.rs", "pub fn f() {}\n");
        assert_eq!(
            faults,
            ["crates/x/src/lib.rs:1: a lib.rs begins with its purpose (//!)"]
        );
        assert!(faults_of("crates/x/src/lib.rs", "//! Purpose.\n").is_empty());
    }

    #[test]
    fn a_name_without_an_idea_is_a_fault_as_file_and_as_folder() {
        assert_eq!(faults_of("crates/x/src/utils.rs", "//! X\n").len(), 1);
        assert_eq!(faults_of("crates/x/src/common/y.rs", "//! X\n").len(), 1);
    }

    #[test]
    fn tests_do_not_count_as_lines() {
        let long = format!(
            "fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n",
            "\n".repeat(900)
        );
        assert!(faults_of("crates/x/src/y.rs", &long).is_empty());
        assert_eq!(faults_of("crates/x/src/y.rs", &"\n".repeat(601)).len(), 1);
    }
}
