//! What the server says, and where ours comes in its place.

use super::{Postgres, Reply, State, frame};
use crate::message::wire::{Answering, Becomes};

impl Postgres {
    pub(super) fn take_answer(
        &mut self,
        head: &[u8],
        answering: &mut Answering<'_, Self>,
    ) -> Becomes {
        match (head[0], answering.awaited()) {
            // The client is who it says.
            (b'R', _) if head.get(5..9) == Some(&[0; 4]) => {
                if let Some(error) = answering.refusal() {
                    return Becomes::Refused(frame::error("FATAL", &error));
                }
            }
            (b'Z', _) => self.become_ready(head.get(5).copied(), answering),
            (b'1', Some(Reply::Parse))
            | (b'2', Some(Reply::Bind))
            | (b'3', Some(Reply::Close))
            | (b'T' | b'n', Some(Reply::Describe)) => answering.forget(),
            (b'C' | b'I' | b's', Some(Reply::Execute)) => return Becomes::Answers { well: true },
            (b'E', _) => return self.take_error(answering),
            (b'G', _) => self.begin_copy(answering),
            (b'W', _) => answering.follow_no_more(),
            _ => {}
        }
        Becomes::Passes
    }

    /// The server is ready for another request: what it was sent before it has answered.
    fn become_ready(&mut self, state: Option<u8>, answering: &mut Answering<'_, Self>) {
        self.state = match state {
            None | Some(b'I') => State::Idle,
            Some(_) => State::Within,
        };
        self.copies = false;
        while let Some(reply) = answering.awaited() {
            match reply {
                Reply::Query => {
                    answering.end();
                    break;
                }
                Reply::Sync => {
                    answering.forget();
                    break;
                }
                _ => answering.forget(),
            }
        }
        while answering.awaited() == Some(&Reply::CopyEnd) {
            answering.forget();
        }
    }

    fn take_error(&mut self, answering: &mut Answering<'_, Self>) -> Becomes {
        let mut becomes = Becomes::Passes;
        match answering.awaited() {
            None => return becomes,
            // The server says when it is ready again.
            Some(Reply::Query) => {
                answering.begin(false);
                return becomes;
            }
            Some(Reply::Provoked(ours)) => {
                let ours = ours.clone();
                becomes = answering.replace(ours);
            }
            Some(Reply::Execute) => {
                answering.begin(false);
                answering.end();
            }
            Some(_) => {}
        }
        self.copies = false;
        let is_sync = |reply: &Reply| *reply == Reply::Sync;
        self.skips = !answering.forget_all(|_| true, is_sync);
        becomes
    }

    /// The server takes rows until the client has sent all of them; a `Sync` before that is nothing.
    fn begin_copy(&mut self, answering: &mut Answering<'_, Self>) {
        let is_sync = |reply: &Reply| *reply == Reply::Sync;
        let is_end = |reply: &Reply| *reply == Reply::CopyEnd;
        self.copies = !answering.forget_all(is_sync, is_end);
    }
}
