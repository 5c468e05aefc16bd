//! Single histories, frame by frame.

use super::super::{frame as wire, hpack};
use super::frames::{acknowledge, call, data, frame, get, headers, more, reset, settings, told};
use super::*;
use crate::arms::{self, Arm, Split};

fn told_of(bed: &mut Bed) -> [Vec<String>; 2] {
    bed.heard().map(|bytes| told(&bytes))
}

const OK: &[(&str, &str)] = &[(":status", "200")];

#[test]
fn what_the_upstream_may_send_is_less_by_what_we_sent() {
    let mut bed = Bed::greeted(&[http("abort", 0.5, abort())]);
    let hit = (0..).find(|n| bed_hits(*n)).expect("a hit");
    for number in 0..hit {
        bed.client(&get(2 * number as u32 + 1, "/"));
    }
    bed.heard();
    let key = 2 * hit as u32 + 1;
    bed.client(&get(key, "/"));
    let [up, down] = told_of(&mut bed);
    assert_eq!(up, Vec::<String>::new());
    assert_eq!(
        down,
        [
            format!("headers {key} :status=503 content-length=6"),
            format!("data {key} \"broken\" end"),
        ]
    );
    // The client grants what it has read: six bytes of it are nobody's at the upstream.
    bed.client(&more(0, 5));
    bed.client(&more(0, 7));
    assert_eq!(told_of(&mut bed)[0], ["more 0 6"]);
    bed.client(&more(0, 9));
    assert_eq!(told_of(&mut bed)[0], ["more 0 9"]);
}

fn bed_hits(number: u64) -> bool {
    http("abort", 0.5, abort()).falls_on(Chance::new(7), number)
}

#[test]
fn an_answer_of_ours_waits_for_the_window_and_takes_no_room_that_is_not_there() {
    let body = vec![b'x'; 70_000];
    let action = HttpAction::Abort {
        status: 503,
        body: body.into(),
    };
    let mut bed = Bed::greeted(&[http("abort", 1.0, action)]);
    let lengths = |bed: &mut Bed| -> Vec<usize> {
        let [_, down] = bed.heard();
        let told = told(&down);
        let data = told.iter().filter(|line| line.starts_with("data"));
        data.map(|line| line.matches('x').count()).collect()
    };
    bed.client(&get(1, "/"));
    assert_eq!(lengths(&mut bed), [16_384, 16_384, 16_384, 16_383]);
    bed.client(&more(0, 10_000));
    assert!(lengths(&mut bed).is_empty(), "the stream has no room");
    bed.client(&more(1, 1000));
    assert_eq!(lengths(&mut bed), [1000]);
    // A larger window counts once the upstream has acknowledged it, as for the upstream.
    bed.client(&settings(&[(4, 65_535 + 3000)]));
    assert!(lengths(&mut bed).is_empty());
    bed.upstream(&acknowledge());
    assert_eq!(lengths(&mut bed), [3000]);
    bed.client(&more(1, 10_000));
    assert_eq!(lengths(&mut bed), [465]);
}

#[test]
fn a_body_that_nobody_gets_is_granted_back() {
    let mut bed = Bed::greeted(&[http("abort", 1.0, abort())]);
    bed.client(&headers(1, &[(":method", "PUT"), (":path", "/")], false));
    bed.heard();
    bed.client(&data(1, b"12345", false));
    assert_eq!(
        told_of(&mut bed),
        [vec![], vec!["more 0 5".to_owned(), "more 1 5".into()]]
    );
    bed.client(&data(1, b"12", true));
    assert_eq!(told_of(&mut bed), [vec![], vec!["more 0 2".to_owned()]]);
    assert_eq!(bed.session.streams.weights(), [(0, 0); 2]);
    // It is over: what comes for it now is for nobody.
    bed.client(&[reset(1, 8), more(1, 9)].concat());
    assert_eq!(told_of(&mut bed), [const { Vec::<String>::new() }; 2]);
}

