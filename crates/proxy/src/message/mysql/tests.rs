use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::message::wire::played::{
    LONG, MS, Played, comes_to_rest, cuts, passes_as_it_is, steady,
};
use crate::message::{Pattern, StatementMatch};
use crate::stream::Direction;

fn fault(name: &str, share: f64, like: &str, action: MysqlAction) -> MessageFault {
    MessageFault {
        name: name.into(),
        share,
        arm: None,
        kind: Kind::Mysql(MysqlFault {
            matching: StatementMatch::like(&Pattern::new(like)),
            action,
        }),
    }
}

fn error() -> MysqlAction {
    MysqlAction::Error(MysqlError::of_statements())
}

fn delay(delay: Duration) -> MysqlAction {
    MysqlAction::Delay(steady(delay))
}

fn session(faults: &[MessageFault]) -> Conversation<Mysql> {
    Conversation::new(Mysql::default(), Chance::new(5), faults)
}

fn one(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = (content.len() as u32).to_le_bytes()[..3].to_vec();
    bytes.push(number);
    bytes.extend_from_slice(content);
    bytes
}

fn greeting() -> Vec<u8> {
    let mut content = b"\x0a8.0.1\0".to_vec();
    content.extend([1, 0, 0, 0]);
    content.extend([7; 8]);
    content.push(0);
    content.extend([0xff, 0xf7, 33, 2, 0, 0xff, 0x81, 21]);
    content.extend([0; 10]);
    content.extend(b"salt\0");
    one(0, &content)
}

const CLIENT: u32 = 1 << 9 | 1 << 15 | 1;

fn login(capabilities: u32) -> Vec<u8> {
    let mut content = capabilities.to_le_bytes().to_vec();
    content.extend([0; 28]);
    content.extend(b"me\0\0");
    one(1, &content)
}

fn ok(number: u8) -> Vec<u8> {
    one(number, &[0, 0, 0, 2, 0, 0, 0])
}

fn query(text: &str) -> Vec<u8> {
    one(0, &[b"\x03", text.as_bytes()].concat())
}

fn prepare(text: &str) -> Vec<u8> {
    one(0, &[b"\x16", text.as_bytes()].concat())
}

fn execute(number: u32) -> Vec<u8> {
    one(
        0,
        &[&[0x17][..], &number.to_le_bytes(), &[0, 1, 0, 0, 0]].concat(),
    )
}

fn rows() -> Vec<u8> {
    let eof = [0xfe, 0, 0, 2, 0];
    [
        one(1, &[1]),
        one(2, b"\x03defcolumn"),
        one(3, &eof),
        one(4, b"\x01a"),
        one(5, b"\xfb"),
        one(6, &eof),
    ]
    .concat()
}

fn packets(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while bytes.len() >= 4 {
        let length = 4 + u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) as usize;
        let Some(packet) = bytes.get(..length) else {
            break;
        };
        all.push(packet.to_vec());
        bytes = &bytes[length..];
    }
    all
}

/// A server with rows, as far as the protocol goes.
fn serve(said: &[u8]) -> Vec<u8> {
    let mut out = greeting();
    let mut prepared = 0_u8;
    for packet in packets(said) {
        match (packet[3], packet.get(4)) {
            (1, _) => out.extend(ok(2)),
            (_, Some(22)) => {
                prepared += 1;
                out.extend(one(1, &[0, prepared, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]));
                out.extend([one(2, b"\x03defparameter"), one(3, &[0xfe, 0, 0, 2, 0])].concat());
            }
            (_, Some(3 | 23)) => out.extend(rows()),
            (_, Some(14)) => out.extend(ok(1)),
            _ => {}
        }
    }
    out
}

/// A connection with these faults, let in.
fn connected(faults: &[MessageFault]) -> Played<Conversation<Mysql>> {
    let mut played = Played::new(session(faults));
    played.server(&greeting());
    played.client(&login(CLIENT));
    played.server(&ok(2));
    played.out.data.clear();
    played
}

#[test]
fn an_error_comes_in_its_place_and_the_statement_does_not_go_on() {
    let mut played = connected(&[fault("no", 1.0, "select *", error())]);
    let ping = one(0, &[14]);
    played.client(&[query("update x"), query("SELECT 1"), ping.clone()].concat());
    assert_eq!(played.to_server(), [query("update x"), ping].concat());
    assert_eq!(played.to_client(), b"");
    played.server(&rows());
    played.server(&ok(1));
    let ours = one(1, b"\xff\x51\x04#HY000injected by firedrill");
    assert_eq!(played.to_client(), [rows(), ours, ok(1)].concat());
    assert_eq!(
        played.out.answers,
        [(true, false), (false, true), (true, false)]
    );
}

#[test]
fn an_executed_statement_has_the_text_it_was_prepared_with() {
    let mut played = connected(&[fault("no", 1.0, "select *", error())]);
    // The error is for its preparation, and for its execution under no number.
    played.client(&[prepare("select 1"), execute(LAST)].concat());
    assert_eq!(packets(&played.to_client()).len(), 2);
    assert_eq!(played.to_server(), b"");
    let mut played = connected(&[]);
    played.client(&prepare("select 1"));
    played.server(&serve(&prepare("select 1"))[greeting().len()..]);
    played
        .session
        .change(&[fault("no", 1.0, "select *", error())]);
    let before = played.to_server();
    played.client(&execute(1));
    assert_eq!(played.to_server(), before);
    played.client(&execute(2));
    assert_eq!(played.to_server(), [before, execute(2)].concat());
}

