//! What a wire protocol says of itself.

use std::fmt::Debug;
use std::time::Instant;

use super::line::Line;
use super::{Cursor, Decision, Kept, Rest, Shape, WireFault};
use crate::message::Sink;

/// One protocol on one connection: where its frames end, and what they mean. It sees only heads;
/// everything else is [`Conversation`](super::Conversation)'s.
pub(in crate::message) trait Dialect: Debug + Send + Sized + 'static {
    type Fault: WireFault;

    /// What has to be known of an answer of the upstream until it has come.
    type Reply: Kept;

    /// How the end of a frame is told behind its head.
    type Rest: Rest;

    /// What is known about a frame of the client's when its head is.
    type About;

    /// What the client's bytes begin with; `is_watched`, if a fault may be on it.
    fn request_shape(&self, bytes: &[u8], is_watched: bool) -> Shape<Self::Rest, Self::About>;

    /// A frame of the client's begins. Whether it goes on.
    fn take_request(
        &mut self,
        head: &[u8],
        about: Self::About,
        asking: &mut Asking<'_, '_, Self>,
    ) -> bool;

    /// What the server's bytes begin with.
    fn reply_shape(&self, bytes: &[u8]) -> Shape<Self::Rest>;

    /// A frame of the server's begins.
    fn take_reply(&mut self, head: &[u8], answering: &mut Answering<'_, Self>) -> Becomes;

    /// Whether no answer of several frames has begun and not ended.
    fn is_between(&self) -> bool {
        true
    }

    /// Whether the client may speak, and need not wait for the server to.
    fn hears_client(&self) -> bool {
        true
    }
}

/// What a fault of this dialect puts in place of an answer.
pub(in crate::message) type ErrorOf<D> = <<D as Dialect>::Fault as WireFault>::Error;

/// What becomes of a frame of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::message) enum Becomes {
    /// It goes on, and says nothing about an answer that is awaited, or not all.
    Passes,
    /// It goes on, and the answer in front ends with it.
    Answers { well: bool },
    /// It does not go on, and these bytes do.
    Replaced(Vec<u8>),
    /// The connection ends with these bytes instead.
    Refused(Vec<u8>),
    /// It goes on, and nobody can tell what comes behind it.
    Lost,
}

/// What can be done about a request that begins.
pub(in crate::message) struct Asking<'a, 'b, D: Dialect> {
    pub(super) line: &'a mut Line<D>,
    pub(super) cursor: &'a mut Cursor<'b>,
    pub(super) now: Instant,
    pub(super) out: &'a mut dyn Sink,
}

impl<D: Dialect> Asking<'_, '_, D> {
    /// Whether a fault may be on the request.
    pub(in crate::message) fn is_watched(&self) -> bool {
        !self.line.deciders.is_empty()
    }

    /// Decides on the request. Its delays begin, for what is behind it too; the error is for the
    /// dialect to give.
    pub(in crate::message) fn decide(
        &mut self,
        fits: impl Fn(&D::Fault) -> bool,
    ) -> Option<ErrorOf<D>> {
        let number = self.line.number;
        self.count();
        let Decision { delay, error } = self.line.deciders.decide(number, fits);
        if !delay.is_zero() {
            self.flush();
            self.line.outgoing.delay(self.now + delay);
        }
        error
    }

    /// The request has its number, and nothing is decided.
    pub(in crate::message) fn count(&mut self) {
        self.line.number += 1;
    }

    /// The upstream will answer like this.
    pub(in crate::message) fn expect(&mut self, reply: D::Reply) {
        self.line.awaited.push(reply, self.now);
    }

    /// This is the answer, in its place and when the request would have gone on.
    pub(in crate::message) fn answer(&mut self, ours: Vec<u8>) {
        let due = self.line.outgoing.turn(self.now);
        self.line.awaited.push_ours(ours, self.now, due);
    }

    /// The upstream gets this next.
    pub(in crate::message) fn say(&mut self, bytes: &[u8]) {
        self.flush();
        self.line.outgoing.send(bytes, self.now, self.out);
    }

    /// What the upstream answers next, if that is known.
    pub(in crate::message) fn awaited(&self) -> Option<&D::Reply> {
        self.line.awaited.front()
    }

    pub(in crate::message) fn awaits_nothing(&self) -> bool {
        self.line.awaited.is_empty()
    }

    /// Whether the frame before this one went on.
    pub(in crate::message) fn went(&self) -> bool {
        self.line.goes
    }

    /// From here on the client's stream is bytes.
    pub(in crate::message) fn follow_no_more(&mut self) {
        self.line.follow_no_more(self.now, self.out);
    }

    /// What is in front of the request goes first.
    fn flush(&mut self) {
        let outgoing = &mut self.line.outgoing;
        self.cursor
            .flush(|bytes| outgoing.send(bytes, self.now, self.out));
    }
}

/// What can be done about a reply that begins.
pub(in crate::message) struct Answering<'a, D: Dialect> {
    pub(super) line: &'a mut Line<D>,
    pub(super) now: Instant,
    pub(super) out: &'a mut dyn Sink,
}

impl<D: Dialect> Answering<'_, D> {
    /// What the upstream answers next, if that is known.
    pub(in crate::message) fn awaited(&self) -> Option<&D::Reply> {
        self.line.awaited.front()
    }

    /// The answer in front has begun, and says how it went.
    pub(in crate::message) fn begin(&mut self, well: bool) {
        self.line.awaited.begin(well);
    }

    /// The answer in front has come.
    pub(in crate::message) fn end(&mut self) {
        self.line.awaited.pop(self.now, self.out);
    }

    /// The answer in front will not come, or is none to be counted.
    pub(in crate::message) fn forget(&mut self) {
        self.line.awaited.forget();
    }

    /// Forgets those before the first one that ends it, if they are like this. Whether one ended it.
    pub(in crate::message) fn forget_all(
        &mut self,
        like: impl Fn(&D::Reply) -> bool,
        until: impl Fn(&D::Reply) -> bool,
    ) -> bool {
        self.line.awaited.forget_all(like, until)
    }

    /// The answer in front has come, and the client gets this for it.
    pub(in crate::message) fn replace(&mut self, ours: Vec<u8>) -> Becomes {
        self.line.awaited.pop_replaced(self.now, self.out);
        Becomes::Replaced(ours)
    }

    /// What the connection gets instead of being let in.
    pub(in crate::message) fn refusal(&self) -> Option<ErrorOf<D>> {
        self.line.deciders.refusal()
    }

    /// From here on the client's stream is bytes.
    pub(in crate::message) fn follow_no_more(&mut self) {
        self.line.follow_no_more(self.now, self.out);
    }
}
