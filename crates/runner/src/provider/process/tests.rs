use super::*;
use crate::provider::canceller;
use firedrill_experiment::journal::Interruption;

fn shell(line: &str, timeout_ms: Option<u64>) -> ProcessCall {
    ProcessCall {
        command: Command::Shell(line.into()),
        timeout: timeout_ms.map(Duration::from_millis),
    }
}

fn argv(words: &[&str]) -> ProcessCall {
    ProcessCall {
        command: Command::Argv(words.iter().map(|&word| word.to_owned()).collect()),
        timeout: None,
    }
}

async fn value(call: ProcessCall) -> Value {
    match run(&call, None, Cancel::never()).await {
        Outcome::Succeeded(value) => value,
        other => panic!("{other:?}"),
    }
}

async fn failure(call: ProcessCall) -> String {
    match run(&call, None, Cancel::never()).await {
        Outcome::Failed(failure) => failure.exception.concat(),
        other => panic!("{other:?}"),
    }
}

async fn abort(call: ProcessCall) -> String {
    match run(&call, None, Cancel::never()).await {
        Outcome::Aborted(failure) => failure.message,
        other => panic!("{other:?}"),
    }
}

/// Whether the process is gone, or only waits to be reaped by somebody else.
fn is_gone(pid: &str) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X'])),
        Err(_) => true,
    }
}

async fn until_gone(pid: &str) {
    for _ in 0..200 {
        if is_gone(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{pid} is still there");
}

#[tokio::test]
async fn a_pipe_in_a_string_is_the_shells() {
    let out = value(shell(
        "printf 'a\\nb\\n' | grep b; echo oops >&2; exit 3",
        None,
    ))
    .await;
    assert_eq!(
        out,
        json!({"status": 3, "stdout": "b\n", "stderr": "oops\n"})
    );
}

#[tokio::test]
async fn words_of_a_list_are_not_the_shells() {
    assert_eq!(
        value(argv(&["printf", "%s", "$HOME | x"])).await["stdout"],
        "$HOME | x"
    );
}

#[tokio::test]
async fn a_command_killed_by_a_signal_has_its_number_negated() {
    assert_eq!(value(shell("kill -9 $$", None)).await["status"], -9);
}

#[tokio::test]
async fn short_output_is_utf_8_before_anything_else() {
    assert_eq!(value(argv(&["echo", "4.5"])).await["stdout"], "4.5\n");
    assert_eq!(
        value(shell("printf 'caf\\303\\251 \\377'", None)).await["stdout"],
        "café \u{fffd}"
    );
}

#[tokio::test]
async fn stdin_is_empty() {
    assert_eq!(value(argv(&["cat"])).await["status"], 0);
}

#[tokio::test]
async fn an_empty_command_a_missing_one_and_a_file_that_is_none_abort_the_run() {
    assert!(abort(argv(&[])).await.contains("no command"));
    assert!(
        abort(argv(&["firedrill-no-such-command"]))
            .await
            .contains("cannot be found")
    );
    assert!(
        abort(argv(&["/etc/passwd"]))
            .await
            .contains("cannot be found or executed")
    );
    assert!(
        abort(argv(&["echo", "a\0b"]))
            .await
            .contains("cannot be started")
    );
}

#[tokio::test]
async fn a_time_out_ends_grandchildren_too() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display();
    // Both would be spared by a kill of the direct child alone, and the second ignores SIGTERM.
    let line = format!(
        "sleep 60 & echo $! > {path}; (trap '' TERM; sleep 61 & echo $! >> {path}; wait) & wait"
    );
    assert_eq!(
        failure(shell(&line, Some(250))).await,
        "chaoslib.exceptions.ActivityFailed: process activity took too long to complete\n"
    );
    let pids = std::fs::read_to_string(file.path()).unwrap();
    assert_eq!(pids.lines().count(), 2, "{pids}");
    for pid in pids.lines() {
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn a_time_out_counts_while_a_grandchild_holds_the_pipe() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = format!("sleep 60 & echo $! > {}", file.path().display());
    assert!(failure(shell(&line, Some(200))).await.contains("too long"));
    until_gone(std::fs::read_to_string(file.path()).unwrap().trim()).await;
}

#[tokio::test]
async fn a_cancel_ends_the_command_and_gives_the_reason() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (canceller, cancel) = canceller();
    let call = shell(
        &format!("echo $$ > {}; sleep 60; :", file.path().display()),
        None,
    );
    let task = tokio::spawn(async move { run(&call, None, cancel).await });
    let pid = loop {
        let text = std::fs::read_to_string(file.path()).unwrap();
        if text.ends_with('\n') {
            break text.trim().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    canceller.cancel(Interruption {
        kind: "signal".into(),
        name: None,
        reason: "SIGINT".into(),
    });
    match task.await.unwrap() {
        Outcome::Interrupted(interruption) => assert_eq!(interruption.reason, "SIGINT"),
        other => panic!("{other:?}"),
    }
    until_gone(&pid).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_kills_its_group() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let call = shell(
        &format!("sleep 60 & echo $! > {}; wait", file.path().display()),
        None,
    );
    let task = tokio::spawn(async move { run(&call, None, Cancel::never()).await });
    let pid = loop {
        let text = std::fs::read_to_string(file.path()).unwrap();
        if text.ends_with('\n') {
            break text.trim().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    task.abort();
    until_gone(&pid).await;
}

#[tokio::test]
async fn what_is_beyond_the_limit_is_read_and_told() {
    let out = value(shell("head -c 17000000 /dev/zero | tr '\\0' x", None)).await;
    let stdout = out["stdout"].as_str().unwrap();
    assert!(stdout.len() < capture::CAPTURE_BYTES_MAX + 100);
    assert!(
        stdout.ends_with("[firedrill: 222784 more bytes are not kept]\n"),
        "{}",
        &stdout[stdout.len() - 80..]
    );
    assert_eq!(out["status"], 0);
}

#[tokio::test]
async fn a_command_that_writes_for_ever_is_ended_by_its_time_out() {
    assert!(failure(shell("yes", Some(150))).await.contains("too long"));
}

#[tokio::test]
async fn children_start_in_the_directory_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = run(&argv(&["pwd", "-P"]), Some(dir.path()), Cancel::never()).await;
    let Outcome::Succeeded(out) = outcome else {
        panic!("{outcome:?}")
    };
    let real = dir.path().canonicalize().unwrap();
    assert_eq!(
        out["stdout"].as_str().unwrap().trim_end(),
        real.to_str().unwrap()
    );
}
