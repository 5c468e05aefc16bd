use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::message::http::Version1;
use crate::message::wire::played::{MS, Played, comes_to_rest, cuts, passes_as_it_is, steady};
use crate::message::{Kind, MessageFault, Session};
use crate::stream::End;

const ASKED: &[u8] = b"GET /feed/prices?of=a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
                       Upgrade: WebSocket\r\n\r\n";
const AGREED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                        Upgrade: websocket\r\n\r\n";

const UP: Direction = Direction::Upstream;
const DOWN: Direction = Direction::Downstream;

fn fault(direction: Direction, action: WebSocketAction) -> MessageFault {
    named("fault", 1.0, direction, action)
}

fn named(name: &str, share: f64, direction: Direction, action: WebSocketAction) -> MessageFault {
    MessageFault {
        name: name.into(),
        share,
        arm: None,
        kind: Kind::WebSocket(WebSocketFault {
            direction,
            matching: WebSocketMatch::default(),
            action,
        }),
    }
}

fn limited(mut fault: MessageFault, matching: WebSocketMatch) -> MessageFault {
    if let Kind::WebSocket(on) = &mut fault.kind {
        on.matching = matching;
    }
    fault
}

fn closing() -> WebSocketAction {
    WebSocketAction::Close {
        code: 1013,
        reason: "drill".into(),
    }
}

fn truncated(after: u64) -> WebSocketAction {
    WebSocketAction::Change(WebSocketChange::Truncate { after })
}

fn corrupted(share: f64) -> WebSocketAction {
    WebSocketAction::Change(WebSocketChange::Corrupt { share })
}

/// A connection that has become a WebSocket, and nothing else has come of it yet.
fn open(faults: &[MessageFault]) -> Played<Version1> {
    let mut played = Played::new(Version1::new(Chance::new(1), faults));
    played.client(ASKED);
    played.server(AGREED);
    assert_eq!(
        (played.to_server(), played.to_client()),
        (ASKED.into(), AGREED.into())
    );
    assert_eq!(played.out.answers, [(true, false)]);
    played.out.data.clear();
    played
}

/// A frame; a client's is masked.
fn frame(direction: Direction, first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [7, 77, 177, 217];
    let masked = direction == UP;
    let mut bytes = vec![first];
    let high = if masked { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..=125 => bytes.push(high | short as u8),
        long => {
            bytes.push(high | 126);
            bytes.extend_from_slice(&(long as u16).to_be_bytes());
        }
    }
    if masked {
        bytes.extend_from_slice(&key);
        let keys = key.iter().cycle();
        bytes.extend(payload.iter().zip(keys).map(|(byte, key)| byte ^ key));
    } else {
        bytes.extend_from_slice(payload);
    }
    bytes
}

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const TEXT_BEGINS: u8 = 0x01;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;

fn text(direction: Direction, payload: &str) -> Vec<u8> {
    frame(direction, TEXT, payload.as_bytes())
}

#[test]
fn a_message_that_is_late_holds_those_behind_it_and_not_the_other_direction() {
    let mut played = open(&[limited(
        fault(UP, WebSocketAction::Delay(steady(30 * MS))),
        WebSocketMatch {
            messages: vec![WebSocketMessage::Binary],
            path: None,
        },
    )]);
    let (first, second) = (text(UP, "at once"), frame(UP, BINARY, b"late"));
    let behind = [frame(UP, PING, b"?"), text(UP, "behind")].concat();
    played.client(&[&first[..], &second, &behind].concat());
    assert_eq!(played.to_server(), first);
    played.server(&frame(DOWN, BINARY, b"the other way"));
    assert_eq!(played.to_client(), frame(DOWN, BINARY, b"the other way"));
    played.until(29 * MS);
    assert_eq!(played.to_server(), first);
    played.until(30 * MS);
    assert_eq!(played.to_server(), [first, second, behind].concat());
    assert_eq!(played.session.due(), None);
}

#[test]
fn a_message_that_is_dropped_leaves_the_control_frames_in_it() {
    let mut played = open(&[limited(
        fault(DOWN, WebSocketAction::Drop),
        WebSocketMatch {
            messages: vec![WebSocketMessage::Text],
            path: Some(Pattern::new("/feed/*")),
        },
    )]);
    let ping = frame(DOWN, PING, b"?");
    let kept = frame(DOWN, BINARY, &[7; 300]);
    let parts = [
        &frame(DOWN, TEXT_BEGINS, b"one")[..],
        &ping,
        &frame(DOWN, GOES_ON, &[b'x'; 400]),
        &frame(DOWN, ENDS, b""),
        &kept,
    ];
    played.server(&parts.concat());
    assert_eq!(played.to_client(), [ping, kept].concat());
}