#[test]
fn a_held_request_gets_another_number_and_everything_of_it_is_translated() {
    let delayed = HttpMatch {
        path: Some("/slow".parse().expect("a pattern")),
        ..HttpMatch::default()
    };
    let mut fault = http("delay", 1.0, HttpAction::Delay(delay()));
    if let Kind::Http(http) = &mut fault.kind {
        http.matching = delayed;
    }
    let mut bed = Bed::greeted(&[fault]);
    bed.client(&headers(
        1,
        &[(":method", "PUT"), (":path", "/slow")],
        false,
    ));
    bed.client(&[data(1, b"body", true), get(3, "/quick"), more(1, 50)].concat());
    let quick = "headers 3 :method=GET :path=/quick end";
    assert_eq!(told_of(&mut bed)[0], [quick]);
    bed.later();
    let slow = [
        "headers 5 :method=PUT :path=/slow",
        "more 5 50",
        "data 5 \"body\" end",
    ];
    assert_eq!(told_of(&mut bed)[0], slow);
    bed.client(&get(5, "/quick"));
    assert_eq!(
        told_of(&mut bed)[0],
        ["headers 7 :method=GET :path=/quick end"]
    );
    bed.upstream(
        &[
            headers(7, OK, true),
            headers(5, OK, false),
            data(5, b"ok", true),
        ]
        .concat(),
    );
    let answers = [
        "headers 5 :status=200 end",
        "headers 1 :status=200",
        "data 1 \"ok\" end",
    ];
    assert_eq!(told_of(&mut bed)[1], answers);
    bed.client(&reset(3, 8));
    assert_eq!(told_of(&mut bed)[0], ["reset 3 8"]);
}

#[test]
fn a_server_that_leaves_refuses_what_it_has_not_seen() {
    let mut bed = Bed::greeted(&[http("delay", 0.5, HttpAction::Delay(delay()))]);
    let falls = |n| {
        http(
            "delay",
            0.5,
            HttpAction::Abort {
                status: 1,
                body: "".into(),
            },
        )
        .falls_on(Chance::new(7), n)
    };
    let keys: Vec<u32> = (0..8).map(|n| 2 * n + 1).collect();
    for key in &keys {
        bed.client(&get(*key, "/"));
    }
    bed.heard();
    let (held, sent): (Vec<u32>, Vec<u32>) =
        keys.iter().partition(|key| falls(u64::from(**key / 2)));
    let last = *sent.last().expect("some are sent");
    bed.upstream(&frame(
        wire::GOAWAY,
        0,
        0,
        &[last.to_be_bytes(), [0; 4]].concat(),
    ));
    let refused = held.iter().map(|key| format!("reset {key} 7"));
    let expected: Vec<String> = std::iter::once(format!("goaway {last} 0"))
        .chain(refused)
        .collect();
    assert_eq!(told_of(&mut bed)[1], expected);
    bed.later();
    assert_eq!(told_of(&mut bed), [vec![], Vec::<String>::new()]);
}

#[test]
fn nothing_of_ours_comes_before_the_upstream_has_said_hello() {
    let mut bed = Bed::new(&[http("abort", 1.0, abort())]);
    bed.client(&[wire::PREFACE, &settings(&[]), &get(1, "/")].concat());
    assert_eq!(bed.heard()[1], b"");
    bed.upstream(&settings(&[]));
    let down = told(&bed.heard()[1]);
    assert_eq!(down[0], "settings");
    assert_eq!(down[2], "data 1 \"broken\" end");
}

#[test]
fn nothing_of_ours_comes_in_the_middle_of_a_frame() {
    let mut bed = Bed::greeted(&[http("abort", 1.0, abort())]);
    // A push, say: a stream that no request of the client has begun.
    let pushed = data(2, b"pushed", false);
    bed.client(&get(1, "/"));
    bed.heard();
    bed.upstream(&pushed[..11]);
    bed.client(&get(3, "/"));
    bed.upstream(&pushed[11..]);
    let down = told(&bed.heard()[1]);
    assert_eq!(down[0], "data 2 \"pushed\"");
    assert_eq!(down[1], "headers 3 :status=503 content-length=6");
}

