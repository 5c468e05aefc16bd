//! An image of one static program, built here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Waits for SIGTERM. As the first process of a pid namespace it gets only signals that it handles.
const PROGRAM: &str = r"
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void end(int number) {
    (void)number;
    ended = 1;
}

int main(void) {
    signal(SIGTERM, end);
    while (!ended)
        usleep(10000);
    return 0;
}
";

/// The archive of a root directory that holds only `/wait`.
pub(super) fn archive(directory: &Path) -> PathBuf {
    let root = directory.join("image");
    fs::create_dir(&root).unwrap();
    fs::write(directory.join("wait.c"), PROGRAM).unwrap();
    let archive = directory.join("image.tar");
    succeed(
        Command::new("cc")
            .args(["-static", "-O1", "-o"])
            .arg(root.join("wait"))
            .arg(directory.join("wait.c")),
    );
    succeed(
        Command::new("tar")
            .arg("--create")
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(&root)
            .arg("wait"),
    );
    archive
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}
