mod frames;
mod given_up;
mod limits;
mod misuse;
mod properties;

use std::time::{Duration, Instant};

use super::*;
use crate::message::{
    Answered, BodyChange, GrpcAction, GrpcFault, GrpcMatch, GrpcStatus, HeaderChange, HttpAction,
    HttpFault, HttpMatch, Kind,
};
use crate::stream::Latency;
use firedrill_worker::queue::distribution::Distribution;

const LATER: Duration = Duration::from_secs(1);

/// What a session said, by direction.
#[derive(Debug, Default, PartialEq)]
struct Said {
    bytes: [Vec<u8>; 2],
    ends: [Option<End>; 2],
    answers: Vec<Answered>,
}

impl Sink for Said {
    fn send(&mut self, direction: Direction, bytes: &[u8]) {
        assert_eq!(self.ends[direction as usize], None, "behind the end");
        self.bytes[direction as usize].extend_from_slice(bytes);
    }

    fn end(&mut self, direction: Direction, end: End) {
        assert_eq!(self.ends[direction as usize], None, "a second end");
        self.ends[direction as usize] = Some(end);
    }

    fn answered(&mut self, answered: Answered) {
        self.answers.push(answered);
    }
}

/// A session in a time of its own.
struct Bed {
    session: Http2,
    now: Instant,
    said: Said,
}

impl Bed {
    fn new(faults: &[MessageFault]) -> Self {
        Self {
            session: Http2::new(Chance::new(7), faults),
            now: Instant::now(),
            said: Said::default(),
        }
    }

    /// Both sides have said hello.
    fn greeted(faults: &[MessageFault]) -> Self {
        let mut bed = Self::new(faults);
        bed.client(&[frame::PREFACE, &frames::settings(&[])].concat());
        bed.upstream(&[frames::settings(&[]), frames::acknowledge()].concat());
        bed.client(&frames::acknowledge());
        bed.heard();
        bed
    }

    fn client(&mut self, bytes: &[u8]) {
        self.receive(Direction::Upstream, bytes);
    }

    fn upstream(&mut self, bytes: &[u8]) {
        self.receive(Direction::Downstream, bytes);
    }

    fn receive(&mut self, direction: Direction, bytes: &[u8]) {
        self.session
            .receive(direction, bytes, self.now, &mut self.said);
    }

    fn end(&mut self, direction: Direction) {
        self.session.end(direction, self.now, &mut self.said);
    }

    fn later(&mut self) {
        self.now += LATER;
        self.session.wake(self.now, &mut self.said);
    }

    /// What was said since: to the upstream, to the client.
    fn heard(&mut self) -> [Vec<u8>; 2] {
        std::mem::take(&mut self.said.bytes)
    }
}

fn http(name: &str, share: f64, action: HttpAction) -> MessageFault {
    let matching = HttpMatch::default();
    let kind = Kind::Http(HttpFault { matching, action });
    let name = name.into();
    MessageFault {
        name,
        share,
        arm: None,
        kind,
    }
}

fn grpc(name: &str, share: f64, action: GrpcAction) -> MessageFault {
    let matching = GrpcMatch::default();
    let kind = Kind::Grpc(GrpcFault { matching, action });
    let name = name.into();
    MessageFault {
        name,
        share,
        arm: None,
        kind,
    }
}

fn delay() -> Latency {
    Latency {
        delay: LATER,
        jitter: Duration::ZERO,
        distribution: Distribution::Uniform,
        correlation: 0.0,
    }
}

fn abort() -> HttpAction {
    HttpAction::Abort {
        status: 503,
        body: "broken".into(),
    }
}

/// One fault of each kind.
fn all(share: f64) -> Vec<MessageFault> {
    let body = |direction, change| HttpAction::Body { direction, change };
    let header = |direction, change| HttpAction::Header { direction, change };
    let [up, down] = [Direction::Upstream, Direction::Downstream];
    let unavailable = || GrpcStatus {
        code: 14,
        message: "drill".into(),
    };
    let set = HeaderChange::Set {
        name: "Host".into(),
        value: "elsewhere".into(),
    };
    let remove = HeaderChange::Remove { name: "a".into() };
    let cut = |after, status| GrpcAction::Cut { after, status };
    vec![
        http("delay", share, HttpAction::Delay(delay())),
        http("abort", share / 4.0, abort()),
        http("reset", share / 4.0, HttpAction::Reset),
        http(
            "replace",
            share,
            body(up, BodyChange::Replace("ours".into())),
        ),
        http(
            "truncate",
            share,
            body(down, BodyChange::Truncate { after: 9 }),
        ),
        http(
            "corrupt",
            share,
            body(down, BodyChange::Corrupt { share: 0.5 }),
        ),
        http("set", share, header(up, set)),
        http("remove", share, header(down, remove)),
        grpc("status", share / 4.0, GrpcAction::Abort(unavailable())),
        grpc("call", share, GrpcAction::Delay(delay())),
        grpc("cut", share, cut(1, Some(unavailable()))),
        grpc("break", share, cut(2, None)),
    ]
}
