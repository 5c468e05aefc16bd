//! The three pipes of a worker.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc;

use super::super::{Listener, WorkerEvent};

/// One reply. A longer one ends the worker: there is no way to find the next line cheaply.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// One line of stderr; the rest of a longer one comes as lines of its own.
const PRINTED_BYTES_MAX: usize = 16 << 10;

/// Kept for the case that the worker dies.
const TAIL_LINES: usize = 20;

/// The last lines of stderr.
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

/// Whole lines, one after the other. A worker that no longer reads is a dying one.
pub(super) async fn write(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        if stdin.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Until the worker closes it, or writes what is no message.
pub(super) async fn read_stdout(
    stdout: Option<ChildStdout>,
    mut on_message: impl FnMut(Map<String, Value>),
) {
    let Some(stdout) = stdout else { return };
    let mut reader = BufReader::new(stdout);
    while let Some(line) = line(&mut reader, REPLY_BYTES_MAX).await {
        match serde_json::from_slice(&line) {
            Ok(Value::Object(message)) => on_message(message),
            _ => return,
        }
    }
}

/// What the user's code prints, on either stream.
pub(super) async fn read_stderr(stderr: Option<ChildStderr>, tail: Tail, listener: Listener) {
    let Some(stderr) = stderr else { return };
    let mut reader = BufReader::new(stderr);
    while let Some(line) = line(&mut reader, PRINTED_BYTES_MAX).await {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        tail.push(line.clone());
        listener(WorkerEvent::Printed { line });
    }
}

/// Up to and with the newline, or as much as is allowed.
async fn line(
    reader: &mut (impl AsyncRead + AsyncBufReadExt + Unpin),
    bytes_max: usize,
) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    match reader
        .take(bytes_max as u64)
        .read_until(b'\n', &mut line)
        .await
    {
        Ok(1..) => Some(line),
        _ => None,
    }
}
