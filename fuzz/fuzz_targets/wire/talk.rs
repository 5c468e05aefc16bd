//! Any bytes, both ways, for one session: never a panic, and without a fault each passes as it came.
//!
//! The first byte says whether faults are on; then come parts: a byte whose highest bit is the
//! direction and whose rest is a length, and so many bytes.

use std::time::{Duration, Instant};

use firedrill_proxy::chance::Chance;
use firedrill_proxy::message::{Kind, MessageFault, Session, Sink};
use firedrill_proxy::stream::{Direction, End};

#[derive(Default)]
struct Said([Vec<u8>; 2]);

impl Sink for Said {
    fn send(&mut self, direction: Direction, bytes: &[u8]) {
        self.0[direction as usize].extend_from_slice(bytes);
    }

    fn end(&mut self, _direction: Direction, _end: End) {}
}

pub fn talk<S: Session>(data: &[u8], kinds: Vec<Kind>, new: impl Fn(Chance, &[MessageFault]) -> S) {
    let Some((faulty, mut rest)) = data.split_first() else {
        return;
    };
    let faulty = faulty % 2 == 1;
    let named = kinds
        .into_iter()
        .enumerate()
        .map(|(at, kind)| MessageFault {
            name: format!("fault {at}").into(),
            share: if faulty { 0.3 } else { 0.0 },
            arm: None,
            kind,
        });
    let faults: Vec<_> = named.collect();
    let mut session = new(Chance::new(1), &faults);
    let (mut said, mut sent) = (Said::default(), Said::default());
    let mut now = Instant::now();
    while let Some((head, behind)) = rest.split_first() {
        let direction = match head >> 7 {
            0 => Direction::Upstream,
            _ => Direction::Downstream,
        };
        let (bytes, behind) = behind.split_at(behind.len().min(usize::from(head & 127)));
        rest = behind;
        session.receive(direction, bytes, now, &mut said);
        sent.send(direction, bytes);
        now += Duration::from_millis(1);
        session.wake(now, &mut said);
    }
    session.end(Direction::Upstream, now, &mut said);
    session.end(Direction::Downstream, now, &mut said);
    if !faulty {
        assert_eq!(said.0, sent.0);
    }
}
