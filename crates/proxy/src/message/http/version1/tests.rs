use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::message::{BodyChange, HeaderChange, HttpAction, HttpFault, HttpMatch, Kind, Pattern};
use crate::stream::Latency;

/// What a session said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Said {
    upstream: Vec<u8>,
    downstream: Vec<u8>,
    ends: Vec<(Direction, End)>,
    answers: Vec<(bool, bool)>,
}

impl Sink for Said {
    fn send(&mut self, direction: Direction, bytes: &[u8]) {
        match direction {
            Direction::Upstream => self.upstream.extend_from_slice(bytes),
            Direction::Downstream => self.downstream.extend_from_slice(bytes),
        }
    }

    fn end(&mut self, direction: Direction, end: End) {
        self.ends.push((direction, end));
    }

    fn answered(&mut self, answered: Answered) {
        self.answers.push((answered.well, answered.ours));
    }
}

/// A session, and a time of its own.
struct Bed {
    session: Version1,
    now: Instant,
    said: Said,
}

impl Bed {
    fn with(faults: &[MessageFault]) -> Self {
        Self {
            session: Version1::new(Chance::new(1), faults),
            now: Instant::now(),
            said: Said::default(),
        }
    }

    fn client(&mut self, text: impl AsRef<[u8]>) {
        let said = &mut self.said;
        self.session
            .receive(Direction::Upstream, text.as_ref(), self.now, said);
    }

    fn upstream(&mut self, text: impl AsRef<[u8]>) {
        let said = &mut self.said;
        self.session
            .receive(Direction::Downstream, text.as_ref(), self.now, said);
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        if self.session.due().is_some_and(|due| due <= self.now) {
            self.session.wake(self.now, &mut self.said);
        }
    }

    fn upstream_got(&self) -> &str {
        std::str::from_utf8(&self.said.upstream).unwrap()
    }

    fn client_got(&self) -> &str {
        std::str::from_utf8(&self.said.downstream).unwrap()
    }
}

fn fault(name: &str, share: f64, matching: HttpMatch, action: HttpAction) -> MessageFault {
    MessageFault {
        name: Arc::from(name),
        share,
        arm: None,
        kind: Kind::Http(HttpFault { matching, action }),
    }
}

fn on_all(action: HttpAction) -> Vec<MessageFault> {
    vec![fault("one", 1.0, HttpMatch::default(), action)]
}

fn on_path(path: &str, action: HttpAction) -> MessageFault {
    let matching = HttpMatch {
        path: Some(Pattern::new(path)),
        ..HttpMatch::default()
    };
    fault(path, 1.0, matching, action)
}

