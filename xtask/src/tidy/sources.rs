//! The files that git knows, as text.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::workspace;

#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.extension().is_some_and(|e| e == "rs")
    }

    pub(crate) fn lines_without_tests(&self) -> usize {
        self.without_tests().count()
    }

    /// The lines up to the module of unit tests, which comes last in a file.
    pub(crate) fn without_tests(&self) -> impl Iterator<Item = &str> {
        let is_integration_test = self
            .path
            .iter()
            .any(|part| part == "tests" || part == "tests.rs");
        self.text
            .lines()
            .take_while(move |l| !is_integration_test && *l != "#[cfg(test)]")
    }
}

pub(crate) fn committed(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])
    .current_dir(root);
    let names = workspace::output(&mut git).context("git ls-files failed")?;
    let files = names
        .split('\0')
        .filter(|n| !n.is_empty())
        .map(PathBuf::from);
    // A file that is not text has no lines to judge; one just removed is not there.
    Ok(files
        .filter_map(|path| {
            let text = std::fs::read_to_string(root.join(&path)).ok()?;
            Some(Source { path, text })
        })
        .collect())
}
