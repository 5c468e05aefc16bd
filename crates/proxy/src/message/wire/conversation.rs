//! A session of a wire protocol.

use std::time::Instant;

use super::cursor::{Cursor, Head};
use super::dialect::{Answering, Asking, Becomes, Dialect};
use super::frames::Step;
use super::line::{Coming, Following, Line};
use crate::chance::Chance;
use crate::message::{MessageFault, Session, Sink};
use crate::stream::{Direction, End};

/// One connection: what its dialect says, carried out.
#[derive(Debug)]
pub(in crate::message) struct Conversation<D: Dialect> {
    dialect: D,
    line: Line<D>,
}

impl<D: Dialect> Conversation<D> {
    /// `chance` is the connection's.
    pub(in crate::message) fn new(dialect: D, chance: Chance, faults: &[MessageFault]) -> Self {
        Self {
            dialect,
            line: Line::new(chance, faults),
        }
    }

    #[cfg(test)]
    pub(in crate::message) fn awaits_nothing(&self) -> bool {
        self.line.awaited.is_empty()
    }

    fn take_requests(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        let mut cursor = Cursor::new(bytes);
        while self.line.following == Following::Requests {
            let Self { dialect, line } = self;
            let is_watched = !line.deciders.is_empty();
            let step = line.requests.next(
                &mut cursor,
                |bytes| dialect.request_shape(bytes, is_watched),
                |bytes| line.outgoing.send(bytes, now, out),
            );
            match step {
                Step::Begin(head, about) => {
                    let mut asking = Asking {
                        line,
                        cursor: &mut cursor,
                        now,
                        out,
                    };
                    line.goes = dialect.take_request(&head, about, &mut asking);
                    let send = |bytes: &[u8]| line.outgoing.send(bytes, now, out);
                    cursor.carry_head(&head, line.goes, send);
                }
                Step::Within(length) => {
                    let send = |bytes: &[u8]| line.outgoing.send(bytes, now, out);
                    cursor.carry(length, line.goes, send);
                }
                Step::More => return,
                Step::Garbage(held) => {
                    cursor.flush(|bytes| line.outgoing.send(bytes, now, out));
                    line.outgoing.send(&held, now, out);
                    line.follow_no_more(now, out);
                }
            }
            self.give_ours(now, out);
        }
        if self.line.following == Following::Bytes {
            cursor.pass_rest(|bytes| self.line.outgoing.send(bytes, now, out));
        }
    }

    fn take_replies(&mut self, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        let mut cursor = Cursor::new(bytes);
        while !self.line.blind && self.line.following != Following::Over {
            let Self { dialect, line } = self;
            let shape = |bytes: &[u8]| dialect.reply_shape(bytes);
            let mut send = |bytes: &[u8]| out.send(Direction::Downstream, bytes);
            match line.replies.next(&mut cursor, shape, &mut send) {
                Step::Begin(head, ()) => self.take_reply(&head, &mut cursor, now, out),
                Step::Within(length) => {
                    cursor.carry(length, line.reply != Coming::Dropped, send);
                }
                Step::More => return,
                Step::Garbage(held) => {
                    cursor.flush(send);
                    line.give_up(now, out);
                    out.send(Direction::Downstream, &held);
                }
            }
            self.go_between(&mut cursor, now, out);
        }
        if self.line.following != Following::Over {
            cursor.pass_rest(|bytes| out.send(Direction::Downstream, bytes));
        }
    }

    fn take_reply<'b>(
        &mut self,
        head: &Head<'b>,
        cursor: &mut Cursor<'b>,
        now: Instant,
        out: &mut dyn Sink,
    ) {
        let Self { dialect, line } = self;
        let becomes = dialect.take_reply(head, &mut Answering { line, now, out });
        line.reply = match &becomes {
            Becomes::Passes | Becomes::Lost => Coming::Passes,
            Becomes::Answers { .. } => Coming::Answers,
            Becomes::Replaced(_) | Becomes::Refused(_) => Coming::Dropped,
        };
        let mut send = |bytes: &[u8]| out.send(Direction::Downstream, bytes);
        cursor.carry_head(head, line.reply != Coming::Dropped, &mut send);
        match becomes {
            Becomes::Passes => {}
            Becomes::Answers { well } => line.awaited.begin(well),
            Becomes::Replaced(ours) => send(&ours),
            Becomes::Refused(ours) => {
                send(&ours);
                out.end(Direction::Downstream, End::Close);
                line.following = Following::Over;
            }
            Becomes::Lost => {
                cursor.flush(send);
                line.give_up(now, out);
            }
        }
    }

    /// If the reply has come whole, ours may be next.
    fn go_between(&mut self, cursor: &mut Cursor<'_>, now: Instant, out: &mut dyn Sink) {
        let line = &mut self.line;
        if !line.replies.is_between() {
            return;
        }
        if std::mem::replace(&mut line.reply, Coming::Passes) == Coming::Answers {
            line.awaited.pop(now, out);
        }
        if line.awaited.due().is_some() {
            cursor.flush(|bytes| out.send(Direction::Downstream, bytes));
        }
        self.give_ours(now, out);
    }

    fn is_between(&self) -> bool {
        self.line.replies.is_between() && self.dialect.is_between()
    }

    fn give_ours(&mut self, now: Instant, out: &mut dyn Sink) {
        if self.is_between() {
            self.line.give_ours(now, out);
        }
    }
}

impl<D: Dialect> Session for Conversation<D> {
    fn receive(&mut self, direction: Direction, bytes: &[u8], now: Instant, out: &mut dyn Sink) {
        match direction {
            Direction::Upstream => self.take_requests(bytes, now, out),
            Direction::Downstream => self.take_replies(bytes, now, out),
        }
    }

    fn end(&mut self, direction: Direction, now: Instant, out: &mut dyn Sink) {
        if self.line.following == Following::Over {
            return;
        }
        match direction {
            Direction::Upstream => {
                self.line.follow_no_more(now, out);
                self.give_ours(now, out);
                self.line.outgoing.end(End::Fin, now, out);
            }
            Direction::Downstream => {
                self.line.release_reply(out);
                out.end(Direction::Downstream, End::Fin);
            }
        }
    }

    fn wake(&mut self, now: Instant, out: &mut dyn Sink) {
        self.line.outgoing.wake(now, out);
        self.give_ours(now, out);
    }

    fn due(&self) -> Option<Instant> {
        let ours = self.line.awaited.due().filter(|_| self.is_between());
        ours.into_iter().chain(self.line.outgoing.due()).min()
    }

    fn has_room(&self, direction: Direction) -> bool {
        match direction {
            Direction::Upstream => self.dialect.hears_client() && self.line.has_room(),
            Direction::Downstream => true,
        }
    }

    fn change(&mut self, faults: &[MessageFault]) {
        self.line.deciders.change(faults);
    }
}
