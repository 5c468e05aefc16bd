//! Any bytes, both ways, for one session: never a panic, and without a fault each passes as it came.
//!
//! The first byte says which share of the messages faults are on; then come parts: a byte whose
//! highest bit is the direction and whose rest is a length, and so many bytes. As in the reactor,
//! nothing is given to a session that has no room for it, or that ended the connection.

use std::time::{Duration, Instant};

use firedrill_proxy::chance::Chance;
use firedrill_proxy::message::{Kind, MessageFault, Session, Sink};
use firedrill_proxy::stream::{Direction, End, Latency};

/// What a session said.
#[derive(Default)]
pub struct Said {
    bytes: [Vec<u8>; 2],
    is_over: bool,
}

impl Sink for Said {
    fn send(&mut self, direction: Direction, bytes: &[u8]) {
        self.bytes[direction as usize].extend_from_slice(bytes);
    }

    fn end(&mut self, _direction: Direction, end: End) {
        self.is_over |= end != End::Fin;
    }
}

/// What was given to a session, and what became of it: upstream, downstream.
pub struct Carried {
    pub sent: [Vec<u8>; 2],
    pub said: [Vec<u8>; 2],
    pub is_faulty: bool,
}

/// A delay for the faults of a target.
pub fn delay() -> Latency {
    Latency {
        delay: Duration::from_millis(3),
        jitter: Duration::from_millis(2),
        distribution: Default::default(),
        correlation: 0.0,
    }
}

/// Carries the bytes, and insists that without a fault none is another.
pub fn talk<S: Session>(data: &[u8], kinds: Vec<Kind>, new: impl Fn(Chance, &[MessageFault]) -> S) {
    if let Some(carried) = carry(data, kinds, new)
        && !carried.is_faulty
    {
        assert_eq!(carried.said, carried.sent);
    }
}

/// Carries the bytes from each side to the other.
pub fn carry<S: Session>(
    data: &[u8],
    kinds: Vec<Kind>,
    new: impl Fn(Chance, &[MessageFault]) -> S,
) -> Option<Carried> {
    let (share, mut rest) = data.split_first()?;
    let share = [None, Some(0.3), Some(1.0), Some(0.0)][usize::from(share % 4)];
    let named = kinds.into_iter().enumerate().map(|(at, kind)| MessageFault {
        name: format!("fault {at}").into(),
        share: share.unwrap_or_default(),
        arm: None,
        kind,
    });
    let faults: Vec<_> = named.filter(|_| share.is_some()).collect();
    let mut session = new(Chance::new(1), &faults);
    let mut said = Said::default();
    let mut sent = [Vec::new(), Vec::new()];
    let mut now = Instant::now();
    while let Some((head, behind)) = rest.split_first()
        && !said.is_over
    {
        let direction = match head >> 7 {
            0 => Direction::Upstream,
            _ => Direction::Downstream,
        };
        let (bytes, behind) = behind.split_at(behind.len().min(usize::from(head & 127)));
        rest = behind;
        if session.has_room(direction) {
            session.receive(direction, bytes, now, &mut said);
            sent[direction as usize].extend_from_slice(bytes);
        }
        now += Duration::from_millis(1);
        session.wake(now, &mut said);
    }
    for direction in [Direction::Upstream, Direction::Downstream] {
        if !said.is_over {
            session.end(direction, now, &mut said);
        }
        now += Duration::from_millis(100);
        if !said.is_over {
            session.wake(now, &mut said);
        }
    }
    Some(Carried {
        sent,
        said: said.bytes,
        is_faulty: share.is_some_and(|share| share > 0.0),
    })
}
