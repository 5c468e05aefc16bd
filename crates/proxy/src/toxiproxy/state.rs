//! The file that keeps proxies and toxics over a restart.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;

use super::collection::ProxyView;
use super::config::{ConfigError, ProxyConfig, read};

/// A file that always holds the whole of what was last answered, in the form of a configuration.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
}

/// Why a file's proxies are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("cannot read {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} is not as it was written: {source}")]
    Form { path: PathBuf, source: ConfigError },
}

impl StateFile {
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// The proxies it holds; none if there is no such file yet.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else.
    pub fn proxies(&self) -> Result<Vec<ProxyConfig>, StateError> {
        let path = || self.path.clone();
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(StateError::Read {
                    path: path(),
                    source,
                });
            }
        };
        read(&text).map_err(|source| StateError::Form {
            path: path(),
            source,
        })
    }

    /// Replaces what it holds. A reader, or a power cut, meets the old or the new, never a part.
    pub(super) fn write(&self, proxies: &[ProxyView]) -> std::io::Result<()> {
        let kept: Vec<ProxyView> = proxies.iter().map(kept).collect();
        let text = serde_json::to_string_pretty(&kept)?;
        let mut file = AtomicWriteFile::open(&self.path)?;
        file.write_all(text.as_bytes())?;
        file.commit()
    }
}

/// Without what is not for the next start.
fn kept(proxy: &ProxyView) -> ProxyView {
    let mut kept = proxy.clone();
    kept.toxics.retain(|toxic| toxic.kept);
    kept.split = kept.split.filter(|split| split.kept);
    kept
}
