use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::Medium;

/// A log's file. Its syncs can be given a limit, so that a stalled disk keeps nobody from undoing.
#[derive(Debug)]
pub struct LogFile {
    file: Arc<File>,
    syncer: Option<Syncer>,
    limit: Duration,
}

/// A thread that syncs, and may hang in it; nothing waits for it longer than it wants to.
#[derive(Debug)]
struct Syncer {
    requests: SyncSender<()>,
    results: Receiver<io::Result<()>>,
}

impl LogFile {
    pub(super) fn new(file: File) -> Self {
        Self {
            file: Arc::new(file),
            syncer: None,
            limit: Duration::MAX,
        }
    }

    pub(super) fn sync_in_background(&mut self) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        self.syncer = Some(Syncer::start(move || file.sync_data())?);
        Ok(())
    }

    pub(super) fn limit_sync(&mut self, limit: Duration) {
        self.limit = limit;
    }
}

impl Medium for LogFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        match &self.syncer {
            Some(syncer) => syncer.sync(self.limit),
            None => self.file.sync_data(),
        }
    }
}

impl Syncer {
    fn start(sync: impl Fn() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (requests, asked) = sync_channel(1);
        let (answer, results) = sync_channel(1);
        thread::Builder::new().name("sync".into()).spawn(move || {
            while asked.recv().is_ok() {
                if answer.send(sync()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { requests, results })
    }

    /// A sync that takes longer counts as failed, and so poisons the log: it is not asked again.
    fn sync(&self, limit: Duration) -> io::Result<()> {
        let gone = || io::Error::other("the thread that syncs has ended");
        self.requests.try_send(()).map_err(|_| gone())?;
        match self.results.recv_timeout(limit) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the disk took longer than {} ms", limit.as_millis()),
            )),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_that_hangs_is_given_up_at_its_limit() {
        let (release, hang) = sync_channel::<()>(0);
        let hang = std::sync::Mutex::new(hang);
        let syncer = Syncer::start(move || {
            // Until the test is over.
            let _ = hang.lock().unwrap().recv();
            Ok(())
        })
        .unwrap();
        let error = syncer.sync(Duration::from_millis(10)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(release);
    }

    #[test]
    fn what_the_disk_says_is_passed_on() {
        let syncer = Syncer::start(|| Err(io::Error::other("broken"))).unwrap();
        for _ in 0..2 {
            let error = syncer.sync(Duration::from_secs(30)).unwrap_err();
            assert_eq!(error.to_string(), "broken");
        }
    }
}
