//! A RST instead of an answer.

use std::time::Duration;

use super::held::{Arrival, Held};
use super::source::Part;
use super::stage::Running;
use super::{End, Piece};

/// Both sides get a RST, some time after the first byte was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    pub after: Duration,
}

impl Reset {
    pub(super) fn running(self) -> impl Running {
        Resetting {
            reset: self,
            begun: false,
        }
    }
}

#[derive(Debug)]
struct Resetting {
    reset: Reset,
    begun: bool,
}

impl Running for Resetting {
    fn admit(&mut self, arrival: Arrival, held: &mut Held) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let Arrival { at, part } = arrival;
        let piece = Piece::End(End::Reset);
        let part = Part { piece, ..part };
        held.until(Some(at + self.reset.after), Arrival { at, part });
    }
}