#[test]
fn faults_of_another_path_are_for_others() {
    let matching = WebSocketMatch {
        messages: vec![],
        path: Some(Pattern::new("/feed")),
    };
    let mut played = open(&[limited(fault(UP, WebSocketAction::Drop), matching)]);
    played.client(&text(UP, "goes on"));
    assert_eq!(played.to_server(), text(UP, "goes on"));
}

#[test]
fn a_shorter_message_ends_where_it_is_cut() {
    let mut played = open(&[fault(UP, truncated(5))]);
    played.client(&text(UP, "short"));
    played.client(&text(UP, "longer"));
    assert_eq!(
        played.to_server(),
        [text(UP, "short"), text(UP, "longe")].concat()
    );
    played.out.data.clear();
    // In its second frame, of three.
    let parts = [
        frame(UP, TEXT_BEGINS, b"one"),
        frame(UP, GOES_ON, b"two"),
        frame(UP, ENDS, b"three"),
    ];
    played.client(&parts.concat());
    let cut = [frame(UP, TEXT_BEGINS, b"one"), frame(UP, ENDS, b"tw")];
    assert_eq!(played.to_server(), cut.concat());
    played.out.data.clear();
    // Between two frames: the one behind is empty, and the last.
    played.client(&[frame(UP, TEXT_BEGINS, b"12345"), frame(UP, ENDS, b"6")].concat());
    let cut = [frame(UP, TEXT_BEGINS, b"12345"), frame(UP, ENDS, b"")];
    assert_eq!(played.to_server(), cut.concat());
}

#[test]
fn a_corrupted_message_has_flipped_bits_in_its_payload_only() {
    let mut played = open(&[fault(UP, corrupted(1.0))]);
    let sent = frame(UP, BINARY, &[0; 3000]);
    played.client(&sent);
    let came = played.to_server();
    assert_eq!(came.len(), sent.len());
    let header = 8;
    assert_eq!(came[..header], sent[..header]);
    let flipped = |(one, other): (&u8, &u8)| (one ^ other).count_ones();
    let bits: u32 = came.iter().zip(&sent).map(flipped).sum();
    // One in each part of 1448 bytes, the third of which is too short to be hit for sure.
    assert!((2..=3).contains(&bits), "{bits}");
}

#[test]
fn a_close_is_told_to_both_sides_and_ends_the_connection() {
    let mut played = open(&[fault(DOWN, closing())]);
    played.client(&text(UP, "before"));
    played.server(&[text(DOWN, "not told"), text(DOWN, "nor this")].concat());
    assert_eq!(played.to_client(), b"\x88\x07\x03\xf5drill");
    let to_server = played.to_server();
    let said = to_server
        .strip_prefix(&text(UP, "before")[..])
        .expect("it went on");
    assert_eq!(
        said[..2],
        [CLOSE, 0x80 | 7],
        "masked, as all that a client says"
    );
    let said: Vec<u8> = said[6..]
        .iter()
        .zip(said[2..6].iter().cycle())
        .map(|(b, k)| b ^ k)
        .collect();
    assert_eq!(said, b"\x03\xf5drill");
    assert_eq!(played.out.ends, [(Duration::ZERO, DOWN, End::Close)]);
    played.client(&text(UP, "after"));
    played.end(UP);
    played.end(DOWN);
    assert_eq!(played.to_server(), to_server);
    assert_eq!(played.out.ends.len(), 1);
}

#[test]
fn a_close_waits_for_what_is_late_and_is_not_said_within_a_frame() {
    let late = named("late", 1.0, UP, WebSocketAction::Delay(steady(20 * MS)));
    let end = limited(
        named("end", 1.0, UP, closing()),
        WebSocketMatch {
            messages: vec![WebSocketMessage::Binary],
            path: None,
        },
    );
    let mut played = open(&[late, end]);
    let long = frame(DOWN, BINARY, &[1; 100]);
    played.server(&long[..50]);
    played.client(&[text(UP, "late"), frame(UP, BINARY, b"the end")].concat());
    assert!(played.to_server().is_empty() && played.out.ends.is_empty());
    played.until(20 * MS);
    assert!(played.to_server().starts_with(&text(UP, "late")));
    assert_eq!(played.out.ends, [(20 * MS, UP, End::Close)]);
    assert_eq!(played.to_client(), long[..50]);
}

#[test]
fn what_is_not_the_protocol_passes() {
    let mut played = open(&[fault(DOWN, WebSocketAction::Drop)]);
    let odd = [frame(DOWN, GOES_ON, b"of what?"), text(DOWN, "anything")].concat();
    played.server(&odd);
    assert_eq!(played.to_client(), odd);
}