#[test]
fn a_connection_is_refused_instead_of_being_let_in() {
    let refuse = MysqlAction::Refuse(MysqlError::of_connections());
    let mut played = Played::new(session(&[fault("no", 1.0, "*", refuse)]));
    played.server(&greeting());
    played.client(&login(CLIENT));
    played.server(&ok(2));
    let ours = one(2, b"\xff\x10\x04#08004Too many connections");
    assert_eq!(played.to_client(), [greeting(), ours].concat());
    assert_eq!(played.out.ends.len(), 1);
    played.client(&query("select 1"));
    assert_eq!(played.to_server(), login(CLIENT));
}

#[test]
fn connections_that_are_secured_or_compressed_pass_as_they_are() {
    for capabilities in [CLIENT | 1 << 5, 0] {
        let mut played = Played::new(session(&[fault("no", 1.0, "*", error())]));
        played.server(&greeting());
        played.client(&login(capabilities));
        played.server(&ok(2));
        played.client(&query("select 1"));
        assert!(
            played.to_server().ends_with(&query("select 1")),
            "{capabilities}"
        );
    }
    let mut played = Played::new(session(&[fault("no", 1.0, "*", error())]));
    played.server(&greeting());
    let mut secured = (CLIENT | 1 << 11).to_le_bytes().to_vec();
    secured.extend([0; 28]);
    played.client(&[one(1, &secured), b"\x16\x03\x01".to_vec()].concat());
    assert!(played.to_server().ends_with(b"\x16\x03\x01"));
}

#[test]
fn a_delayed_statement_goes_on_later() {
    let mut played = connected(&[fault("slow", 1.0, "*", delay(MS * 20))]);
    played.client(&query("select 1"));
    played.until(MS * 19);
    assert_eq!(played.to_server(), b"");
    played.until(LONG);
    assert_eq!(played.times(Direction::Upstream).last(), Some(&(MS * 20)));
}

#[test]
fn several_results_are_one_answer() {
    let mut played = connected(&[fault("no", 1.0, "select 2", error())]);
    played.client(&[query("call p()"), query("select 2")].concat());
    let more = one(6, &[0xfe, 0, 0, 0x0a, 0]);
    let first = [&rows()[..rows().len() - 9], &more].concat();
    played.server(&first);
    assert_eq!(played.to_client(), first);
    played.server(&ok(7));
    assert!(
        packets(&played.to_client())
            .last()
            .expect("ours")
            .contains(&0xff)
    );
}

#[test]
fn a_statement_of_many_packets_is_not_held_and_goes_on() {
    let mut played = connected(&[fault("no", 1.0, "insert*", error())]);
    let large = [b"\x03insert ".to_vec(), vec![b'x'; 0xff_ffff - 8]].concat();
    let said = [one(0, &large), one(1, b"xxx")].concat();
    said.chunks(64 << 10).for_each(|part| played.client(part));
    assert_eq!(played.to_server().len(), said.len());
    played.server(&ok(2));
    assert_eq!(played.to_client(), ok(2));
    assert!(played.session.awaits_nothing());
}

#[test]
fn texts_that_wait_for_their_number_are_bounded() {
    let mut played = connected(&[]);
    let mut said = 0;
    while played.session.has_room(Direction::Upstream) {
        played.client(&prepare(&format!("select {said} {}", "x".repeat(10 << 10))));
        said += 1;
        assert!(said < 200, "2 MB of texts are kept, and more are taken");
    }
    let prepared = one(1, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    played.server(&prepared.repeat(said));
    assert!(played.session.has_room(Direction::Upstream));
    assert!(played.session.awaits_nothing());
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![Just("select 1"), Just("update x")];
    let one = prop_oneof![
        text.clone().prop_map(query),
        text.prop_map(prepare),
        // A number that was given in an answer would be known only once that has come.
        prop_oneof![Just(LAST), Just(0xffff)].prop_map(execute),
        Just(one(0, &[14])),
        Just(one(0, &[0x19, 1, 0, 0, 0])),
    ];
    prop::collection::vec(one, 0..16).prop_map(|all| [login(CLIENT), all.concat()].concat())
}

fn anything() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        requests(),
        requests().prop_map(|all| serve(&all)),
        prop::collection::vec(any::<u8>(), 0..60),
        (any::<u8>(), prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(number, content)| one(number, &content)),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn some_faults(share: f64) -> Vec<MessageFault> {
    vec![
        fault("slow", share, "*", delay(MS * 7)),
        fault("select", share, "select *", error()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_comes_passes_as_it_is(up in anything(), down in anything(), cuts in cuts()) {
        passes_as_it_is(session(&some_faults(0.0)), &up, &down, &cuts)?;
        let mut played = connected(&some_faults(0.0));
        played.client(&up);
        played.server(&down);
        played.end(Direction::Downstream);
        played.end(Direction::Upstream);
        prop_assert_eq!(played.to_server(), up);
        prop_assert_eq!(played.to_client(), down);
    }

    #[test]
    fn no_garbage_breaks_a_session_with_faults(
        up in anything(), down in anything(), cuts in cuts(), share in 0.0..1.0,
    ) {
        comes_to_rest(connected(&some_faults(share)), &up, &down, &cuts)?;
    }

    #[test]
    fn nothing_depends_on_how_tcp_cut_the_streams(
        up in requests(), cuts in cuts(), share in 0.0..1.0,
    ) {
        let talk = |cuts: &[usize]| {
            let mut played = connected(&some_faults(share));
            // A client can only execute what it has been told the number of, so each waits.
            let said = packets(&up[login(CLIENT).len()..]);
            let turns: Vec<_> = said.iter().map(Vec::as_slice).collect();
            played.converse(&turns, cuts, |got| serve(got)[greeting().len()..].to_vec());
            (played.to_server(), played.to_client(), played.out.answers)
        };
        prop_assert_eq!(talk(&[up.len()]), talk(&cuts));
    }
}