#[test]
fn a_call_that_is_cut_is_cancelled_at_the_server() {
    let status = Some(GrpcStatus {
        code: 8,
        message: String::new(),
    });
    let mut bed = Bed::greeted(&[grpc("cut", 1.0, GrpcAction::Cut { after: 1, status })]);
    bed.client(&[call(1), data(1, b"\0\0\0\0\x01a", true)].concat());
    bed.heard();
    bed.upstream(&headers(1, OK, false));
    bed.upstream(&data(1, b"\0\0\0\0\x02bc\0\0\0\0\x01d", false));
    let [up, down] = told_of(&mut bed);
    assert_eq!(up, ["reset 1 8", "more 0 6"]);
    assert_eq!(
        down[1..],
        [
            "data 1 \"\\0\\0\\0\\0\\u{2}bc\"",
            "headers 1 grpc-status=8 end"
        ]
    );
    // What was on its way goes nowhere.
    bed.upstream(
        &[
            data(1, b"late", false),
            headers(1, &[("grpc-status", "0")], true),
        ]
        .concat(),
    );
    assert_eq!(told_of(&mut bed), [vec!["more 0 4".to_owned()], vec![]]);
}

#[test]
fn a_call_can_be_cut_before_its_first_message() {
    let cut = GrpcAction::Cut {
        after: 0,
        status: None,
    };
    let mut bed = Bed::greeted(&[grpc("cut", 1.0, cut)]);
    bed.client(&[call(1), data(1, b"\0\0\0\0\x01a", true)].concat());
    bed.heard();
    bed.upstream(&headers(1, OK, false));
    let expected = [
        vec!["reset 1 8".to_owned()],
        vec!["headers 1 :status=200".into(), "reset 1 2".into()],
    ];
    assert_eq!(told_of(&mut bed), expected);
}

#[test]
fn a_managed_connection_that_breaks_the_protocol_ends_with_a_reason() {
    let broken: [(Vec<u8>, u32); 6] = [
        (frame(wire::HEADERS, wire::END_HEADERS, 3, &[0xff]), 9),
        (frame(wire::CONTINUATION, 0, 3, &[]), 1),
        (frame(wire::DATA, 0, 0, b"x"), 1),
        (frame(wire::RST_STREAM, 0, 1, b"x"), 6),
        ([more(0, 0x7fff_ffff), more(0, 0x7fff_ffff)].concat(), 3),
        (
            [frame(wire::HEADERS, 0, 3, &[]), data(1, b"x", false)].concat(),
            1,
        ),
    ];
    for (bytes, code) in broken {
        let mut bed = Bed::greeted(&[http("abort", 1.0, abort())]);
        bed.client(&get(1, "/"));
        bed.heard();
        bed.client(&bytes);
        let [_, down] = told_of(&mut bed);
        assert!(
            down.last()
                .expect("a reason")
                .ends_with(&format!(" {code}")),
            "{down:?}"
        );
        assert_eq!(bed.said.ends, [None, Some(End::Close)]);
    }
}

#[test]
fn a_block_without_an_end_is_not_collected_for_ever() {
    for part in [0, 10_000] {
        let mut bed = Bed::greeted(&[http("abort", 1.0, abort())]);
        bed.client(&get(1, "/"));
        bed.client(&frame(wire::HEADERS, 0, 3, &[]));
        for _ in 0..65 {
            bed.client(&frame(wire::CONTINUATION, 0, 3, &vec![0; part]));
        }
        let [_, down] = told_of(&mut bed);
        assert_eq!(down.last().map(String::as_str), Some("goaway 1 11"));
    }
}

