//! What the server says, and where ours comes in its place.

use std::time::Instant;

use super::{Phase, Postgres, Reply, frame};
use crate::message::Sink;
use crate::message::wire::{Cursor, Step};
use crate::stream::{Direction, End};

/// What becomes of a reply.
enum Becomes {
    Passes,
    Replaced(Vec<u8>),
    /// The connection ends with this.
    Refused(Vec<u8>),
}

impl Postgres {
    pub(super) fn take_replies(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        let mut cursor = Cursor::new(bytes);
        while !self.blind && self.phase != Phase::Over {
            if self.phase == Phase::Asked {
                let Some(answer) = cursor.rest().first() else {
                    break;
                };
                self.phase = Phase::Startup;
                if *answer != b'N' {
                    let held = self.replies.take_held();
                    self.give_up(&held, now, out);
                    break;
                }
                cursor.pass(1);
                continue;
            }
            let send = |bytes: &[u8]| out.send(Direction::Downstream, bytes);
            match self.replies.next(&mut cursor, frame::server_shape, send) {
                Step::Begin(head) => {
                    let becomes = self.take_reply(&head, now, out);
                    let send = |bytes: &[u8]| out.send(Direction::Downstream, bytes);
                    match becomes {
                        Becomes::Passes => cursor.pass_head(&head, send),
                        Becomes::Replaced(ours) => {
                            cursor.skip_head(&head, send);
                            out.send(Direction::Downstream, &ours);
                            self.passes = false;
                        }
                        Becomes::Refused(ours) => {
                            cursor.skip_head(&head, send);
                            out.send(Direction::Downstream, &ours);
                            out.end(Direction::Downstream, End::Close);
                            self.phase = Phase::Over;
                        }
                    }
                    self.end_reply(&mut cursor, now, out);
                }
                Step::Within(length) => {
                    if self.passes {
                        cursor.pass(length);
                    } else {
                        cursor.skip(length, |bytes| out.send(Direction::Downstream, bytes));
                    }
                    self.end_reply(&mut cursor, now, out);
                }
                Step::More => return,
                Step::Garbage(held) => {
                    cursor.flush(|bytes| out.send(Direction::Downstream, bytes));
                    self.give_up(&held, now, out);
                }
            }
        }
        if self.phase != Phase::Over {
            if self.blind {
                cursor.pass_rest(|bytes| out.send(Direction::Downstream, bytes));
            }
            cursor.flush(|bytes| out.send(Direction::Downstream, bytes));
        }
    }

    /// Not PostgreSQL, or not for us. What was promised is given, and nothing more is.
    fn give_up(&mut self, held: &[u8], now: Instant, out: &mut dyn Sink) {
        self.awaited.give_up(out);
        out.send(Direction::Downstream, held);
        self.blind = true;
        self.follow_no_more(now, out);
    }

    /// If the reply has come whole, ours may be next.
    fn end_reply(&mut self, cursor: &mut Cursor<'_>, now: Instant, out: &mut dyn Sink) {
        if !self.replies.is_between() {
            return;
        }
        self.passes = true;
        if self.awaited.due().is_some() {
            cursor.flush(|bytes| out.send(Direction::Downstream, bytes));
        }
        self.give_ours(now, out);
    }

    fn take_reply(&mut self, head: &[u8], now: Instant, out: &mut dyn Sink) -> Becomes {
        match (head[0], self.awaited.front()) {
            // The client is who it says.
            (b'R', _) if head.get(5..9) == Some(&[0; 4]) => {
                if let Some(error) = self.deciders.refusal() {
                    return Becomes::Refused(frame::error("FATAL", &error));
                }
            }
            (b'Z', _) => self.become_ready(head.get(5).copied().unwrap_or(b'I'), now, out),
            (b'1', Some(Reply::Parse))
            | (b'2', Some(Reply::Bind))
            | (b'3', Some(Reply::Close))
            | (b'T' | b'n', Some(Reply::Describe)) => self.awaited.forget(),
            (b'C' | b'I' | b's', Some(Reply::Execute)) => self.awaited.pop(now, out),
            (b'E', _) => return self.take_error(now, out),
            (b'G', _) => self.begin_copy(),
            (b'W', _) => self.follow_no_more(now, out),
            _ => {}
        }
        Becomes::Passes
    }

    /// The server is ready for another request: what it was sent before it has answered.
    fn become_ready(&mut self, status: u8, now: Instant, out: &mut dyn Sink) {
        self.status = status;
        self.copies = false;
        while let Some(reply) = self.awaited.front() {
            match reply {
                Reply::Query => {
                    self.awaited.pop(now, out);
                    break;
                }
                Reply::Sync => {
                    self.awaited.forget();
                    break;
                }
                _ => self.awaited.forget(),
            }
        }
        while self.awaited.front() == Some(&Reply::CopyEnd) {
            self.awaited.forget();
        }
    }

    fn take_error(&mut self, now: Instant, out: &mut dyn Sink) -> Becomes {
        let mut becomes = Becomes::Passes;
        match self.awaited.front() {
            None => return becomes,
            // The server says when it is ready again.
            Some(Reply::Query) => {
                self.awaited.begin(false);
                return becomes;
            }
            Some(Reply::Provoked(ours)) => {
                becomes = Becomes::Replaced(ours.clone());
                self.awaited.pop_replaced(now, out);
            }
            Some(Reply::Execute) => {
                self.awaited.begin(false);
                self.awaited.pop(now, out);
            }
            Some(_) => {}
        }
        self.copies = false;
        let is_sync = |reply: &Reply| *reply == Reply::Sync;
        self.skips = !self.awaited.forget_all(|_| true, is_sync);
        becomes
    }

    /// The server takes rows until the client has sent all of them; a `Sync` before that is nothing.
    fn begin_copy(&mut self) {
        let is_sync = |reply: &Reply| *reply == Reply::Sync;
        let is_end = |reply: &Reply| *reply == Reply::CopyEnd;
        self.copies = !self.awaited.forget_all(is_sync, is_end);
    }
}
