//! Text to [`Node`]s: JSON, and YAML 1.1 as PyYAML's `safe_load` reads it.
//!
//! What Python holds and the journal cannot is refused here with its place: NaN and infinities,
//! integers beyond 64 bits, binary, sets, Python objects.

mod json;
mod yaml;
mod yaml_scalar;

use serde_json::Value;

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::node::Node;
use crate::path::Path;
use crate::source::Source;

/// The longest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The deepest nesting.
pub const DEPTH_MAX: usize = 128;
/// The most values that a YAML document's aliases may bring in.
pub const ALIAS_NODES_MAX: usize = 200_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
}

impl Format {
    /// By a file's name; nothing for any other ending, as Chaos Toolkit.
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending {
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// # Errors
/// The first thing that is not JSON or YAML, or is over a limit.
pub fn parse(source: &Source, format: Format) -> Result<Node, Diagnostics> {
    let parsed = if source.text.len() > DOCUMENT_BYTES_MAX {
        Err(Diagnostic::error(
            Code::Limit,
            &Path::root(),
            format!(
                "the document is {} bytes long; the limit is {DOCUMENT_BYTES_MAX}",
                source.text.len()
            ),
        ))
    } else {
        match format {
            Format::Json => json::parse(source),
            Format::Yaml => yaml::parse(source),
        }
    };
    parsed.map_err(|diagnostic| Diagnostics {
        items: vec![diagnostic],
    })
}

/// As [`parse`], without the places.
///
/// # Errors
/// As [`parse`].
pub fn parse_value(source: &Source, format: Format) -> Result<Value, Diagnostics> {
    parse(source, format).map(|node| node.to_value())
}

fn too_deep() -> Diagnostic {
    Diagnostic::error(
        Code::Limit,
        &Path::root(),
        format!("nested more than {DEPTH_MAX} levels deep"),
    )
}
