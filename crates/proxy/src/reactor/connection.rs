//! A connection through a route: the client's socket, the upstream's, and a lane each way. Where the
//! route's protocol is known, what was read goes through its session first, which may answer itself.
//!
//! ```text
//!            ┌── session ── lane upstream ───▶┐
//!   client ──┤                                ├── upstream
//!            └◀─ lane downstream ── session ──┘
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::io::Errno;

use super::handshake::{Handshake, Progress};
use super::side::Side;
use super::socket::Read;
use crate::arms::Member;
use crate::counters::OfWorker;
use crate::group::Seat;
use crate::message::{Answered, Session, Sink};
use crate::route::{InForce, Route};
use crate::stream::{Direction, End, Lane, Piece};
use crate::tls::failures::Party;
use crate::users::Census;

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
    sides: [Side; 2],
    /// Until both sides are agreed, nothing passes.
    handshake: Option<Box<Handshake>>,
    lanes: [Lane; 2],
    session: Option<Box<dyn Session>>,
    /// Where it leads, if there are several places.
    seat: Option<Seat>,
    number: u64,
    /// Whose it is, where it is in an arm as a whole.
    member: Option<Member>,
    /// Who counts the users of the route, where somebody does.
    census: Option<Arc<Census>>,
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

impl Next {
    /// When time alone is to be waited for.
    pub(super) fn due(self) -> Option<Instant> {
        match self {
            Self::Wait(due) => due,
            Self::Again | Self::Over => None,
        }
    }
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
        sides: ([Side; 2], Option<Handshake>),
        now: Instant,
    ) -> Self {
        let lane = |direction| route.lane(number, direction, now);
        let lanes = [lane(Direction::Upstream), lane(Direction::Downstream)];
        let (sides, handshake) = sides;
        if route.mark().is_some() {
            // Until it ends in order, a RST is what the end of this process sends.
            sides.iter().for_each(Side::will_reset);
        }
        // What is spoken may be a matter of the handshake.
        let session = match &handshake {
            Some(_) => None,
            None => route.session(number, None),
        };
        let mut connection = Self {
            route,
            sides,
            handshake: handshake.map(Box::new),
            lanes,
            session,
            seat: None,
            number,
            member: None,
            census: None,
            closing: None,
            woken: None,
        };
        connection.change(now);
        connection
    }

    /// The connection, which leads to one of several places.
    pub(super) fn seated(mut self, seat: Option<Seat>) -> Self {
        self.seat = seat;
        self
    }

    /// Whether no new connection would lead where this one does.
    pub(super) fn is_unwanted(&self) -> bool {
        self.seat.as_ref().is_some_and(Seat::is_drained)
    }

    pub(super) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub(super) fn side(&mut self, side: usize) -> &mut Side {
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
        let InForce { faults, census, .. } = self.route.in_force();
        self.census = census;
        let arms = self.route.arms(&faults);
        let client = || self.sides[0].peer();
        self.member = arms
            .as_ref()
            .and_then(|arms| arms.of_connection(self.number, client));
        let arm = self.member.map(|member| member.arm);
        for direction in [Direction::Upstream, Direction::Downstream] {
            let on_stream = faults.on_stream(direction, arm);
            self.lanes[direction as usize].change(&on_stream, now);
        }
        if let Some(session) = &mut self.session {
            session.change(&faults.on_messages(arm));
            session.divide(arms);
        }
    }

    /// Both peers get a RST when this is dropped.
    pub(super) fn will_reset(&self) {
        self.sides.iter().for_each(Side::will_reset);
    }

    /// Moves what can be moved.
    pub(super) fn pump(&mut self, now: Instant, buffer: &mut [u8], counters: &OfWorker) -> Next {
        if let Some(limit) = self.closing {
            return self.drain(limit, now, buffer);
        }
        if let Some(next) = self.shake_hands(now, buffer, counters) {
            return next;
        }
        if self.advance(buffer).is_err() {
            self.will_reset();
            return Next::Over;
        }
        let again = match self.move_both(now, buffer, counters) {
            Ok(again) => again,
            Err(Stop::Reset) => {
                if let Some(alert) = self.sides[1].refusal() {
                    self.route.handshakes.add(Party::Upstream, &alert);
                    counters.failed.add(1);
                }
                self.give_up(now, counters);
                self.will_reset();
                return Next::Over;
            }
            Err(Stop::Close) => return self.close(now, buffer),
        };
        if self.sides.iter().all(Side::write_is_over) {
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
        let moving = moving.filter_map(|(lane, _)| lane.due());
        let session = self.session.as_ref().and_then(|session| session.due());
        Next::Wait(moving.chain(session).min())
    }

    /// It broke off: what was asked has no answer any more, and is counted so.
    pub(super) fn give_up(&mut self, now: Instant, counters: &OfWorker) {
        if let Some(session) = &mut self.session {
            let whose = (self.member, self.census.as_deref());
            let mut outlet = Outlet::new(&mut self.sides, &mut self.lanes, whose, now, counters);
            session.give_up(now, &mut outlet);
        }
    }

    /// What is left to do before anything passes, if there is something.
    fn shake_hands(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        counters: &OfWorker,
    ) -> Option<Next> {
        let handshake = self.handshake.as_mut()?;
        match handshake.go_on(&mut self.sides, now, buffer) {
            Progress::Over => {
                let [client, upstream] = &self.sides;
                let agreed = client.alpn().or(upstream.alpn());
                self.session = self.route.session(self.number, agreed);
                self.handshake = None;
                self.change(now);
                None
            }
            Progress::Waits => Some(Next::Wait(Some(handshake.until))),
            Progress::Failed(with, why) => {
                self.route.handshakes.add(with, &why);
                counters.failed.add(1);
                self.will_reset();
                Some(Next::Over)
            }
        }
    }

    /// Sends what earlier writes left.
    fn advance(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        self.sides
            .iter_mut()
            .try_for_each(|side| side.advance(buffer))
    }

    /// What was sent arrives, also when this is dropped.
    fn will_end(&self) {
        if self.route.mark().is_some() {
            self.sides.iter().for_each(Side::will_end);
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
        if self.advance(buffer).is_err() {
            return Next::Over;
        }
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
        if now >= limit || self.sides.iter().all(Side::read_is_over) {
            return Next::Over;
        }
        Next::Wait(Some(limit))
    }

    /// Both directions; whether there is more to do.
    fn move_both(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        counters: &OfWorker,
    ) -> Result<bool, Stop> {
        if let Some(session) = &mut self.session
            && session.due().is_some_and(|due| due <= now)
        {
            let whose = (self.member, self.census.as_deref());
            let mut outlet = Outlet::new(&mut self.sides, &mut self.lanes, whose, now, counters);
            session.wake(now, &mut outlet);
            outlet.stop()?;
        }
        let mut again = self.move_along(Direction::Upstream, now, buffer, counters)?;
        // An answer may be here within the turn of its request, and took longer than no time.
        let now = match self.session.is_some() && self.sides[1].can_read() {
            true => Instant::now(),
            false => now,
        };
        again |= self.move_along(Direction::Downstream, now, buffer, counters)?;
        let Some(session) = &self.session else {
            return Ok(again);
        };
        // What one direction brought may have been for the other, which had its turn.
        for direction in [Direction::Upstream, Direction::Downstream] {
            let [client, upstream] = &mut self.sides;
            let lane = &mut self.lanes[direction as usize];
            let (source, sink) = match direction {
                Direction::Upstream => (client, upstream),
                Direction::Downstream => (upstream, client),
            };
            send_ready(lane, sink, now, direction, counters)?;
            again |= source.can_read() && lane.has_room() && session.has_room(direction);
        }
        Ok(again)
    }

    /// One direction; whether there is more to do.
    fn move_along(
        &mut self,
        direction: Direction,
        now: Instant,
        buffer: &mut [u8],
        counters: &OfWorker,
    ) -> Result<bool, Stop> {
        for _ in 0..TURN {
            let [client, upstream] = &mut self.sides;
            let (source, sink) = match direction {
                Direction::Upstream => (client, upstream),
                Direction::Downstream => (upstream, client),
            };
            let lane = &mut self.lanes[direction as usize];
            send_ready(lane, sink, now, direction, counters)?;
            let session = self.session.as_ref();
            let full = session.is_some_and(|session| !session.has_room(direction));
            if full || !source.can_read() || !lane.has_room() {
                return Ok(false);
            }
            let read = source.read(buffer);
            if let Read::Bytes(length) = read {
                counters.received[direction as usize].add(length as u64);
            }
            let whose = (self.member, self.census.as_deref());
            let mut outlet = Outlet::new(&mut self.sides, &mut self.lanes, whose, now, counters);
            match (read, &mut self.session) {
                (Read::NotNow, _) => return Ok(false),
                (Read::Broken, _) => return Err(Stop::Reset),
                (Read::End, Some(session)) => session.end(direction, now, &mut outlet),
                (Read::End, None) => outlet.end(direction, End::Fin),
                (Read::Bytes(length), Some(session)) => {
                    session.receive(direction, &buffer[..length], now, &mut outlet);
                }
                (Read::Bytes(length), None) => outlet.send(direction, &buffer[..length]),
            }
            outlet.stop()?;
        }
        Ok(true)
    }
}

/// Where bytes go from the one who decides on them: at once to the socket if nothing is in the way,
/// otherwise into the lane.
struct Outlet<'a> {
    sides: &'a mut [Side; 2],
    lanes: &'a mut [Lane; 2],
    whose: Whose<'a>,
    now: Instant,
    counters: &'a OfWorker,
    broken: bool,
}

