//! What a command wrote, up to a limit.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Kept of each stream, in bytes. The rest is read, so that the command is not blocked, and let go.
pub(crate) const CAPTURE_BYTES_MAX: usize = 16 << 20;

/// Reads in the background until the pipe closes, or until it is dropped.
pub(super) struct Capture {
    kept: Arc<Mutex<Kept>>,
    closed: watch::Receiver<bool>,
    reader: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    dropped: u64,
}

impl Capture {
    pub(super) fn start(pipe: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let (closing, closed) = watch::channel(false);
        let sink = Arc::clone(&kept);
        let reader = tokio::spawn(async move {
            if let Some(pipe) = pipe {
                read(pipe, &sink).await;
            }
            closing.send_replace(true);
        });
        Self {
            kept,
            closed,
            reader,
        }
    }

    pub(super) async fn closed(&self) {
        let mut closed = self.closed.clone();
        // An error means the reader is gone: as closed as can be.
        let _closed = closed.wait_for(|closed| *closed).await;
    }

    /// UTF-8 where it is, replacement characters where it is not.
    pub(super) fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from_utf8_lossy(&kept.bytes).into_owned();
        if kept.dropped > 0 {
            text.push_str(&format!(
                "\n[firedrill: {} more bytes are not kept]\n",
                kept.dropped
            ));
        }
        text
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(mut pipe: impl AsyncRead + Unpin, sink: &Mutex<Kept>) {
    let mut buffer = vec![0; 64 << 10];
    // A pipe that cannot be read is a pipe that has ended.
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let mut kept = sink.lock().unwrap_or_else(PoisonError::into_inner);
        let room = CAPTURE_BYTES_MAX
            .saturating_sub(kept.bytes.len())
            .min(count);
        kept.bytes.extend_from_slice(&buffer[..room]);
        kept.dropped += (count - room) as u64;
    }
}
