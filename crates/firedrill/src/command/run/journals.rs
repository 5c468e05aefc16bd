//! Where journals go, and how they get there.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use firedrill_experiment::journal::Journal;

use super::Document;

/// `{name}` stands for the document's name. Of several drills, each has a journal of its own.
pub(super) fn path(template: &Path, document: &Document, repetition: u32, many: bool) -> PathBuf {
    let text = template.to_string_lossy();
    let name = document.short_name();
    let number = if repetition > 0 {
        format!("-{}", repetition + 1)
    } else {
        String::new()
    };
    if text.contains("{name}") {
        return PathBuf::from(text.replace("{name}", &format!("{name}{number}")));
    }
    if !many {
        return template.to_path_buf();
    }
    let stem = template.file_stem().unwrap_or_default().to_string_lossy();
    let extension = template
        .extension()
        .map(|ext| format!(".{}", ext.to_string_lossy()))
        .unwrap_or_default();
    template.with_file_name(format!("{stem}-{name}{number}{extension}"))
}

/// Indented by two, as Chaos Toolkit writes it.
pub(in crate::command) fn write(path: &Path, journal: &Journal) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(journal)?;
    text.push(b'\n');
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        std::fs::create_dir_all(parent)?;
    }
    let mut file = File::create(path)?;
    file.write_all(&text)?;
    file.sync_all()
}