/// Whose a connection is, where it is in an arm as a whole, and who counts users.
type Whose<'a> = (Option<Member>, Option<&'a Census>);

impl<'a> Outlet<'a> {
    fn new(
        sides: &'a mut [Side; 2],
        lanes: &'a mut [Lane; 2],
        whose: Whose<'a>,
        now: Instant,
        counters: &'a OfWorker,
    ) -> Self {
        Self {
            sides,
            lanes,
            whose,
            now,
            counters,
            broken: false,
        }
    }

    /// What the connection comes to, if it ends here.
    fn stop(self) -> Result<(), Stop> {
        if self.broken {
            return Err(Stop::Reset);
        }
        Ok(())
    }
}

impl Sink for Outlet<'_> {
    fn send(&mut self, direction: Direction, mut bytes: &[u8]) {
        let lane = &mut self.lanes[direction as usize];
        let sink = &mut self.sides[1 - direction as usize];
        if lane.is_clear() && sink.can_write() {
            let Ok(sent) = sink.write(bytes) else {
                self.broken = true;
                return;
            };
            self.counters.sent[direction as usize].add(sent as u64);
            lane.passed(sent, self.now);
            bytes = &bytes[sent..];
        }
        if !bytes.is_empty() {
            lane.push(Piece::Data(Bytes::copy_from_slice(bytes)), self.now);
        }
    }

    fn end(&mut self, direction: Direction, end: End) {
        self.lanes[direction as usize].push(Piece::End(end), self.now);
    }

    fn answered(&mut self, answered: Answered) {
        let (of_connection, census) = self.whose;
        let member = of_connection.or(answered.member);
        let arm = member.map(|member| member.arm);
        self.counters.requests(arm).answered(answered);
        if let (Some(census), Some(member)) = (census, member) {
            census.answered(member, &answered, self.now);
        }
    }
}

/// Sends what is due, as far as the socket takes it.
fn send_ready(
    lane: &mut Lane,
    sink: &mut Side,
    now: Instant,
    direction: Direction,
    counters: &OfWorker,
) -> Result<(), Stop> {
    while sink.can_write()
        && let Some(piece) = lane.pull(now)
    {
        match piece {
            Piece::Data(mut bytes) => {
                let sent = sink.write(&bytes).map_err(|_| Stop::Reset)?;
                counters.sent[direction as usize].add(sent as u64);
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
