//! A connection through a route: the client's socket, the upstream's, and a lane each way.
//!
//! ```text
//!            ┌── lane upstream ───▶┐
//!   client ──┤                     ├── upstream
//!            └◀─ lane downstream ──┘
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::socket::{Read, Socket};
use crate::counters::OfWorker;
use crate::route::{Route, of};
use crate::stream::{Direction, End, Lane, Piece};

/// Reads of one side in a row, after which others have their turn.
const TURN: usize = 16;

/// How long a connection that we closed waits for its peers to close it too. Closed at once, with
/// bytes that nobody read, it would be a RST, which takes what the peer has not read yet with it.
const LINGER: Duration = Duration::from_secs(1);

/// Both sides are there.
#[derive(Debug)]
pub(super) struct Connection {
    route: Arc<Route>,
    /// The client, the upstream; each the source of the lane of its index.
    sides: [Socket; 2],
    lanes: [Lane; 2],
    closing: Option<Instant>,
    /// The next time at which a timer will come to it.
    woken: Option<Instant>,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Something has to happen first; at this time at the latest.
    Wait(Option<Instant>),
    /// There is more to do, when others had their turn.
    Again,
    Over,
}

/// Where a connection ends before its bytes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Reset,
    Close,
}

impl Connection {
    pub(super) fn new(
        route: Arc<Route>,
        number: u64,
        client: Socket,
        upstream: Socket,
        now: Instant,
    ) -> Self {
        if route.mark().is_some() {
            // Until it ends in order: so a RST is what the end of this process sends.
            upstream.will_reset();
        }
        let lane = |direction| route.lane(number, direction, now);
        let lanes = [lane(Direction::Upstream), lane(Direction::Downstream)];
        Self {
            route,
            sides: [client, upstream],
            lanes,
            closing: None,
            woken: None,
        }
    }

    pub(super) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub(super) fn side(&mut self, side: usize) -> &mut Socket {
        &mut self.sides[side]
    }

    /// The time that a timer has to be set for, unless one is set that comes no later.
    pub(super) fn wake(&mut self, due: Option<Instant>, now: Instant) -> Option<Instant> {
        let due = due?;
        if self.woken.is_some_and(|woken| woken > now && woken <= due) {
            return None;
        }
        self.woken = Some(due);
        Some(due)
    }

    /// The faults of the route are others now.
    pub(super) fn change(&mut self, now: Instant) {
        let all = self.route.faults();
        self.lanes[0].change(&of(&all, Direction::Upstream), now);
        self.lanes[1].change(&of(&all, Direction::Downstream), now);
    }

    /// Both peers get a RST when this is dropped.
    pub(super) fn will_reset(&self) {
        self.sides.iter().for_each(Socket::will_reset);
    }

    /// Moves what can be moved.
    pub(super) fn pump(&mut self, now: Instant, buffer: &mut [u8], counters: &OfWorker) -> Next {
        if let Some(limit) = self.closing {
            return self.drain(limit, now, buffer);
        }
        let mut again = false;
        for direction in [0, 1] {
            match self.move_along(direction, now, buffer, counters) {
                Ok(more) => again |= more,
                Err(Stop::Reset) => {
                    self.will_reset();
                    return Next::Over;
                }
                Err(Stop::Close) => return self.close(now, buffer),
            }
        }
        if self.sides.iter().all(Socket::write_is_over) {
            self.will_end();
            return Next::Over;
        }
        if again {
            return Next::Again;
        }
        // Where the receiver takes nothing, time changes nothing.
        let sinks = self.sides.iter().rev();
        let moving = self.lanes.iter().zip(sinks);
        let moving = moving.filter(|(_, sink)| sink.can_write());
        Next::Wait(moving.filter_map(|(lane, _)| lane.due()).min())
    }

    /// What was sent arrives, also when this is dropped.
    fn will_end(&self) {
        if self.route.mark().is_some() {
            self.sides.iter().for_each(Socket::will_end);
        }
    }

    /// Ends both directions; what was sent arrives.
    pub(super) fn close(&mut self, now: Instant, buffer: &mut [u8]) -> Next {
        self.will_end();
        for side in &mut self.sides {
            if !side.write_is_over() {
                side.end();
            }
        }
        let limit = now + LINGER;
        self.closing = Some(limit);
        self.drain(limit, now, buffer)
    }

    /// Reads what nobody wants any more, until both peers have ended too.
    fn drain(&mut self, limit: Instant, now: Instant, buffer: &mut [u8]) -> Next {
        for side in &mut self.sides {
            for _ in 0..TURN {
                if !side.can_read() {
                    break;
                }
                if side.read(buffer) == Read::Broken {
                    return Next::Over;
                }
            }
        }
        if now >= limit || self.sides.iter().all(Socket::read_is_over) {
            return Next::Over;
        }
        Next::Wait(Some(limit))
    }

    /// One direction; whether there is more to do.
    fn move_along(
        &mut self,
        direction: usize,
        now: Instant,
        buffer: &mut [u8],
        counters: &OfWorker,
    ) -> Result<bool, Stop> {
        let [client, upstream] = &mut self.sides;
        let (source, sink) = match direction {
            0 => (client, upstream),
            _ => (upstream, client),
        };
        let lane = &mut self.lanes[direction];
        for _ in 0..TURN {
            send_ready(lane, sink, now, direction, counters)?;
            if !source.can_read() || !lane.has_room() {
                return Ok(false);
            }
            match source.read(buffer) {
                Read::NotNow => return Ok(false),
                Read::Broken => return Err(Stop::Reset),
                Read::End => lane.push(Piece::End(End::Fin), now),
                Read::Bytes(length) => {
                    counters.received[direction].add(length as u64);
                    let mut bytes = &buffer[..length];
                    if lane.is_clear() && sink.can_write() {
                        let sent = sink.write(bytes).map_err(|_| Stop::Reset)?;
                        counters.sent[direction].add(sent as u64);
                        lane.passed(sent, now);
                        bytes = &bytes[sent..];
                    }
                    if !bytes.is_empty() {
                        lane.push(Piece::Data(Bytes::copy_from_slice(bytes)), now);
                    }
                }
            }
        }
        Ok(true)
    }
}

/// Sends what is due, as far as the socket takes it.
fn send_ready(
    lane: &mut Lane,
    sink: &mut Socket,
    now: Instant,
    direction: usize,
    counters: &OfWorker,
) -> Result<(), Stop> {
    while sink.can_write()
        && let Some(piece) = lane.pull(now)
    {
        match piece {
            Piece::Data(mut bytes) => {
                let sent = sink.write(&bytes).map_err(|_| Stop::Reset)?;
                counters.sent[direction].add(sent as u64);
                if sent < bytes.len() {
                    lane.put_back(bytes.split_off(sent));
                }
            }
            Piece::End(End::Fin) => sink.end(),
            Piece::End(End::Reset) => return Err(Stop::Reset),
            Piece::End(End::Close) => return Err(Stop::Close),
        }
    }
    Ok(())
}