#[test]
fn another_protocol_is_left_alone() {
    let faults = [fault(DOWN, WebSocketAction::Drop)];
    let mut played = Played::new(Version1::new(Chance::new(1), &faults));
    played.client(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: other\r\n\r\n");
    let answer = [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n",
        &text(DOWN, "not a message")[..],
    ];
    played.server(&answer.concat());
    assert_eq!(played.to_client(), answer.concat());
}

#[test]
fn a_fault_that_comes_meets_the_next_message() {
    let mut played = open(&[]);
    let long = text(DOWN, "has begun");
    played.server(&long[..4]);
    played.session.change(&[fault(DOWN, WebSocketAction::Drop)]);
    played.server(&[&long[4..], &text(DOWN, "gone")].concat());
    assert_eq!(played.to_client(), long);
}

#[test]
fn shares_are_of_messages_and_other_faults_do_not_change_them() {
    let one = named("one", 0.3, DOWN, WebSocketAction::Drop);
    let went = |faults: &[MessageFault]| {
        let mut played = open(faults);
        for number in 0..300_u16 {
            played.server(&frame(DOWN, BINARY, &number.to_be_bytes()));
        }
        played.until(MS);
        played.to_client()
    };
    let alone = went(std::slice::from_ref(&one));
    let late = named("two", 0.5, DOWN, WebSocketAction::Delay(steady(MS)));
    assert_eq!(alone, went(&[late, one.clone()]));
    let expected: Vec<u8> = (0..300_u16)
        .filter(|number| !one.falls_on(Chance::new(1), u64::from(*number)))
        .flat_map(|number| frame(DOWN, BINARY, &number.to_be_bytes()))
        .collect();
    assert_eq!(alone, expected);
    assert!(
        (150..270).contains(&(alone.len() / 4)),
        "{}",
        alone.len() / 4
    );
}

/// Messages of one to three frames, with pings among them; or anything.
fn said(direction: Direction) -> impl Strategy<Value = Vec<u8>> {
    let payload = || prop::collection::vec(any::<u8>(), 0..300);
    let message = (
        prop::collection::vec(payload(), 1..4),
        any::<bool>(),
        any::<bool>(),
    );
    let messages = prop::collection::vec(message, 0..6).prop_map(move |messages| {
        let mut all = Vec::new();
        for (parts, is_text, pings) in messages {
            let last = parts.len() - 1;
            for (at, part) in parts.iter().enumerate() {
                let opcode = if at > 0 { 0 } else { 2 - u8::from(is_text) };
                let fin = if at == last { ENDS } else { 0 };
                all.extend(frame(direction, fin | opcode, part));
                if pings {
                    all.extend(frame(direction, PING, b"?"));
                }
            }
        }
        all
    });
    prop_oneof![4 => messages, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn some_faults(share: f64) -> Vec<MessageFault> {
    vec![
        named("a", share, UP, WebSocketAction::Delay(steady(3 * MS))),
        named("b", share, DOWN, WebSocketAction::Drop),
        named("c", share, UP, truncated(20)),
        named("d", share, DOWN, corrupted(0.5)),
        named("e", share / 8.0, UP, closing()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_no_fault_is_on_passes_as_it_is(up in said(UP), down in said(DOWN), cuts in cuts()) {
        for faults in [vec![], some_faults(0.0)] {
            let mut session = Version1::new(Chance::new(1), &faults);
            let mut out = crate::message::wire::played::Out::default();
            let now = Instant::now();
            session.receive(UP, ASKED, now, &mut out);
            session.receive(DOWN, AGREED, now, &mut out);
            passes_as_it_is(session, &up, &down, &cuts)?;
        }
    }

    #[test]
    fn nothing_depends_on_how_tcp_cut_the_streams(
        up in said(UP), down in said(DOWN), cuts in cuts(), share in 0.0..1.0,
    ) {
        // A close falls between the streams as they came, so it is left out.
        let faults = &some_faults(share)[..4];
        let went = |sizes: &[usize]| {
            let mut played = open(faults);
            let mut sizes = sizes.iter().copied().cycle();
            for (direction, mut left) in [(UP, &up[..]), (DOWN, &down[..])] {
                while !left.is_empty() {
                    let (part, later) = left.split_at(sizes.next().unwrap().min(left.len()));
                    played.send(direction, part);
                    left = later;
                }
            }
            played.end(UP);
            played.end(DOWN);
            played.until(1000 * MS);
            (played.to_server(), played.to_client())
        };
        prop_assert_eq!(went(&[usize::MAX >> 1]), went(&cuts));
    }

    #[test]
    fn no_garbage_breaks_it(
        up in said(UP), down in said(DOWN), cuts in cuts(), share in 0.0..1.0,
    ) {
        comes_to_rest(open(&some_faults(share)), &up, &down, &cuts)?;
    }
}
