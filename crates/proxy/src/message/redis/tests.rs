use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::message::wire::played::{
    LONG, MS, Played, comes_to_rest, cuts, passes_as_it_is, steady,
};
use crate::stream::Direction;

fn fault(name: &str, share: f64, matching: RedisMatch, action: RedisAction) -> MessageFault {
    MessageFault {
        name: name.into(),
        share,
        arm: None,
        kind: Kind::Redis(RedisFault { matching, action }),
    }
}

fn on(commands: &[&str], key: Option<&str>) -> RedisMatch {
    RedisMatch {
        commands: commands.iter().map(ToString::to_string).collect(),
        key: key.map(Pattern::new),
    }
}

fn error(text: &str) -> RedisAction {
    RedisAction::Error(RedisError::new(text).expect("one line"))
}

fn delay(delay: Duration) -> RedisAction {
    RedisAction::Delay(steady(delay))
}

fn session(faults: &[MessageFault]) -> Conversation<Redis> {
    Conversation::new(Redis::default(), Chance::new(11), faults)
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The commands of a stream, by a reader that knows nothing of the one under test.
fn commands(mut bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    fn line(bytes: &[u8]) -> Option<(usize, &[u8])> {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let number = std::str::from_utf8(&bytes[1..end]).ok()?.parse().ok()?;
        Some((number, &bytes[end + 2..]))
    }
    fn one(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, &[u8])> {
        let (count, mut rest) = line(bytes)?;
        let mut words = Vec::new();
        for _ in 0..count {
            let (length, behind) = line(rest)?;
            words.push(behind.get(..length)?.to_vec());
            rest = behind.get(length + 2..)?;
        }
        Some((words, rest))
    }
    let mut all = Vec::new();
    while let Some((words, rest)) = one(bytes) {
        all.push(words);
        bytes = rest;
    }
    all
}

/// Says each command back.
fn echo(bytes: &[u8]) -> Vec<u8> {
    commands(bytes)
        .iter()
        .flat_map(|words| {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            command(&words)
        })
        .collect()
}

#[test]
fn an_error_comes_in_its_place_and_the_command_does_not_go_on() {
    let faults = [fault("no", 1.0, on(&["get"], None), error("LOADING wait"))];
    let mut played = Played::new(session(&faults));
    let said = [
        command(&[b"SET", b"a", b"1"]),
        command(&[b"GET", b"a"]),
        command(&[b"PING"]),
    ];
    played.client(&said.concat());
    assert_eq!(played.to_server(), [&*said[0], &*said[2]].concat());
    assert_eq!(played.to_client(), b"");
    played.server(b"+OK\r\n+PO");
    played.server(b"NG\r\n");
    assert_eq!(played.to_client(), b"+OK\r\n-LOADING wait\r\n+PONG\r\n");
    assert_eq!(
        played.out.answers,
        [(true, false), (false, true), (true, false)]
    );
}

#[test]
fn an_error_does_not_wait_for_the_upstream_if_nothing_is_in_front_of_it() {
    let faults = [fault(
        "no",
        1.0,
        on(&[], None),
        RedisAction::Error(RedisError::default()),
    )];
    let mut played = Played::new(session(&faults));
    played.client(b"ping\r\n");
    assert_eq!(played.to_client(), b"-ERR injected by firedrill\r\n");
    assert_eq!(played.to_server(), b"");
}

#[test]
fn a_key_is_found_where_the_command_has_it() {
    let cases: [(&[&[u8]], bool); 12] = [
        (&[b"GET", b"cart:1"], true),
        (&[b"GET", b"user:1"], false),
        (&[b"PING", b"cart:1"], false),
        (&[b"OBJECT", b"ENCODING", b"cart:1"], true),
        (&[b"EVAL", b"return 1", b"1", b"cart:1"], true),
        (&[b"EVAL", b"return 1", b"0", b"cart:1"], false),
        (
            &[b"XREAD", b"COUNT", b"2", b"STREAMS", b"cart:1", b"0"],
            true,
        ),
        (
            &[b"XREAD", b"COUNT", b"2", b"STREAMS", b"x", b"cart:1"],
            false,
        ),
        (&[b"MSET", b"cart:1", b"1"], true),
        (&[b"ZUNION", b"1", b"cart:1"], true),
        (&[b"INFO", b"cart:1"], false),
        (&[b"GET"], false),
    ];
    for (words, fits) in cases {
        let faults = [fault("no", 1.0, on(&[], Some("cart:*")), error("ERR no"))];
        let mut played = Played::new(session(&faults));
        played.client(&command(words));
        assert_eq!(played.to_server().is_empty(), fits, "{words:?}");
    }
}

#[test]
fn a_delayed_command_keeps_those_behind_it_waiting() {
    let faults = [fault("slow", 1.0, on(&["GET"], None), delay(MS * 30))];
    let mut played = Played::new(session(&faults));
    let get = command(&[b"GET", b"a"]);
    let ping = command(&[b"PING"]);
    played.client(&[&*ping, &*get, &*ping].concat());
    assert_eq!(played.to_server(), ping);
    played.until(MS * 29);
    assert_eq!(played.to_server(), ping);
    played.until(MS * 30);
    assert_eq!(played.to_server(), [&*ping, &*get, &*ping].concat());
    // A minute later nothing waits for what has gone.
    played.until(MS * 60_000);
    played.client(&ping);
    assert_eq!(
        played.times(Direction::Upstream).last(),
        Some(&(MS * 60_000))
    );
}

#[test]
fn an_error_may_come_late_and_the_end_of_the_stream_waits_for_it() {
    let faults = [
        fault("slow", 1.0, on(&[], None), delay(MS * 30)),
        fault("no", 1.0, on(&["GET"], None), error("ERR no")),
    ];
    let mut played = Played::new(session(&faults));
    played.client(&command(&[b"GET", b"a"]));
    played.end(Direction::Upstream);
    assert!(played.to_client().is_empty() && played.out.ends.is_empty());
    played.until(LONG);
    assert_eq!(played.times(Direction::Downstream), vec![MS * 30; 9]);
    assert_eq!(
        played.out.ends,
        [(MS * 30, Direction::Upstream, crate::stream::End::Fin)]
    );
}

#[test]
fn a_transaction_with_an_error_in_it_is_not_executed() {
    let faults = [fault("no", 1.0, on(&["INCR"], None), error("OOM no"))];
    let mut played = Played::new(session(&faults));
    let (multi, set, exec) = (
        command(&[b"MULTI"]),
        command(&[b"SET", b"a", b"1"]),
        command(&[b"EXEC"]),
    );
    let incr = command(&[b"INCR", b"a"]);
    played.client(&[&*multi, &*set, &*incr, &*exec, &*set].concat());
    assert_eq!(
        played.to_server(),
        [&*multi, &*set, DISCARD, &*set].concat()
    );
    played.server(b"+OK\r\n+QUEUED\r\n+OK\r\n+OK\r\n");
    let said = format!("+OK\r\n+QUEUED\r\n-OOM no\r\n{ABORTED}+OK\r\n");
    assert_eq!(String::from_utf8_lossy(&played.to_client()), said);
}

#[test]
fn an_error_in_place_of_exec_leaves_no_open_transaction() {
    let faults = [fault("no", 1.0, on(&["EXEC"], None), error("ERR no"))];
    let mut played = Played::new(session(&faults));
    let (multi, exec) = (command(&[b"MULTI"]), command(&[b"EXEC"]));
    played.client(&[&*multi, &*exec].concat());
    assert_eq!(played.to_server(), [&*multi, DISCARD].concat());
    played.server(b"+OK\r\n+OK\r\n");
    assert_eq!(played.to_client(), b"+OK\r\n-ERR no\r\n");
}

#[test]
fn a_subscription_passes_as_it_is_and_what_was_promised_before_comes() {
    let faults = [fault("no", 1.0, on(&["GET"], None), error("ERR no"))];
    let mut played = Played::new(session(&faults));
    let (ping, get) = (command(&[b"PING"]), command(&[b"GET", b"a"]));
    let subscribe = command(&[b"SUBSCRIBE", b"news"]);
    played.client(&[&*ping, &*get, &*subscribe, &*get].concat());
    assert_eq!(played.to_server(), [&*ping, &*subscribe, &*get].concat());
    played.server(b"+PONG\r\n*3\r\n$9\r\nsub");
    played.server(b"\x16anything");
    let said = b"+PONG\r\n-ERR no\r\n*3\r\n$9\r\nsub\x16anything";
    assert_eq!(played.to_client(), said);
}

#[test]
fn what_the_server_pushes_is_no_answer() {
    let faults = [fault("no", 1.0, on(&["GET"], None), error("ERR no"))];
    let mut played = Played::new(session(&faults));
    played.client(&[command(&[b"PING"]), command(&[b"GET", b"a"])].concat());
    played.server(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n");
    played.server(b"|1\r\n+ttl\r\n:3\r\n%1\r\n+a\r\n*-1\r\n");
    let said = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n|1\r\n+ttl\r\n:3\r\n%1\r\n+a\r\n*-1\r\n-ERR no\r\n";
    assert_eq!(played.to_client(), said);
}

#[test]
fn a_value_of_any_size_is_not_held() {
    let faults = [fault("no", 0.0, on(&["SET"], Some("a*")), error("ERR no"))];
    let mut played = Played::new(session(&faults));
    let large = vec![b'x'; 3 << 20];
    let set = command(&[b"SET", b"a", &large]);
    for part in set.chunks(64 << 10) {
        played.client(part);
    }
    assert_eq!(played.to_server().len(), set.len());
    assert!(played.session.has_room(Direction::Upstream));
    // One of ours is dropped as it comes, wherever it is cut.
    played
        .session
        .change(&[fault("no", 1.0, on(&["SET"], Some("a*")), error("ERR no"))]);
    for part in set.chunks(64 << 10) {
        played.client(part);
    }
    played.server(b"+OK\r\n");
    assert_eq!(played.to_server().len(), set.len());
    assert_eq!(played.to_client(), b"+OK\r\n-ERR no\r\n");
}

#[test]
fn what_waits_is_bounded() {
    let faults = [fault("slow", 1.0, on(&[], None), delay(MS * 1000))];
    let mut played = Played::new(session(&faults));
    let set = command(&[b"SET", b"a", &[b'x'; 60_000]]);
    let mut sent = 0;
    while played.session.has_room(Direction::Upstream) {
        played.client(&set);
        sent += set.len();
        assert!(sent < 2 << 20);
    }
    played.until(LONG);
    assert!(played.session.has_room(Direction::Upstream));
}

fn word() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"GET".to_vec()),
        Just(b"set".to_vec()),
        Just(b"MULTI".to_vec()),
        Just(b"EXEC".to_vec()),
        Just(b"XREAD".to_vec()),
        Just(b"STREAMS".to_vec()),
        Just(b"EVAL".to_vec()),
        Just(b"1".to_vec()),
        prop::collection::vec(any::<u8>(), 0..60),
        Just(vec![b'v'; 300]),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    // Longer than what is looked at.
    let long = (16_000..17_000_usize).prop_map(|length| vec![b'v'; length]);
    let word = prop_oneof![60 => word(), 1 => long];
    let one = prop::collection::vec(word, 1..6).prop_map(|words| {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        command(&words)
    });
    prop::collection::vec(one, 0..12).prop_map(|all| all.concat())
}

