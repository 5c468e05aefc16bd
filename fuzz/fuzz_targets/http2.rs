//! Any bytes, both ways, as HTTP/2: never a panic, and without a fault each passes as it came.
//!
//! The first byte says whether faults are on; then come parts: a byte whose highest bit is the
//! direction and whose rest is a length, and so many bytes.

#![no_main]

use std::time::{Duration, Instant};

use firedrill_proxy::chance::Chance;
use firedrill_proxy::message::{
    BodyChange, GrpcAction, GrpcFault, GrpcMatch, HeaderChange, Http2, HttpAction, HttpFault,
    HttpMatch, Kind, MessageFault, Session, Sink,
};
use firedrill_proxy::stream::{Direction, End};
use libfuzzer_sys::fuzz_target;

#[derive(Default)]
struct Said([Vec<u8>; 2]);

impl Sink for Said {
    fn send(&mut self, direction: Direction, bytes: &[u8]) {
        self.0[direction as usize].extend_from_slice(bytes);
    }

    fn end(&mut self, _direction: Direction, _end: End) {}
}

fn faults() -> Vec<MessageFault> {
    let http = |action| {
        let matching = HttpMatch::default();
        Kind::Http(HttpFault { matching, action })
    };
    let grpc = |action| {
        let matching = GrpcMatch::default();
        Kind::Grpc(GrpcFault { matching, action })
    };
    let body = |direction, change| http(HttpAction::Body { direction, change });
    let header = |direction, change| http(HttpAction::Header { direction, change });
    let (status, name) = (503, "host".to_owned());
    let kinds = [
        http(HttpAction::Abort { status, body: "x".into() }),
        http(HttpAction::Reset),
        body(Direction::Upstream, BodyChange::Replace("ours".into())),
        body(Direction::Downstream, BodyChange::Truncate { after: 3 }),
        header(Direction::Upstream, HeaderChange::Remove { name }),
        grpc(GrpcAction::Cut { after: 1, status: None }),
    ];
    let named = kinds.into_iter().enumerate().map(|(at, kind)| MessageFault {
        name: format!("fault {at}").into(),
        share: 0.3,
        arm: None,
        kind,
    });
    named.collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((faulty, mut rest)) = data.split_first() else {
        return;
    };
    let faulty = faulty % 2 == 1;
    let faults = if faulty { faults() } else { Vec::new() };
    let mut session = Http2::new(Chance::new(1), &faults);
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
});