#[test]
fn a_request_with_headers_that_unpack_to_very_many_is_refused() {
    let mut bed = Bed::greeted(&[http("abort", 1.0, abort())]);
    bed.client(&get(1, "/"));
    bed.heard();
    // The table has its first size again, and an entry that the rest repeats.
    let mut block = vec![0x3f, 0xe1, 0x1f, 0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
    block.extend([b'x'; 4000]);
    block.extend([0xbe; 1000]);
    bed.client(&frame(wire::HEADERS, wire::END_HEADERS, 3, &block));
    assert_eq!(told_of(&mut bed), [vec![], vec!["reset 3 11".to_owned()]]);
    bed.client(&get(5, "/"));
    assert_eq!(told_of(&mut bed)[1].len(), 2);
}

#[test]
fn streams_with_a_state_are_limited_and_one_more_is_refused() {
    let mut bed = Bed::greeted(&[http("delay", 1.0, HttpAction::Delay(delay()))]);
    let last = 2 * streams::STREAMS as u32 + 1;
    for key in (1..last).step_by(2) {
        bed.client(&get(key, "/"));
    }
    assert_eq!(told_of(&mut bed), [vec![], Vec::<String>::new()]);
    bed.client(&get(last, "/"));
    assert_eq!(told_of(&mut bed)[1], [format!("reset {last} 7")]);
    // A reset makes room, and leaves nothing behind.
    bed.client(&reset(1, 8));
    assert_eq!(bed.session.streams.timers.len(), streams::STREAMS - 1);
    bed.client(&get(last + 2, "/"));
    assert_eq!(told_of(&mut bed)[1], Vec::<String>::new());
}

#[test]
fn a_sender_whose_request_is_held_is_not_read_for_ever() {
    let mut bed = Bed::greeted(&[http("delay", 1.0, HttpAction::Delay(delay()))]);
    bed.client(&headers(1, &[(":method", "PUT"), (":path", "/")], false));
    let mut sent = 0;
    while bed.session.has_room(Direction::Upstream) {
        bed.client(&data(1, &[0; 16_000], false));
        sent += 16_000;
    }
    assert!(sent <= ROOM + 16_000, "{sent}");
    assert!(bed.session.has_room(Direction::Downstream));
    bed.upstream(&[settings(&[(4, 0x7fff_ffff)]), more(0, 0x7000_0000)].concat());
    bed.client(&acknowledge());
    bed.later();
    assert!(bed.session.has_room(Direction::Upstream));
}

#[test]
fn trailers_an_interim_answer_and_a_promise_go_with_what_they_belong_to() {
    let add = HeaderChange::Add {
        name: "X".into(),
        value: "y".into(),
    };
    let direction = Direction::Downstream;
    let action = HttpAction::Header {
        direction,
        change: add,
    };
    let mut bed = Bed::greeted(&[http("add", 1.0, action)]);
    bed.client(&get(1, "/"));
    bed.heard();
    let promise = [
        &2_u32.to_be_bytes()[..],
        &hpack::Encoder::default().encode([]),
    ]
    .concat();
    bed.upstream(&headers(1, &[(":status", "103")], false));
    bed.upstream(&frame(wire::PUSH_PROMISE, wire::END_HEADERS, 1, &promise));
    bed.upstream(&[headers(1, OK, false), headers(1, &[("t", "u")], true)].concat());
    let expected = [
        "headers 1 :status=103",
        "frame 5 1",
        "headers 1 :status=200 x=y",
        "headers 1 t=u end",
    ];
    assert_eq!(told_of(&mut bed)[1], expected);
}

#[test]
fn faults_that_go_leave_what_they_decided_and_nothing_else() {
    let mut bed = Bed::greeted(&[http("delay", 1.0, HttpAction::Delay(delay()))]);
    bed.client(&get(1, "/held"));
    bed.session.change(&[]);
    bed.client(&get(3, "/next"));
    assert_eq!(
        told_of(&mut bed)[0],
        ["headers 3 :method=GET :path=/next end"]
    );
    bed.end(Direction::Upstream);
    assert_eq!(bed.said.ends, [None, None], "a request is still held");
    bed.later();
    assert_eq!(
        told_of(&mut bed)[0],
        ["headers 5 :method=GET :path=/held end"]
    );
    assert_eq!(bed.said.ends, [Some(End::Fin), None]);
}

/// How the answers since went, whose they are, and how long they took.
fn counted(bed: &mut Bed) -> Vec<(bool, bool, Duration)> {
    let answers = std::mem::take(&mut bed.said.answers);
    let told = answers.iter().map(|one| (one.well, one.ours, one.took));
    told.collect()
}

#[test]
fn each_answer_is_counted_once_with_how_it_went() {
    const NONE: &[(bool, bool, Duration)] = &[];
    // With and without something done to the connection.
    for faults in [vec![], vec![http("delay", 1.0, HttpAction::Delay(delay()))]] {
        let mut bed = Bed::greeted(&faults);
        for key in [1, 3, 5, 7] {
            bed.client(&get(key, "/"));
        }
        bed.client(&[call(9), call(11)].concat());
        bed.later();
        bed.upstream(
            &[
                headers(1, &[(":status", "103")], false),
                headers(1, OK, true),
            ]
            .concat(),
        );
        assert_eq!(counted(&mut bed), [(true, false, LATER)]);
        bed.upstream(
            &[
                headers(3, &[(":status", "500")], false),
                data(3, b"x", true),
            ]
            .concat(),
        );
        assert_eq!(counted(&mut bed), [(false, false, LATER)]);
        bed.upstream(&reset(5, 2));
        assert_eq!(counted(&mut bed), [(false, false, LATER)]);
        bed.client(&reset(7, 8));
        assert_eq!(counted(&mut bed), NONE);
        let call_begins = [(":status", "200"), ("content-type", "application/grpc")];
        bed.upstream(
            &[
                headers(9, &call_begins, false),
                headers(11, &call_begins, false),
            ]
            .concat(),
        );
        assert_eq!(counted(&mut bed), NONE, "a call is judged by its end");
        bed.later();
        bed.upstream(&headers(9, &[("grpc-status", "0")], true));
        assert_eq!(counted(&mut bed), [(true, false, 2 * LATER)]);
        bed.upstream(&headers(11, &[("grpc-status", "13")], true));
        assert_eq!(counted(&mut bed), [(false, false, 2 * LATER)]);
    }
    let mut bed = Bed::greeted(&[http("abort", 1.0, abort())]);
    bed.client(&get(1, "/"));
    assert_eq!(counted(&mut bed), [(false, true, Duration::ZERO)]);
}

#[test]
fn a_client_that_grants_late_gets_answers_of_ours_all_the_same() {
    let mut bed = Bed::greeted(&[http("abort", 1.0, abort())]);
    bed.client(&[settings(&[(4, 0x3fff_ffff)]), more(0, 0x3fff_0000)].concat());
    bed.upstream(&acknowledge());
    for key in (1..200_001).step_by(2) {
        bed.client(&get(key, "/"));
    }
    let answers = told(&bed.heard()[1]);
    let ended = answers
        .iter()
        .filter(|line| line.ends_with("\"broken\" end"));
    assert_eq!(ended.count(), 100_000);
    assert_eq!(bed.session.streams.weights(), [(0, 0); 2]);
}

#[test]
fn a_connection_that_is_over_hears_and_says_nothing_more() {
    let mut bed = Bed::greeted(&[http("abort", 1.0, abort())]);
    bed.client(&get(1, "/"));
    bed.client(&frame(wire::DATA, 0, 0, b"x"));
    bed.heard();
    bed.upstream(&headers(1, OK, true));
    bed.client(&get(3, "/"));
    bed.later();
    for direction in [Direction::Upstream, Direction::Downstream] {
        bed.end(direction);
    }
    assert!(bed.heard().iter().all(Vec::is_empty));
    assert_eq!(bed.said.ends, [None, Some(End::Close)]);
}

#[test]
fn a_fault_on_one_arm_falls_on_its_requests_and_each_is_counted_in_its_own() {
    let mut fault = http("abort", 1.0, abort());
    fault.arm = Some(Arm::Experiment);
    let mut bed = Bed::greeted(&[fault]);
    let split = Split {
        name: "split".into(),
        share: 0.5,
        by: arms::Key::Cookie("user".into()),
        draw: None,
        users: None,
    };
    let chance = Chance::new(1);
    let arms = Arms::new(split.clone(), chance, chance);
    bed.session.divide(Some(arms));
    for number in 0..40_u32 {
        let (key, user) = (2 * number + 1, number.to_string());
        let crumb = format!("user={user}");
        // HTTP/2 sends cookies in crumbs.
        let fields = [
            (":method", "GET"),
            (":path", "/"),
            ("cookie", "a=b"),
            ("cookie", &crumb),
        ];
        bed.client(&headers(key, &fields, true));
        let member = split.member(split.chance(chance, chance), user.as_bytes());
        let arm = member.map(|member| member.arm);
        if arm != Some(Arm::Experiment) {
            bed.upstream(&headers(key, OK, true));
        }
        let answers = std::mem::take(&mut bed.said.answers);
        let told: Vec<_> = answers.iter().map(|one| (one.member, one.ours)).collect();
        assert_eq!(told, [(member, arm == Some(Arm::Experiment))], "{user}");
    }
}
