//! What a job sees of its worker: the deadline, and the way to say that it is in place.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use firedrill_kernel::clock::boottime;
use rustix::event::{EventfdFlags, Timespec};
use rustix::process::Signal;

use crate::Measurement;
use crate::protocol::{self, Reply, nanos};

/// Gives what the fault achieved so far; empty while nothing can be said yet.
type Meter = Box<dyn FnMut() -> Vec<Measurement> + Send>;

/// A worker whose deadline has passed ends at the latest after this, even with packets in hand.
pub(crate) const LET_GO_LIMIT: Duration = Duration::from_millis(100);

/// Shared by the threads of a worker. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

struct Shared {
    socket: OwnedFd,
    /// In nanoseconds of BOOTTIME.
    deadline: AtomicU64,
    meter: Mutex<Option<Meter>>,
    /// An event that calls the job to let go; absent for a job that holds nothing of others.
    call: OnceLock<OwnedFd>,
}

impl Control {
    pub(crate) fn new(socket: OwnedFd, deadline: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                socket,
                deadline: AtomicU64::new(deadline),
                meter: Mutex::new(None),
                call: OnceLock::new(),
            }),
        }
    }

    /// Tells the guardian that the fault is in place. `meter` answers it from then on, on another
    /// thread; it must not block for long, because the deadline waits behind it.
    pub fn ready(&self, meter: impl FnMut() -> Vec<Measurement> + Send + 'static) {
        *self.meter() = Some(Box::new(meter));
        self.tell(&Reply::Ready);
    }

    /// When the worker ends, on BOOTTIME. Moves with every renewal of the lease.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        Duration::from_nanos(self.shared.deadline.load(Ordering::Relaxed))
    }

    /// Ends the process if the deadline has passed. To be called before anything is done anew: the
    /// worker may have been stopped, and continued long after.
    pub fn check(&self) {
        if boottime() >= self.deadline() {
            end();
        }
    }

    /// Readable once the job is to let go of what it holds for others: it then calls
    /// [`Self::released`], and ends once [`Self::check`] does. To be asked for before
    /// [`Self::ready`]; a job that never asks is ended at once instead.
    ///
    /// # Errors
    /// When the kernel gives no event.
    pub fn call_to_leave(&self) -> rustix::io::Result<BorrowedFd<'_>> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let event = rustix::event::eventfd(0, flags)?;
        Ok(self.shared.call.get_or_init(|| event).as_fd())
    }

    /// Calls the job to let go; `false` when it holds nothing of others.
    pub(crate) fn leave(&self) -> bool {
        let Some(call) = self.shared.call.get() else {
            return false;
        };
        // Refused only when it was called before, a great many times.
        let _ = rustix::io::write(call, &1_u64.to_ne_bytes());
        true
    }

    /// Tells the guardian that nothing is held any more.
    pub fn released(&self) {
        self.tell(&Reply::Released);
    }

    /// Waits, then checks the deadline.
    pub fn wait(&self, time: Duration) {
        let limit = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        // A signal that cuts it short does no harm: every caller is in a loop.
        let _ = rustix::event::poll(&mut [], Some(&limit));
        self.check();
    }

    pub(crate) fn set_deadline(&self, deadline: u64) {
        self.shared.deadline.store(deadline, Ordering::Relaxed);
        self.tell(&Reply::Beat { deadline });
    }

    pub(crate) fn answer_measure(&self, number: u64) {
        let measurements = self.meter().as_mut().map_or_else(Vec::new, |meter| meter());
        self.tell(&Reply::Measured {
            number,
            measurements,
        });
    }

    /// A guardian that does not listen finds out by itself; one that is gone closes the socket.
    pub(crate) fn tell(&self, reply: &Reply) {
        let _ = protocol::send(&self.shared.socket, reply);
    }

    pub(crate) fn socket(&self) -> impl AsFd + '_ {
        &self.shared.socket
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        nanos(boottime()) >= self.shared.deadline.load(Ordering::Relaxed)
    }

    /// Whether the deadline passed so long ago that nothing is waited for any more.
    pub(crate) fn is_overdue(&self) -> bool {
        boottime() >= self.deadline() + LET_GO_LIMIT
    }

    fn meter(&self) -> std::sync::MutexGuard<'_, Option<Meter>> {
        self.shared
            .meter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}

/// Ends the process with all its threads. The kernel takes back what it holds; there is nothing to
/// flush.
pub(crate) fn end() -> ! {
    // Cannot be refused to oneself; abort is for the compiler.
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    std::process::abort()
}
