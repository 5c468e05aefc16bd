//! So many bytes a second.

use std::time::{Duration, Instant};

use super::held::{Arrival, Held};
use super::stage::Running;

/// A limit of the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    /// 0: nothing passes until the fault changes.
    pub bytes_per_second: u64,
}

/// Bytes are let through in portions of this time, so that a slow stream flows.
const PORTION: Duration = Duration::from_millis(5);

impl Bandwidth {
    pub(super) fn running(self) -> impl Running {
        Limited {
            rate: self.bytes_per_second,
            free: None,
        }
    }
}

#[derive(Debug)]
struct Limited {
    rate: u64,
    /// When the last byte that came will have been sent.
    free: Option<Instant>,
}

impl Limited {
    fn portion(&self) -> u64 {
        let bytes = (self.rate as f64 * PORTION.as_secs_f64()) as u64;
        bytes.clamp(1, 64 << 10)
    }

    /// When so many bytes have been sent, behind what came before.
    fn sent(&mut self, bytes: usize, at: Instant) -> Option<Instant> {
        (self.rate > 0).then(|| {
            let takes = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
            let due = self.free.unwrap_or(at).max(at) + takes;
            self.free = Some(due);
            due
        })
    }
}

impl Running for Limited {
    fn begin(&mut self, now: Instant, _held: &mut Held) {
        // What waited for a slower rate is not sent at the new one before now.
        self.free = Some(now);
    }

    fn admit(&mut self, arrival: Arrival, held: &mut Held) {
        let at = arrival.at;
        let mut rest = Some(arrival.part);
        while let Some(part) = rest.take() {
            let (part, behind) = part.split(self.portion());
            let due = self.sent(part.length(), at);
            held.until(due, Arrival { at, part });
            rest = behind;
        }
    }

    /// A tenth of a second of it, as a router's buffer: what does not fit is the sender's to keep.
    fn room(&self) -> usize {
        ((self.rate / 10) as usize).clamp(4 << 10, 8 << 20)
    }
}
