//! Chaos Toolkit's settings file, usually `~/.chaostoolkit/settings.yaml`.
//!
//! Values are taken as they stand: like Chaos Toolkit, this puts no variables into them.

use std::io;
use std::path::{Path, PathBuf};

use firedrill_experiment::Source;
use firedrill_experiment::parse::{DOCUMENT_BYTES_MAX, Format, parse_value};
use serde_json::{Map, Value};

/// What the file says, or nothing where there is none. May hold credentials: its `Debug` does not.
#[derive(Clone, Default, PartialEq)]
pub struct Settings {
    raw: Map<String, Value>,
}

/// How to introduce oneself to a server that holds documents.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// `basic`, `bearer`, …: the first word of the `Authorization` header.
    pub scheme: String,
    pub value: String,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("the settings {} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the settings {} are longer than {DOCUMENT_BYTES_MAX} bytes", path.display())]
    TooLong { path: PathBuf },
    #[error("the settings {} are not YAML: {}", path.display(), mistakes.join("; "))]
    Malformed {
        path: PathBuf,
        mistakes: Vec<String>,
    },
    #[error("the settings {} are not a mapping", path.display())]
    NotAMapping { path: PathBuf },
}

impl Settings {
    /// Where Chaos Toolkit looks; absent without a home directory.
    pub fn default_path() -> Option<PathBuf> {
        std::env::var_os("HOME").map(|home| Path::new(&home).join(".chaostoolkit/settings.yaml"))
    }

    /// A file that does not exist, or is empty, is no settings at all.
    ///
    /// # Errors
    /// A file that is there and cannot be read or understood.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let owned = || path.to_path_buf();
        let text = match std::fs::metadata(path) {
            Ok(metadata) if metadata.len() > DOCUMENT_BYTES_MAX as u64 => {
                return Err(SettingsError::TooLong { path: owned() });
            }
            Ok(_) => std::fs::read_to_string(path),
            Err(error) => Err(error),
        };
        let text = match text {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.map_err(|source| SettingsError::Read {
                path: owned(),
                source,
            })?,
        };
        if text
            .lines()
            .all(|line| matches!(line.trim_start().chars().next(), None | Some('#')))
        {
            return Ok(Self::default());
        }
        match parse_value(&Source::new(path.display().to_string(), text), Format::Yaml) {
            Ok(Value::Object(raw)) => Ok(Self { raw }),
            Ok(Value::Null) => Ok(Self::default()),
            Ok(_) => Err(SettingsError::NotAMapping { path: owned() }),
            Err(mistakes) => Err(SettingsError::Malformed {
                path: owned(),
                mistakes: mistakes.lines(),
            }),
        }
    }

    /// All of it, for Python controls that ask for their `settings`.
    pub fn raw(&self) -> &Map<String, Value> {
        &self.raw
    }

    /// `auths` entry of a server, by `host` or `host:port` as the URL writes it.
    pub fn auth(&self, authority: &str) -> Option<Auth> {
        let entry = self.raw.get("auths")?.get(authority)?;
        let text = |key: &str| entry.get(key)?.as_str().map(str::to_owned);
        Some(Auth {
            scheme: text("type")?,
            value: text("value")?,
        })
    }

    /// The channels to tell, as they stand.
    pub fn notifications(&self) -> &[Value] {
        self.raw
            .get("notifications")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Controls of every drill, by name.
    pub fn controls(&self) -> Option<&Map<String, Value>> {
        self.raw.get("controls")?.as_object()
    }

    /// `runtime.hypothesis.strategy`, unchecked.
    pub fn hypothesis_strategy(&self) -> Option<&str> {
        self.strategy("hypothesis")
    }

    /// `runtime.rollbacks.strategy`, unchecked.
    pub fn rollback_strategy(&self) -> Option<&str> {
        self.strategy("rollbacks")
    }

    fn strategy(&self, of: &str) -> Option<&str> {
        self.raw.get("runtime")?.get(of)?.get("strategy")?.as_str()
    }
}

impl From<Map<String, Value>> for Settings {
    fn from(raw: Map<String, Value>) -> Self {
        Self { raw }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("keys", &self.raw.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, SettingsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Settings::load(file.path())
    }

    #[test]
    fn no_file_and_an_empty_one_are_no_settings() {
        assert_eq!(
            Settings::load(Path::new("/firedrill/no/settings.yaml")).unwrap(),
            Settings::default()
        );
        assert_eq!(load("").unwrap(), Settings::default());
        assert_eq!(load("# nothing yet\n\n").unwrap(), Settings::default());
    }

    #[test]
    fn every_part_is_found() {
        let settings = load(
            "auths:\n  h.test:8443:\n    type: bearer\n    value: hush\n\
             notifications:\n- type: http\n  url: http://h.test\n\
             controls:\n  c:\n    provider: {type: python, module: m}\n\
             runtime:\n  rollbacks:\n    strategy: always\n  hypothesis: {strategy: continuously}\n",
        )
        .unwrap();
        let auth = settings.auth("h.test:8443").unwrap();
        assert_eq!(
            (auth.scheme.as_str(), auth.value.as_str()),
            ("bearer", "hush")
        );
        assert!(settings.auth("h.test").is_none());
        assert_eq!(settings.notifications().len(), 1);
        assert!(settings.controls().unwrap().contains_key("c"));
        assert_eq!(settings.rollback_strategy(), Some("always"));
        assert_eq!(settings.hypothesis_strategy(), Some("continuously"));
        assert!(!format!("{settings:?} {auth:?}").contains("hush"));
    }

    #[test]
    fn what_cannot_be_understood_is_an_error_that_names_the_file() {
        assert!(matches!(
            load("a: [").unwrap_err(),
            SettingsError::Malformed { .. }
        ));
        assert!(matches!(
            load("- a").unwrap_err(),
            SettingsError::NotAMapping { .. }
        ));
        let error = Settings::load(Path::new("/")).unwrap_err();
        assert!(matches!(error, SettingsError::Read { .. }), "{error}");
    }
}
