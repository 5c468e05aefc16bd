//! Files that disk faults of other tools leave, where they are left by default.

use std::path::{Path, PathBuf};

use super::Left;

const DIRECTORIES: [&str; 4] = ["/", "/tmp", "/var/tmp", "/home"];

const FILES: [(&str, &str); 4] = [
    ("chaos_filldisk.log.dat", "ChaosBlade"),
    ("chaos_burnio.read", "ChaosBlade"),
    ("chaos_burnio.write", "ChaosBlade"),
    ("chaos-burn-io-experiment", "Thales Chaos Engine"),
];

pub(super) fn left() -> Vec<Left> {
    let mut left = in_directories(&DIRECTORIES.map(Path::new));
    let preload = std::fs::read_to_string("/etc/ld.so.preload").unwrap_or_default();
    if preload.contains("faketime") {
        let what = "every new process is told another time than it is (/etc/ld.so.preload)";
        let advice = "take its line out of /etc/ld.so.preload";
        left.push(Left::new(what.into(), Some("libfaketime"), advice));
    }
    left
}

fn in_directories(directories: &[&Path]) -> Vec<Left> {
    let mut left = Vec::new();
    for directory in directories {
        for (name, by) in FILES {
            let path: PathBuf = directory.join(name);
            if let Ok(found) = path.symlink_metadata() {
                let what = format!("the file {}, {} bytes", path.display(), found.len());
                left.push(Left::new(
                    what,
                    Some(by),
                    "`rm` it, once its tool has ended",
                ));
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_fills_a_disk_is_known_by_its_name() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("chaos_filldisk.log.dat"), [0; 10]).unwrap();
        std::fs::write(root.path().join("chaos.txt"), "").unwrap();
        let left = in_directories(&[root.path()]);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].by, Some("ChaosBlade"));
        assert!(left[0].what.contains("10 bytes"), "{left:?}");
    }
}
