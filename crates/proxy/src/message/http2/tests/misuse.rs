//! What a client must not say, on a connection that something is done with.

use super::super::frame as wire;
use super::frames::{call, data, frame, get, headers, more, reset, settings, told};
use super::*;

const PUT: &[(&str, &str)] = &[(":method", "PUT"), (":path", "/")];

fn told_of(bed: &mut Bed) -> [Vec<String>; 2] {
    bed.heard().map(|bytes| told(&bytes))
}

/// With a header changed on each request.
fn managed() -> Bed {
    let change = HeaderChange::Set {
        name: "x".into(),
        value: "1".into(),
    };
    let direction = Direction::Upstream;
    let action = HttpAction::Header { direction, change };
    Bed::greeted(&[http("set", 1.0, action)])
}

#[test]
fn more_than_the_last_word_on_a_stream_is_an_error_of_the_stream_and_told_once() {
    let mut bed = managed();
    bed.client(&get(1, "/"));
    bed.heard();
    bed.client(&data(1, b"123", true));
    let [up, down] = told_of(&mut bed);
    assert_eq!(up, ["reset 1 8"]);
    assert_eq!(down, ["more 0 3", "reset 1 5"]);
    bed.client(&data(1, b"12", true));
    assert_eq!(told_of(&mut bed), [vec![], vec!["more 0 2".to_owned()]]);
    bed.client(&get(3, "/"));
    assert_eq!(told_of(&mut bed)[0].len(), 1, "others go on");
}

#[test]
fn so_it_is_when_the_stream_is_over() {
    let mut bed = managed();
    bed.client(&get(1, "/"));
    bed.upstream(&headers(1, &[(":status", "200")], true));
    bed.client(&[headers(3, PUT, false), reset(3, 8)].concat());
    bed.heard();
    bed.client(&data(1, b"123", true));
    let [up, down] = told_of(&mut bed);
    assert_eq!(up, Vec::<String>::new());
    assert_eq!(down, ["more 0 3", "reset 1 5"]);
    // Another request on it is an error of the connection.
    bed.client(&get(3, "/"));
    assert_eq!(told_of(&mut bed)[1], ["goaway 3 5"]);
}

#[test]
fn what_was_on_its_way_when_a_fault_ended_a_stream_is_no_error() {
    let mut bed = Bed::greeted(&[http("reset", 1.0, HttpAction::Reset)]);
    bed.client(&call(1));
    assert_eq!(told_of(&mut bed)[1], ["reset 1 2"]);
    bed.client(&[data(1, b"123", false), data(1, b"4", true)].concat());
    assert_eq!(
        told_of(&mut bed),
        [vec![], vec!["more 0 3".to_owned(), "more 0 1".into()]]
    );
}

#[test]
fn a_frame_is_as_long_as_its_receiver_allows() {
    let long = |stream| {
        frame(
            wire::HEADERS,
            wire::END_HEADERS,
            stream,
            &[0; wire::PAYLOAD + 1],
        )
    };
    let mut bed = managed();
    bed.client(&get(1, "/"));
    bed.heard();
    bed.client(&long(3));
    let [_, down] = told_of(&mut bed);
    assert_eq!(down, ["goaway 1 6"]);

    let mut bed = managed();
    bed.client(&long(1));
    assert_eq!(bed.heard()[0], long(1), "the upstream's business");

    let mut bed = managed();
    bed.upstream(&settings(&[(5, 20_000)]));
    bed.client(&get(1, "/"));
    bed.heard();
    bed.client(&data(1, &[b'x'; 20_000], true));
    let [_, down] = told_of(&mut bed);
    assert!(
        !down.iter().any(|line| line.starts_with("goaway")),
        "{down:?}"
    );
}

#[test]
fn what_is_dropped_is_looked_at_all_the_same() {
    for (frame, code) in [
        (frame(wire::PRIORITY, 0, 1, &[0; 4]), 6),
        (frame(wire::PRIORITY, 0, 0, &[0; 5]), 1),
        (frame(wire::PUSH_PROMISE, 0, 1, &[0, 0, 0, 2]), 1),
    ] {
        let mut bed = managed();
        bed.client(&get(1, "/"));
        bed.heard();
        bed.client(&frame);
        let goaway = format!("goaway 1 {code}");
        assert_eq!(told_of(&mut bed)[1], [goaway]);
        assert_eq!(bed.said.ends[1], Some(End::Close));
    }
}

#[test]
fn a_promise_of_a_client_is_not_kept_back_until_it_is_complete() {
    let promise = frame(wire::PUSH_PROMISE, 0, 1, &[0, 0, 0, 2]);
    let mut bed = managed();
    bed.client(&promise);
    bed.client(&more(0, 1));
    assert_eq!(bed.heard()[0], [promise, more(0, 1)].concat());
}
