//! Recovery at boot, for effects that a reboot does not end: a oneshot unit of systemd that runs
//! `firedrill recover`.
//!
//! Written and linked as `systemctl enable` would, without asking systemd, which reads it at the
//! next boot. Source: systemd.unit(5), systemd.service(5), sd_booted(3).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::state::StateDir;

/// Where units are, below a root.
#[derive(Clone, Debug)]
pub struct BootRecovery {
    root: PathBuf,
}

/// Why it could not be installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    #[error("this host was not booted with systemd, so nothing would run the recovery at boot")]
    NoSystemd,
    #[error("{path:?} cannot be written in a unit of systemd")]
    PathUnusable { path: PathBuf },
    #[error("cannot {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

const UNIT: &str = "firedrill-recover.service";
const UNITS: &str = "etc/systemd/system";
const WANTED_BY: &str = "multi-user.target.wants";

impl BootRecovery {
    /// Of this host.
    #[must_use]
    pub fn here() -> Self {
        Self::under("/")
    }

    #[must_use]
    pub fn under(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Registers a recovery of this state directory by this program; what was written, in order.
    /// One that is registered already is replaced.
    ///
    /// # Errors
    /// Without systemd, or without the right to write its units.
    pub fn install(&self, program: &Path, state: &StateDir) -> Result<Vec<PathBuf>, BootError> {
        if !self.root.join("run/systemd/system").is_dir() {
            return Err(BootError::NoSystemd);
        }
        let text = unit(program, state.path())?;
        let (file, link) = (self.file(), self.link());
        for directory in [file.parent(), link.parent()].into_iter().flatten() {
            fs::create_dir_all(directory).map_err(failed("create", directory))?;
        }
        fs::write(&file, text).map_err(failed("write", &file))?;
        if fs::symlink_metadata(&link).is_ok() {
            fs::remove_file(&link).map_err(failed("remove", &link))?;
        }
        std::os::unix::fs::symlink(Path::new("/").join(UNITS).join(UNIT), &link)
            .map_err(failed("create", &link))?;
        Ok(vec![file, link])
    }

    /// What was removed; nothing when nothing was registered.
    ///
    /// # Errors
    /// Without the right to.
    pub fn uninstall(&self) -> Result<Vec<PathBuf>, BootError> {
        let mut removed = Vec::new();
        for path in [self.link(), self.file()] {
            match fs::remove_file(&path) {
                Ok(()) => removed.push(path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(failed("remove", &path)(source));
                }
            }
        }
        Ok(removed)
    }

    /// Whether the next boot recovers this state directory: systemd is there, the unit is enabled,
    /// and its program still exists.
    #[must_use]
    pub fn covers(&self, state: &Path) -> bool {
        let Ok(text) = fs::read_to_string(self.file()) else {
            return false;
        };
        let program = text
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart=")?.strip_suffix(" recover"))
            .map(|word| PathBuf::from(unquoted(word)));
        self.root.join("run/systemd/system").is_dir()
            && fs::symlink_metadata(self.link()).is_ok()
            && program.is_some_and(|program| {
                program.is_file() && unit(&program, state).is_ok_and(|expected| expected == text)
            })
    }

    fn file(&self) -> PathBuf {
        self.root.join(UNITS).join(UNIT)
    }

    fn link(&self) -> PathBuf {
        self.root.join(UNITS).join(WANTED_BY).join(UNIT)
    }
}

/// Whether the next boot of this host undoes what is left in this state directory.
#[must_use]
pub fn recovery_at_boot_installed(state: &StateDir) -> bool {
    BootRecovery::here().covers(state.path())
}

/// After the engines, without whose answer a container cannot be started again.
fn unit(program: &Path, state: &Path) -> Result<String, BootError> {
    let mut variable = PathBuf::from("FIREDRILL_STATE_DIR=").into_os_string();
    variable.push(state);
    let variable = quoted(Path::new(&variable))?;
    let program = quoted(program)?;
    Ok(format!(
        "[Unit]\n\
         Description=Undo what Firedrill's drills left at the last shutdown\n\
         After=local-fs.target docker.service podman.socket\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         Environment={variable}\n\
         ExecStart={program} recover\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    ))
}

/// One word of a unit. Specifiers and variables are not wanted in it (systemd.service(5)).
fn quoted(path: &Path) -> Result<String, BootError> {
    let text = path
        .to_str()
        .filter(|text| !text.contains(char::is_control));
    let text = text.ok_or_else(|| BootError::PathUnusable { path: path.into() })?;
    let mut word = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => word.push('\\'),
            '%' | '$' => word.push(letter),
            _ => {}
        }
        word.push(letter);
    }
    word.push('"');
    Ok(word)
}

fn unquoted(word: &str) -> String {
    let inner = word
        .strip_prefix('"')
        .and_then(|word| word.strip_suffix('"'));
    let mut text = String::new();
    let mut letters = inner.unwrap_or(word).chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' | '%' | '$' => text.extend(letters.next()),
            _ => text.push(letter),
        }
    }
    text
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BootError {
    let path = path.to_owned();
    move |source| BootError::Io {
        doing,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> (tempfile::TempDir, BootRecovery, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
        let program = root.path().join("fire drill 5%$");
        fs::write(&program, "").unwrap();
        let boot = BootRecovery::under(root.path());
        (root, boot, program)
    }

    #[test]
    fn it_covers_what_was_installed_until_it_is_removed() {
        let (root, boot, program) = host();
        let state = StateDir::at("/var/lib/firedrill");
        assert!(!boot.covers(state.path()));
        let written = boot.install(&program, &state).unwrap();
        assert_eq!(written.len(), 2);
        assert!(boot.covers(state.path()));
        assert!(!boot.covers(Path::new("/elsewhere")));
        let target = fs::read_link(&written[1]).unwrap();
        assert_eq!(
            target,
            Path::new("/etc/systemd/system/firedrill-recover.service")
        );
        let text = fs::read_to_string(&written[0]).unwrap();
        assert!(text.contains("fire drill 5%%$$\" recover"), "{text}");
        boot.install(&program, &state).unwrap();
        assert!(boot.covers(state.path()), "installed twice");
        assert_eq!(boot.uninstall().unwrap().len(), 2);
        assert!(!boot.covers(state.path()));
        assert!(boot.uninstall().unwrap().is_empty());
        drop(root);
    }

    #[test]
    fn a_program_that_was_removed_covers_nothing() {
        let (_root, boot, program) = host();
        let state = StateDir::at("/var/lib/firedrill");
        boot.install(&program, &state).unwrap();
        fs::remove_file(program).unwrap();
        assert!(!boot.covers(state.path()));
    }

    #[test]
    fn without_systemd_it_is_refused_and_nothing_is_written() {
        let root = tempfile::tempdir().unwrap();
        let boot = BootRecovery::under(root.path());
        let refused = boot.install(Path::new("/bin/true"), &StateDir::at("/s"));
        assert!(matches!(refused, Err(BootError::NoSystemd)));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_path_with_a_line_break_is_refused() {
        let (_root, boot, program) = host();
        let refused = boot.install(&program, &StateDir::at("/a\nExecStart=/bin/false"));
        assert!(matches!(refused, Err(BootError::PathUnusable { .. })));
    }
}
