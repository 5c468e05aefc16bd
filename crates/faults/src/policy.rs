//! What the owner of a host allows on it, whatever a document says.
//!
//! ```yaml
//! allow: [host-reboot, host-shutdown]
//! ```
//!
//! In `/etc/firedrill/policy.yaml`, or the file that `FIREDRILL_POLICY` names. Without a file
//! nothing of this is allowed.

use std::io;
use std::path::{Path, PathBuf};

use firedrill_experiment::{Format, Source, parse};
use serde_json::Value;

/// A policy that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    path: PathBuf,
    allowed: Vec<Action>,
}

/// What is refused unless it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    HostReboot,
    HostShutdown,
}

/// Why a policy does not count: then nothing is allowed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy {} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the policy {} is not YAML: {why}", path.display())]
    Malformed { path: PathBuf, why: String },
    #[error("the policy {} has a key {key:?}; there is only `allow`", path.display())]
    UnknownKey { path: PathBuf, key: String },
    #[error(
        "the policy {} allows {found}, but knows only host-reboot and host-shutdown, in a list",
        path.display()
    )]
    UnknownAction { path: PathBuf, found: String },
}

const PLACE: &str = "/etc/firedrill/policy.yaml";

impl Policy {
    /// # Errors
    /// When there is one and it cannot be understood, or one is named and is not there.
    pub fn of_this_host() -> Result<Self, PolicyError> {
        if let Some(path) = std::env::var_os("FIREDRILL_POLICY") {
            return Self::at(Path::new(&path));
        }
        match Self::at(Path::new(PLACE)) {
            Err(PolicyError::Read { path, source }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Self {
                    path,
                    allowed: Vec::new(),
                })
            }
            other => other,
        }
    }

    /// # Errors
    /// When it cannot be read or understood.
    pub fn at(path: &Path) -> Result<Self, PolicyError> {
        let text = std::fs::read_to_string(path).map_err(|source| PolicyError::Read {
            path: path.into(),
            source,
        })?;
        let malformed = |why: String| PolicyError::Malformed {
            path: path.into(),
            why,
        };
        let source = Source::new(path.display().to_string(), text);
        let value = parse::parse_value(&source, Format::Yaml)
            .map_err(|mistakes| malformed(mistakes.lines().join("; ")))?;
        let map = match &value {
            Value::Null => return Ok(Self::allowing(path, Vec::new())),
            Value::Object(map) => map,
            _ => return Err(malformed("it is not a mapping".into())),
        };
        if let Some(key) = map.keys().find(|key| *key != "allow") {
            return Err(PolicyError::UnknownKey {
                path: path.into(),
                key: key.clone(),
            });
        }
        let unknown = |found: &Value| PolicyError::UnknownAction {
            path: path.into(),
            found: found.to_string(),
        };
        let allowed = match map.get("allow") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(words)) => words
                .iter()
                .map(|word| Action::parse(word).ok_or_else(|| unknown(word)))
                .collect::<Result<_, _>>()?,
            Some(other) => return Err(unknown(other)),
        };
        Ok(Self::allowing(path, allowed))
    }

    #[must_use]
    pub fn allows(&self, action: Action) -> bool {
        self.allowed.contains(&action)
    }

    /// Where it was read, or would have been.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn allowing(path: &Path, allowed: Vec<Action>) -> Self {
        Self {
            path: path.into(),
            allowed,
        }
    }
}

impl Action {
    fn parse(word: &Value) -> Option<Self> {
        Some(match word.as_str()? {
            "host-reboot" => Self::HostReboot,
            "host-shutdown" => Self::HostShutdown,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policy, PolicyError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Policy::at(file.path())
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let policy = read("allow: [host-reboot]\n").unwrap();
        assert!(policy.allows(Action::HostReboot));
        assert!(!policy.allows(Action::HostShutdown));
        assert!(!read("").unwrap().allows(Action::HostReboot));
        assert!(!read("allow:\n").unwrap().allows(Action::HostReboot));
    }

    #[test]
    fn what_is_not_understood_allows_nothing() {
        for text in [
            "alow: [host-reboot]",
            "allow: host-reboot",
            "allow: [reboot]",
            "- a",
            "{",
            "allow: [[]]",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(Policy::at(Path::new("/does/not/exist")).is_err());
    }
}
