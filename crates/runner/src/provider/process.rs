//! Commands, each in a process group of its own.
//!
//! The group ends with the call: a time-out or a cancel signals every process in it, first with
//! SIGTERM and, after [`TERM_GRACE`], with SIGKILL. The leader is kept unreaped until then, so
//! that its number cannot have gone to another process. A descendant that moved to a group of its
//! own is out of reach.

mod capture;
mod group;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use firedrill_experiment::call::{Command, ProcessCall};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{Cancel, Outcome};
use capture::Capture;
pub(super) use group::Group;

/// Between SIGTERM and SIGKILL.
pub const TERM_GRACE: Duration = Duration::from_millis(300);

/// How long a pipe that outlives the command is read on: a daemon may have inherited it.
pub const DRAIN_GRACE: Duration = Duration::from_secs(2);

/// Marks processes that no fault may touch; what an experiment starts is not one of them.
pub(crate) const SPARE_MARK: &str = "FIREDRILL_SPARE";

/// Runs the command to its end. A non-zero exit is a success; a command killed by signal N has
/// status -N.
pub async fn run(call: &ProcessCall, directory: Option<&Path>, cancel: Cancel) -> Outcome {
    let mut command = match prepare(&call.command, directory) {
        Ok(command) => command,
        Err(outcome) => return outcome,
    };
    let deadline = call
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return spawn_failed(&error),
    };
    let group = match Group::of(&child) {
        Ok(group) => group,
        Err(error) => {
            return Outcome::aborted("OSError", format!("the command cannot be watched: {error}"));
        }
    };
    let stdout = Capture::start(child.stdout.take());
    let stderr = Capture::start(child.stderr.take());
    let ended = watch(&group, &stdout, &stderr, deadline, cancel).await;
    if !matches!(ended, Ended::Itself) {
        group.end(TERM_GRACE, gone(&group, &stdout, &stderr)).await;
    }
    group.release();
    let status = child.wait().await;
    match ended {
        Ended::Itself => output(status, &stdout, &stderr),
        Ended::TookTooLong => Outcome::failed("process activity took too long to complete"),
        Ended::Cancelled(reason) => Outcome::Interrupted(reason),
    }
}

enum Ended {
    Itself,
    TookTooLong,
    Cancelled(firedrill_experiment::journal::Interruption),
}

/// Until the leader is gone and its pipes are closed (or left to a daemon), or it is time to stop.
async fn watch(
    group: &Group,
    stdout: &Capture,
    stderr: &Capture,
    deadline: Option<Instant>,
    mut cancel: Cancel,
) -> Ended {
    let itself = async {
        group.leader_exited().await;
        // An error is a pipe that somebody else keeps open: what was read so far is the output.
        let _left_open = tokio::time::timeout(DRAIN_GRACE, gone(group, stdout, stderr)).await;
    };
    let too_late = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = itself => Ended::Itself,
        reason = cancel.cancelled() => Ended::Cancelled(reason),
        () = too_late => Ended::TookTooLong,
    }
}

/// The leader has exited and nobody holds its pipes.
async fn gone(group: &Group, stdout: &Capture, stderr: &Capture) {
    group.leader_exited().await;
    stdout.closed().await;
    stderr.closed().await;
}

fn prepare(
    command: &Command,
    directory: Option<&Path>,
) -> Result<tokio::process::Command, Outcome> {
    let mut prepared = match command {
        Command::Shell(line) => {
            let mut shell = tokio::process::Command::new("/bin/sh");
            shell.arg("-c").arg(line);
            shell
        }
        Command::Argv(argv) => {
            let Some((program, arguments)) = argv.split_first() else {
                return Err(Outcome::aborted("ValueError", "there is no command to run"));
            };
            let Some(path) = find(program, directory) else {
                return Err(Outcome::aborted(
                    "FileNotFoundError",
                    format!("'{program}' cannot be found or executed"),
                ));
            };
            let mut direct = tokio::process::Command::new(path);
            direct.args(arguments);
            direct
        }
    };
    prepared
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove(SPARE_MARK)
        .process_group(0)
        .kill_on_drop(true);
    if let Some(directory) = directory {
        prepared.current_dir(directory);
    }
    Ok(prepared)
}

/// The file that `program` names: itself when it has a slash, else the first one in `PATH`.
/// `~` is the home directory, as in Chaos Toolkit.
pub(crate) fn find(program: &str, directory: Option<&Path>) -> Option<PathBuf> {
    let program = match (program.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(program),
    };
    let base = directory
        .map(Path::to_path_buf)
        .or_else(|| std::env::current_dir().ok())
        .unwrap_or_default();
    if program.components().count() != 1 || program.is_absolute() {
        let path = base.join(program);
        return executable(&path).then_some(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/bin:/usr/bin"));
    std::env::split_paths(&path)
        .map(|entry| base.join(entry).join(&program))
        .find(|path| executable(path))
}

fn executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn spawn_failed(error: &io::Error) -> Outcome {
    let class = match error.kind() {
        io::ErrorKind::InvalidInput => "ValueError",
        io::ErrorKind::PermissionDenied => "PermissionError",
        io::ErrorKind::NotFound => "FileNotFoundError",
        _ => "OSError",
    };
    Outcome::aborted(class, format!("the command cannot be started: {error}"))
}

fn output(status: io::Result<ExitStatus>, stdout: &Capture, stderr: &Capture) -> Outcome {
    match status {
        Ok(status) => Outcome::Succeeded(json!({
            "status": exit_number(status),
            "stdout": stdout.text(),
            "stderr": stderr.text(),
        })),
        Err(error) => Outcome::aborted(
            "OSError",
            format!("the command's exit status is unknown: {error}"),
        ),
    }
}

fn exit_number(status: ExitStatus) -> Value {
    match (status.code(), status.signal()) {
        (Some(code), _) => json!(code),
        (None, Some(signal)) => json!(-signal),
        (None, None) => Value::Null,
    }
}

#[cfg(test)]
mod tests;
