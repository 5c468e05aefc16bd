//! One row of `compat/cases.json`: a document and how to run it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// What it shows, for readers of the file.
    #[serde(rename = "shows")]
    _shows: String,
    /// A file of `compat/documents`.
    pub(crate) document: String,
    #[serde(default)]
    pub(crate) command: Subcommand,
    /// `@FILES@` stands for a copy of `compat/files`.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// A file of `compat/settings`.
    pub(crate) settings: Option<String>,
    /// Load the document from the test service instead of from the file.
    pub(crate) url: Option<String>,
    pub(crate) signal: Option<Signal>,
    /// Compare the notifications that the test service received.
    #[serde(default)]
    pub(crate) received: bool,
    /// Files that the run leaves in its directory, compared as well.
    #[serde(default)]
    pub(crate) files: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subcommand {
    #[default]
    Run,
    Validate,
}

/// A signal to the tool's process, once a file has appeared in its directory.
#[derive(Debug, Deserialize)]
pub(crate) struct Signal {
    pub(crate) name: String,
    pub(crate) marker: String,
}

pub(crate) fn load(path: &Path, filter: Option<&str>) -> anyhow::Result<Vec<Case>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let cases: Vec<Case> =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let wanted = filter.unwrap_or_default();
    Ok(cases
        .into_iter()
        .filter(|c| c.name.contains(wanted))
        .collect())
}
