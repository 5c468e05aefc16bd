//! Which Python: the one whose packages the author of the document meant.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::provider::process::find;

/// A shebang is longer than this only by mistake.
const SHEBANG_BYTES_MAX: u64 = 4096;

/// In this order: the active virtual environment's, the one that `chaos` on the `PATH` runs with,
/// `python3` on the `PATH`.
pub fn locate() -> Option<PathBuf> {
    let environment =
        std::env::var_os("VIRTUAL_ENV").map(|root| Path::new(&root).join("bin/python"));
    environment
        .filter(|python| python.exists())
        .or_else(|| find("chaos", None).and_then(|launcher| of_launcher(&launcher)))
        .or_else(|| find("python3", None))
        .or_else(|| find("python", None))
}

/// The interpreter that a script installed by `pip` or `pipx` starts with.
fn of_launcher(launcher: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    std::fs::File::open(launcher)
        .ok()?
        .take(SHEBANG_BYTES_MAX)
        .read_to_end(&mut head)
        .ok()?;
    let head = String::from_utf8_lossy(&head);
    let command = head.lines().next()?.strip_prefix("#!")?.trim();
    let mut words = command.split_whitespace();
    let program = Path::new(words.next()?);
    let name = program.file_name()?.to_str()?;
    if name == "env" {
        return words
            .next()
            .filter(|name| name.starts_with("python"))
            .and_then(|name| find(name, None));
    }
    (name.starts_with("python") && program.exists()).then(|| program.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interpreter_of(script: &str) -> Option<PathBuf> {
        let dir = tempfile::tempdir().unwrap();
        let launcher = dir.path().join("chaos");
        std::fs::write(
            &launcher,
            script.replace("{dir}", dir.path().to_str().unwrap()),
        )
        .unwrap();
        std::fs::write(dir.path().join("python3"), "").unwrap();
        of_launcher(&launcher).map(|path| {
            path.strip_prefix(dir.path())
                .map(Path::to_path_buf)
                .unwrap_or(path)
        })
    }

    #[test]
    fn a_launchers_interpreter_is_the_one_its_packages_are_for() {
        assert_eq!(
            interpreter_of("#!{dir}/python3\nimport sys\n"),
            Some("python3".into())
        );
        assert_eq!(interpreter_of("#!{dir}/python9\n"), None);
        assert_eq!(interpreter_of("#!/bin/sh\nexec x\n"), None);
        assert_eq!(interpreter_of("\u{7f}ELF"), None);
        assert_eq!(interpreter_of(""), None);
    }
}