fn unavailable() -> HttpAction {
    HttpAction::Abort {
        status: 503,
        body: Bytes::from_static(b"no"),
    }
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const OURS: &str =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno";

#[test]
fn a_request_in_the_middle_is_answered_in_its_turn() {
    let mut bed = Bed::with(&[on_path("/b", unavailable())]);
    bed.client(GET);
    bed.client("POST /b?x=1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz");
    bed.client(GET);
    assert_eq!(bed.upstream_got(), [GET, GET].concat());
    assert_eq!(bed.client_got(), "");
    bed.upstream(OK);
    assert_eq!(bed.client_got(), [OK, OURS].concat());
    bed.upstream(OK);
    assert_eq!(bed.client_got(), [OK, OURS, OK].concat());
    assert_eq!(
        bed.said.answers,
        [(true, false), (false, true), (true, false)]
    );
}

#[test]
fn a_delayed_request_holds_those_behind_it_and_no_answer() {
    let delay = Duration::from_millis(80);
    let latency = Latency {
        delay,
        jitter: Duration::ZERO,
        distribution: firedrill_worker::queue::distribution::Distribution::Uniform,
        correlation: 0.0,
    };
    let mut bed = Bed::with(&[on_path("/slow", HttpAction::Delay(latency))]);
    bed.client(GET);
    let slow = "GET /slow HTTP/1.1\r\n\r\n";
    bed.client([slow, GET].concat());
    assert_eq!(bed.upstream_got(), GET);
    assert_eq!(bed.session.due(), Some(bed.now + delay));
    bed.upstream(OK);
    assert_eq!(bed.client_got(), OK);
    bed.wait(delay - Duration::from_nanos(1));
    assert_eq!(bed.upstream_got(), GET);
    bed.wait(Duration::from_nanos(1));
    assert_eq!(bed.upstream_got(), [GET, slow, GET].concat());
}

#[test]
fn a_client_that_ends_still_has_what_it_asked_for_delayed() {
    let latency = Latency {
        delay: Duration::from_secs(1),
        jitter: Duration::ZERO,
        distribution: firedrill_worker::queue::distribution::Distribution::Uniform,
        correlation: 0.0,
    };
    let mut bed = Bed::with(&on_all(HttpAction::Delay(latency)));
    bed.client(GET);
    bed.session.end(Direction::Upstream, bed.now, &mut bed.said);
    assert_eq!(bed.said, Said::default());
    bed.wait(Duration::from_secs(1));
    assert_eq!(bed.upstream_got(), GET);
    assert_eq!(bed.said.ends, [(Direction::Upstream, End::Fin)]);
}

#[test]
fn bodies_are_replaced_with_their_length_and_broken_off_without() {
    let change = |change| HttpAction::Body {
        direction: Direction::Downstream,
        change,
    };
    let replace = BodyChange::Replace(Bytes::from_static(b"bye, bye"));
    let mut bed = Bed::with(&on_all(change(replace)));
    bed.client([GET, GET].concat());
    bed.upstream("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    bed.upstream(OK);
    let other = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nbye, bye";
    assert_eq!(bed.client_got(), [other, other].concat());

    let mut bed = Bed::with(&on_all(change(BodyChange::Truncate { after: 3 })));
    bed.client(GET);
    bed.upstream(OK);
    assert_eq!(bed.client_got(), &OK[..OK.len() - 2]);
    assert_eq!(bed.said.ends, [(Direction::Downstream, End::Close)]);
}

#[test]
fn headers_are_set_added_and_removed_and_the_rest_stays_as_it_is() {
    let header = |name, direction, change| {
        let action = HttpAction::Header { direction, change };
        fault(name, 1.0, HttpMatch::default(), action)
    };
    let (name, value) = ("X-Zone".to_owned(), "b".to_owned());
    let set = HeaderChange::Set { name, value };
    let name = "etag".to_owned();
    let mut bed = Bed::with(&[
        header("set", Direction::Upstream, set),
        header("gone", Direction::Downstream, HeaderChange::Remove { name }),
    ]);
    bed.client("GET / HTTP/1.1\r\nhost:x\r\nx-zone: a\r\nX-ZONE: c\r\naccept:  *\r\n\r\n");
    let wanted = "GET / HTTP/1.1\r\nhost:x\r\naccept:  *\r\nX-Zone: b\r\n\r\n";
    assert_eq!(bed.upstream_got(), wanted);
    bed.upstream("HTTP/1.1 204 No Content\r\nETag: 7\r\nDate: now\r\n\r\n");
    assert_eq!(
        bed.client_got(),
        "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n"
    );
}

#[test]
fn an_upgraded_connection_is_left_alone() {
    let mut bed = Bed::with(&on_all(HttpAction::Header {
        direction: Direction::Upstream,
        change: HeaderChange::Remove {
            name: "x".to_owned(),
        },
    }));
    let ask = "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    bed.client([ask, "\u{1}frame"].concat());
    assert_eq!(bed.upstream_got(), ask);
    let yes = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    bed.upstream([yes, "frame of theirs"].concat());
    assert_eq!(bed.upstream_got(), [ask, "\u{1}frame"].concat());
    assert_eq!(bed.client_got(), [yes, "frame of theirs"].concat());
    bed.client("GET nothing");
    assert!(bed.upstream_got().ends_with("GET nothing"));
}

#[test]
fn an_upgrade_that_is_refused_leaves_it_http() {
    let mut bed = Bed::with(&[on_path("/b", unavailable())]);
    bed.client("POST /h2 HTTP/1.1\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab");
    assert!(bed.upstream_got().ends_with("ab"));
    bed.client("GET /b HTTP/1.1\r\n\r\n");
    bed.upstream(OK);
    assert_eq!(bed.client_got(), [OK, OURS].concat());
}

#[test]
fn a_request_that_can_be_read_in_two_ways_goes_no_further() {
    let mut bed = Bed::with(&[]);
    bed.client(GET);
    bed.client(
        "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    bed.client(GET);
    assert_eq!(bed.upstream_got(), GET);
    bed.upstream(OK);
    let refused = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(bed.client_got(), [OK, refused].concat());
    assert_eq!(bed.said.ends, [(Direction::Downstream, End::Close)]);
}

#[test]
fn an_answer_of_ours_ends_what_the_client_said_is_its_last() {
    for last in [
        "GET /b HTTP/1.1\r\nConnection: x, Close\r\n\r\n",
        "GET /b HTTP/1.0\r\n\r\n",
        "POST /b HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    ] {
        let mut bed = Bed::with(&on_all(unavailable()));
        bed.client(last);
        assert!(bed.client_got().contains("503 "), "{last}");
        assert!(bed.client_got().contains("Connection: close\r\n"), "{last}");
        assert_eq!(bed.said.ends, [(Direction::Downstream, End::Close)]);
    }
}

#[test]
fn a_head_that_never_ends_is_given_up() {
    let mut bed = Bed::with(&[]);
    bed.client("GET / HTTP/1.1\r\n");
    for _ in 0..59 {
        bed.wait(Duration::from_secs(1));
        bed.client("x: y\r\n");
    }
    assert_eq!(bed.client_got(), "");
    bed.wait(Duration::from_secs(1));
    assert!(bed.client_got().starts_with("HTTP/1.1 408 "));
    assert_eq!(bed.upstream_got(), "");
}

#[test]
fn what_waits_is_bounded() {
    let mut bed = Bed::with(&[]);
    let many = GET.repeat(3 * EXCHANGES_MOST);
    bed.client(&many);
    assert_eq!(bed.upstream_got().len(), EXCHANGES_MOST * GET.len());
    assert!(!bed.session.has_room(Direction::Upstream));
    for _ in 0..3 * EXCHANGES_MOST {
        bed.upstream(OK);
    }
    assert_eq!(bed.upstream_got(), many);
    assert!(bed.session.has_room(Direction::Upstream));
}

#[test]
fn an_answer_that_cannot_be_read_goes_on_as_it_is() {
    for answer in [
        "<html>",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "\r\n\r\n",
    ] {
        let mut bed = Bed::with(&on_all(unavailable()));
        bed.session.change(&[]);
        bed.client(GET);
        bed.upstream(answer);
        bed.session
            .end(Direction::Downstream, bed.now, &mut bed.said);
        assert_eq!(bed.client_got(), answer);
        assert_eq!(bed.said.ends, [(Direction::Downstream, End::Fin)]);
    }
}

/// Requests and their answers, well formed.
fn exchange() -> impl Strategy<Value = (String, String)> {
    let name = "[a-z]{1,6}";
    let body = "[ -~]{0,40}";
    let request =
        (name, prop::option::of(body), any::<bool>()).prop_map(|(path, body, chunked)| {
            message(&format!("POST /{path} HTTP/1.1"), body.as_deref(), chunked)
        });
    let answer =
        (prop::option::of(body), any::<bool>(), 0_u8..4).prop_map(|(body, chunked, interim)| {
            let body = body.unwrap_or_default();
            let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(interim.into());
            interim + &message("HTTP/1.1 200 OK", Some(&body), chunked)
        });
    (request, answer)
}

fn message(first: &str, body: Option<&str>, chunked: bool) -> String {
    match body {
        None => format!("{first}\r\nHost: x\r\n\r\n"),
        Some(body) if chunked && !body.is_empty() => {
            let (one, two) = body.split_at(body.len() / 2);
            let chunk = |part: &str| match part {
                "" => String::new(),
                part => format!("{:x}\r\n{part}\r\n", part.len()),
            };
            let chunks = [chunk(one), chunk(two)].concat();
            format!("{first}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
        }
        Some(body) => format!("{first}\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
    }
}

/// Gives a session the requests and then the answers, in parts of these sizes.
fn run(faults: &[MessageFault], exchanges: &[(String, String)], sizes: &[usize]) -> Said {
    let mut bed = Bed::with(faults);
    let mut sizes = sizes.iter().cycle();
    for (direction, at) in [(Direction::Upstream, 0), (Direction::Downstream, 1)] {
        let texts = exchanges
            .iter()
            .map(|pair| if at == 0 { &*pair.0 } else { &*pair.1 });
        let whole = texts.collect::<String>().into_bytes();
        let mut rest = &whole[..];
        while !rest.is_empty() {
            let (part, behind) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            bed.session.receive(direction, part, bed.now, &mut bed.said);
            rest = behind;
        }
    }
    bed.said
}

proptest! {
    #[test]
    fn without_a_fault_every_byte_is_as_it_came(
        exchanges in prop::collection::vec(exchange(), 0..6),
        sizes in prop::collection::vec(1_usize..50, 1..8),
    ) {
        let said = run(&[], &exchanges, &sizes);
        let (asked, answered): (String, String) = exchanges.iter().cloned().unzip();
        prop_assert_eq!(String::from_utf8(said.upstream).unwrap(), asked);
        prop_assert_eq!(String::from_utf8(said.downstream).unwrap(), answered);
        prop_assert!(said.ends.is_empty());
        prop_assert_eq!(said.answers.len(), exchanges.len());
    }

    #[test]
    fn it_does_not_matter_in_what_parts_it_came(
        exchanges in prop::collection::vec(exchange(), 0..6),
        sizes in prop::collection::vec(1_usize..50, 1..8),
        action in 0_usize..5,
        share in 0.0..1.0_f64,
    ) {
        let both = |direction, change| HttpAction::Body { direction, change };
        let actions = [
            both(Direction::Downstream, BodyChange::Corrupt { share }),
            both(Direction::Upstream, BodyChange::Replace(Bytes::from_static(b"x"))),
            both(Direction::Downstream, BodyChange::Truncate { after: 7 }),
            HttpAction::Header {
                direction: Direction::Downstream,
                change: HeaderChange::Add { name: "a".into(), value: "b".into() },
            },
            both(Direction::Upstream, BodyChange::Corrupt { share }),
        ];
        let faults = [fault("x", 0.5, HttpMatch::default(), actions[action].clone())];
        let (whole, parts) = (run(&faults, &exchanges, &[1 << 20]), run(&faults, &exchanges, &sizes));
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn editing_one_fault_changes_no_decision_of_another(seed: u64, number in 0_u64..1000) {
        let one = fault("one", 0.5, HttpMatch::default(), unavailable());
        let two = fault("two", 0.5, HttpMatch::default(), HttpAction::Reset);
        let alone = Deciders::new(std::slice::from_ref(&one));
        let beside = Deciders::new(&[two, one]);
        let decide = |deciders: &Deciders| deciders.decide(Chance::new(seed), number, b"GET", b"/", &[], None).instead;
        if let Some(instead) = decide(&alone) {
            let both = decide(&beside);
            prop_assert!(both == Some(instead) || both == Some(super::super::decision::Instead::Reset));
        } else {
            prop_assert_ne!(decide(&beside).map(|instead| matches!(instead, super::super::decision::Instead::Answer { .. })), Some(true));
        }
    }

    #[test]
    fn any_bytes_are_borne(
        parts in prop::collection::vec((any::<bool>(), prop::collection::vec(prop_oneof![
            Just(b'\r'), Just(b'\n'), Just(b' '), Just(b':'), Just(b'1'), any::<u8>()
        ], 0..80)), 0..12),
    ) {
        let mut bed = Bed::with(&on_all(unavailable()));
        bed.client("GET / HTTP/1.1\r\n");
        for (of_client, bytes) in parts {
            if of_client { bed.client(bytes) } else { bed.upstream(bytes) }
        }
        bed.session.end(Direction::Upstream, bed.now, &mut bed.said);
        bed.session.end(Direction::Downstream, bed.now, &mut bed.said);
    }
}

#[test]
fn a_request_that_gets_no_answer_any_more_went_badly() {
    let latency = Latency {
        delay: Duration::from_millis(300),
        jitter: Duration::ZERO,
        distribution: firedrill_worker::queue::distribution::Distribution::Uniform,
        correlation: 0.0,
    };
    let late = HttpAction::Delay(latency);
    let mut bed = Bed::with(&on_all(late.clone()));
    bed.client(GET);
    // Its client gave up: what waits goes on all the same, and nobody answers it.
    bed.session.end(Direction::Upstream, bed.now, &mut bed.said);
    bed.wait(Duration::from_millis(300));
    assert_eq!(bed.upstream_got(), GET);
    assert_eq!(bed.said.answers, []);
    bed.session
        .end(Direction::Downstream, bed.now, &mut bed.said);
    assert_eq!(bed.said.answers, [(false, false)]);
    // A connection that breaks off while the fault holds the request back: by the fault.
    let mut broken = Bed::with(&on_all(late));
    broken.client(GET);
    broken.session.give_up(broken.now, &mut broken.said);
    assert_eq!(broken.said.answers, [(false, true)]);
    // A connection that ends between requests is no request.
    let mut idle = Bed::with(&[]);
    idle.client(GET);
    idle.upstream(OK);
    idle.session
        .end(Direction::Downstream, idle.now, &mut idle.said);
    assert_eq!(idle.said.answers, [(true, false)]);
}