/// Commands, other things, and parts of both.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        stream(),
        prop::collection::vec(any::<u8>(), 0..50),
        "[*$+>%|0-9a-z \r\n-]{0,40}".prop_map(String::into_bytes),
        Just(b"*2\r\n$1000000000\r\n".to_vec()),
        Just(b"*-1\r\n".to_vec()),
        Just(b"$-1\r\n%1\r\n+a\r\n:1\r\n".to_vec()),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn some_faults(share: f64) -> Vec<MessageFault> {
    vec![
        fault("slow", share, on(&[], None), delay(MS * 7)),
        fault("get", share, on(&["GET", "EVAL"], None), error("ERR get")),
        fault("set", share, on(&["SET"], Some("*")), error("ERR set")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_passes_as_it_is(up in anything(), down in anything(), cuts in cuts()) {
        passes_as_it_is(session(&[]), &up, &down, &cuts)?;
        passes_as_it_is(session(&some_faults(0.0)), &up, &down, &cuts)?;
    }

    #[test]
    fn no_garbage_breaks_a_session_with_faults(
        up in anything(), down in anything(), cuts in cuts(), share in 0.0..1.0,
    ) {
        comes_to_rest(Played::new(session(&some_faults(share))), &up, &down, &cuts)?;
    }

    #[test]
    fn nothing_depends_on_how_tcp_cut_the_streams(
        up in stream(), cuts in cuts(), share in 0.0..1.0,
    ) {
        let mut whole = Played::new(session(&some_faults(share)));
        whole.converse(&[&up], &[usize::MAX >> 1], echo);
        let mut cut = Played::new(session(&some_faults(share)));
        cut.converse(&[&up], &cuts, echo);
        prop_assert_eq!(whole.to_server(), cut.to_server());
        prop_assert_eq!(whole.to_client(), cut.to_client());
        prop_assert_eq!(whole.out.answers, cut.out.answers);
    }

    #[test]
    fn each_command_has_one_answer_in_its_place(
        keys in prop::collection::vec(0..1000_u32, 1..40), cuts in cuts(), share in 0.0..1.0,
    ) {
        let faults = [fault("no", share, on(&[], None), error("ERR no"))];
        let said: Vec<_> = keys.iter().map(|key| command(&[b"GET", key.to_string().as_bytes()])).collect();
        let mut played = Played::new(session(&faults));
        played.converse(&[&said.concat()], &cuts, echo);
        let expected: Vec<Vec<u8>> = said.iter().enumerate().map(|(number, said)| {
            match faults[0].falls_on(Chance::new(11), number as u64) {
                true => b"-ERR no\r\n".to_vec(),
                false => said.clone(),
            }
        }).collect();
        prop_assert_eq!(played.to_client(), expected.concat());
    }

    #[test]
    fn a_fault_that_is_edited_changes_no_decision_of_another(share in 0.0..1.0, other in 0.0..1.0) {
        let said: Vec<u8> = (0..60).flat_map(|_| command(&[b"GET", b"a"])).collect();
        let errors = |faults: &[MessageFault]| {
            let mut played = Played::new(session(faults));
            played.converse(&[&said], &[100], |got| {
                commands(got).iter().flat_map(|_| b"+OK\r\n".to_vec()).collect()
            });
            let text = String::from_utf8(played.to_client()).expect("text");
            text.lines().map(|line| line == "-ERR one").collect::<Vec<_>>()
        };
        let one = fault("one", share, on(&[], None), error("ERR one"));
        let two = fault("two", other, on(&["GET"], None), delay(MS));
        let three = fault("three", other, on(&["GET"], None), error("ERR three"));
        prop_assert_eq!(errors(std::slice::from_ref(&one)), errors(&[one, two, three]));
    }
}
