//! A request and its answer, where something is done with them or may have to be.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::body::Changes;
use super::error::Code;
use super::hpack::Field;
use super::window::Window;
use crate::stream::Direction;

#[derive(Debug)]
pub(super) struct Stream {
    /// Its number at the upstream, once it is there. Streams have to be opened in the order of
    /// their numbers, so one that is held gets another, and so do those behind it.
    pub(super) upstream: Option<u32>,
    /// A `HEAD` request: its answer has no body, whatever it tells.
    pub(super) head: bool,
    halves: [Half; 2],
}

/// One direction of a stream.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// What waits to go out.
    pub(super) queue: VecDeque<Item>,
    /// Until then, whatever comes.
    pub(super) hold: Option<Instant>,
    /// None: its sender's view of it is right, because nothing was ever added or taken.
    pub(super) window: Option<Window>,
    pub(super) changes: Changes,
    /// The headers have come; what comes next are trailers.
    pub(super) headed: bool,
    /// What comes goes nowhere.
    pub(super) swallow: bool,
    /// The sender is at its end.
    pub(super) ended: bool,
    /// The receiver was told that it is.
    pub(super) told: bool,
}

/// Something that waits to go out.
#[derive(Debug)]
pub(super) enum Item {
    Headers {
        fields: Vec<Field>,
        end: bool,
    },
    Data {
        bytes: Bytes,
        end: bool,
        /// It is not from the sender.
        ours: bool,
    },
    Reset(Code),
}

impl Item {
    /// Bytes that it holds, and that came from the sender.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Headers { fields, .. } => {
                let size = |field: &Field| field.name.len() + field.value.len() + 32;
                fields.iter().map(size).sum()
            }
            Self::Data { ours: true, .. } | Self::Reset(_) => 0,
            Self::Data { bytes, .. } => bytes.len(),
        }
    }

    /// Bytes of the sender's that flow control counts.
    pub(super) fn counted(&self) -> usize {
        match self {
            Self::Data {
                bytes, ours: false, ..
            } => bytes.len(),
            _ => 0,
        }
    }
}

impl Stream {
    /// With the windows of both directions.
    pub(super) fn new(changes: [Changes; 2], windows: [i64; 2]) -> Self {
        let mut halves: [Half; 2] = Default::default();
        for ((half, changes), window) in halves.iter_mut().zip(changes).zip(windows) {
            half.changes = changes;
            half.window = Some(Window::new(window));
        }
        Self {
            upstream: None,
            head: false,
            halves,
        }
    }

    /// One that began before anything was done with the connection, and keeps its number.
    pub(super) fn old(number: u32) -> Self {
        let headed = || Half {
            headed: true,
            ..Half::default()
        };
        Self {
            upstream: Some(number),
            head: false,
            halves: [headed(), headed()],
        }
    }

    pub(super) fn half(&mut self, direction: Direction) -> &mut Half {
        &mut self.halves[direction as usize]
    }

    pub(super) fn number(&self, key: u32, direction: Direction) -> Option<u32> {
        match direction {
            Direction::Upstream => self.upstream,
            Direction::Downstream => Some(key),
        }
    }

    /// Whether a fault has its request or its answer wait.
    pub(super) fn is_held(&self) -> bool {
        self.halves.iter().any(|half| half.hold.is_some())
    }

    /// Whether no answer waits to go out, of the upstream or of ours.
    pub(super) fn has_no_answer_left(&self) -> bool {
        let [request, answer] = &self.halves;
        let is_ours = self.upstream.is_none() && request.swallow;
        !is_ours && answer.queue.is_empty()
    }

    /// Whether nothing more is to come or to go.
    pub(super) fn is_over(&self) -> bool {
        let [request, answer] = &self.halves;
        let idle = |half: &Half| half.queue.is_empty();
        request.ended && answer.told && idle(request) && idle(answer)
    }
}
