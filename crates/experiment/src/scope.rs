//! The names a document may use: configuration, secrets, registered outputs.

mod convert;
mod loading;
mod overrides;
mod secrets;

use serde_json::{Map, Value};

pub use loading::{Dynamic, Loading, load_configuration};
pub use overrides::{VarFile, VarFileFormat, parse_var, parse_var_file};
pub use secrets::{Secrets, VaultRef, load_secrets};

use crate::path::Path;

/// What `${name}` stands for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scope {
    pub configuration: Map<String, Value>,
    /// Group by group, as in the document.
    pub secrets: Map<String, Value>,
    /// Outputs kept by `register`; they fill names that nothing else knows.
    pub registered: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScopeError {
    #[error("{place} reads the environment variable {variable}, which is not set")]
    EnvironmentMissing { place: Path, variable: String },
    #[error("{place} has no {key:?}")]
    KeyMissing { place: Path, key: &'static str },
    #[error("{place} cannot be read as {kind}: {value}")]
    Conversion {
        place: Path,
        kind: String,
        value: String,
    },
    #[error("{place}: unknown type `{kind}`: use str, int, float, bytes, bool or json")]
    UnknownType { place: Path, kind: String },
    #[error("{place} is a secret without a group: write `secrets: {{group: {{key: …}}}}`")]
    SecretWithoutGroup { place: Path },
    #[error("{place}: {message}")]
    Provider { place: Path, message: String },
    #[error("`{0}` is not of the form name[:type]=value")]
    Variable(String),
    #[error("variable file {name}: {message}")]
    VarFile { name: String, message: String },
}

impl Scope {
    /// The value of a name: configuration first, then the secret groups in order, then outputs.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.configuration
            .get(name)
            .or_else(|| {
                self.secrets
                    .values()
                    .filter_map(Value::as_object)
                    .find_map(|group| group.get(name))
            })
            .or_else(|| self.registered.get(name))
    }

    /// Chaos Toolkit leaves arguments alone when there is nothing to fill in, even `$$`.
    pub fn is_empty(&self) -> bool {
        self.configuration.is_empty() && self.secrets.is_empty() && self.registered.is_empty()
    }

    /// The named groups as one mapping, later ones over earlier ones: what Python functions get.
    pub fn secret_groups(&self, groups: &[String]) -> Map<String, Value> {
        groups
            .iter()
            .filter_map(|group| self.secrets.get(group)?.as_object())
            .flat_map(|group| group.clone())
            .collect()
    }
}
