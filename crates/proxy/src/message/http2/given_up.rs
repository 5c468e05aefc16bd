//! Requests whose callers wait no more, and those that nobody answers any more. Without them, a delay
//! beyond the callers' patience would seem to meet nobody.

use super::stream::Stream;
use super::turn::Turn;
use super::{Http2, Mode};

impl Http2 {
    /// The client wants nothing of a stream any more.
    pub(super) fn is_given_up(&mut self, key: u32, turn: &mut Turn<'_>) {
        let held = self.is_held(key);
        turn.answered(self.tally.given_up(key, held, turn.now));
    }

    /// No answer comes any more to streams of which this is true, nor to those without a state.
    pub(super) fn leave_unanswered(
        &mut self,
        none_comes: impl Fn(&Stream) -> bool,
        turn: &mut Turn<'_>,
    ) {
        if !matches!(self.mode, Mode::Clear | Mode::Managed) {
            return;
        }
        for key in self.tally.waited_for() {
            if self
                .streams
                .get(key)
                .is_none_or(|stream| none_comes(stream))
            {
                let held = self.is_held(key);
                turn.answered(self.tally.reset(key, held, turn.now));
            }
        }
    }

    /// Whether a fault has it wait.
    fn is_held(&mut self, key: u32) -> bool {
        self.streams.get(key).is_some_and(|stream| stream.is_held())
    }
}
