use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::message::wire::played::{
    LONG, MS, Played, comes_to_rest, cuts, passes_as_it_is, steady,
};
use crate::message::{Pattern, StatementMatch};
use crate::stream::{Direction, End};

fn fault(name: &str, share: f64, like: &str, action: PostgresAction) -> MessageFault {
    MessageFault {
        name: name.into(),
        share,
        arm: None,
        kind: Kind::Postgres(PostgresFault {
            matching: StatementMatch::like(&Pattern::new(like)),
            action,
        }),
    }
}

fn deadlock() -> PostgresError {
    PostgresError {
        state: "40P01".parse().expect("a state"),
        message: "deadlock detected".into(),
    }
}

fn error() -> PostgresAction {
    PostgresAction::Error(deadlock())
}

fn delay(delay: Duration) -> PostgresAction {
    PostgresAction::Delay(steady(delay))
}

fn session(faults: &[MessageFault]) -> Conversation<Postgres> {
    Conversation::new(Postgres::default(), Chance::new(5), faults)
}

fn startup(parameters: &[u8]) -> Vec<u8> {
    let mut bytes = (parameters.len() as u32 + 8).to_be_bytes().to_vec();
    bytes.extend_from_slice(&196_608_u32.to_be_bytes());
    bytes.extend_from_slice(parameters);
    bytes
}

fn begin() -> Vec<u8> {
    startup(b"user\0me\0\0")
}

fn welcome() -> Vec<u8> {
    [frame::message(b'R', &[0; 4]), frame::message(b'Z', b"I")].concat()
}

fn one(kind: u8, content: &str) -> Vec<u8> {
    frame::message(kind, content.as_bytes())
}

fn query(text: &str) -> Vec<u8> {
    one(b'Q', &format!("{text}\0"))
}

fn parse(text: &str) -> Vec<u8> {
    one(b'P', &format!("s\0{text}\0\0\0"))
}

fn bind() -> Vec<u8> {
    one(b'B', "\0s\0\0\0\0\0\0\0")
}

fn execute() -> Vec<u8> {
    one(b'E', "\0\0\0\0\0")
}

fn sync() -> Vec<u8> {
    one(b'S', "")
}

/// Kinds of messages, by a reader that knows nothing of the one under test; an error with its
/// state, readiness with the transaction's.
fn kinds(mut bytes: &[u8]) -> String {
    let mut all = String::new();
    while bytes.len() >= 5 {
        let length = u32::from_be_bytes(bytes[1..5].try_into().expect("four")) as usize + 1;
        let content = &bytes[5..length];
        all.push(bytes[0] as char);
        match bytes[0] {
            b'Z' => all.push(content[0] as char),
            b'E' => {
                let mut fields = content.split(|byte| *byte == 0);
                let state = fields.find(|field| field.first() == Some(&b'C'));
                all.push_str(&String::from_utf8_lossy(&state.expect("a state")[1..]));
            }
            _ => {}
        }
        bytes = &bytes[length..];
    }
    all
}

/// A server with transactions and errors, as far as the protocol goes.
fn serve(said: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = &said[said.len().min(begin().len())..];
    if said.len() >= begin().len() {
        out.extend(welcome());
    }
    let (mut status, mut skips, mut portal) = (b'I', false, String::new());
    while rest.len() >= 5 {
        let length = u32::from_be_bytes(rest[1..5].try_into().expect("four")) as usize + 1;
        let Some(content) = rest.get(5..length) else {
            break;
        };
        let kind = rest[0];
        let text = String::from_utf8_lossy(content).to_string();
        rest = &rest[length..];
        if skips && kind != b'S' {
            continue;
        }
        let is_unknown = kind == b'E' && text.starts_with("firedrill");
        if kind == b'P' {
            portal.clone_from(&text);
        }
        let statement = if kind == b'Q' { &text } else { &portal };
        let runs = matches!(kind, b'Q' | b'E');
        let fails = is_unknown
            || runs && (statement.contains("bad") || status == b'E' && !statement.contains("end"));
        if fails {
            out.extend(frame::error(
                "ERROR",
                &PostgresError {
                    state: SqlState::of(*b"34000"),
                    message: "theirs".into(),
                },
            ));
            status = if status == b'I' { b'I' } else { b'E' };
            skips = kind == b'E';
        } else if runs {
            out.extend(one(b'C', "DONE\0"));
            if statement.contains("begin") {
                status = b'T';
            }
            if statement.contains("end") {
                status = b'I';
            }
        }
        match kind {
            b'P' => out.extend(one(b'1', "")),
            b'B' => out.extend(one(b'2', "")),
            b'Q' => out.extend(frame::message(b'Z', &[status])),
            b'S' => {
                skips = false;
                out.extend(frame::message(b'Z', &[status]));
            }
            _ => {}
        }
    }
    out
}

/// What the client sees of a conversation.
fn seen(faults: &[MessageFault], said: &[Vec<u8>]) -> String {
    let mut played = Played::new(session(faults));
    let all = [&[begin()], said].concat().concat();
    played.converse(&[&all], &[all.len()], serve);
    kinds(&played.to_client())
}

#[test]
fn an_error_of_a_simple_query_leaves_the_server_alone_outside_a_transaction() {
    let mut played = Played::new(session(&[fault("no", 1.0, "select *", error())]));
    played.client(&begin());
    played.server(&welcome());
    played.client(&query("SELECT 1"));
    assert_eq!(played.to_server(), begin());
    assert_eq!(kinds(&played.to_client()), "RZIE40P01ZI");
    played.client(&query("update x"));
    assert!(played.to_server().ends_with(&query("update x")));
}

#[test]
fn an_error_in_a_transaction_spoils_it_upstream_too() {
    let faults = [fault("no", 1.0, "select *", error())];
    let said = [
        query("begin"),
        query("select 1"),
        query("update x"),
        query("end"),
    ];
    assert_eq!(seen(&faults, &said), "RZICZTE40P01ZEE34000ZECZI");
    // The same with each statement when the one before it has its answer.
    let mut played = Played::new(session(&faults));
    let mut had = 0;
    for one in [&[begin()][..], &said].concat() {
        played.client(&one);
        let all = serve(&played.to_server());
        played.server(&all[had..]);
        had = all.len();
    }
    assert_eq!(kinds(&played.to_client()), "RZICZTE40P01ZEE34000ZECZI");
}

#[test]
fn an_error_of_an_execution_drops_what_is_behind_it_until_the_sync() {
    let faults = [fault("no", 1.0, "select *", error())];
    let said = [
        parse("update x"),
        bind(),
        execute(),
        parse("select 1"),
        bind(),
        execute(),
        parse("update y"),
        bind(),
        execute(),
        sync(),
        query("update z"),
    ];
    assert_eq!(seen(&faults, &said), "RZI12C12E40P01ZICZI");
    // An error of the server's that is in front of ours is the one that is seen.
    let said = [
        parse("bad"),
        bind(),
        execute(),
        parse("select 1"),
        bind(),
        execute(),
        sync(),
        query("x"),
    ];
    assert_eq!(seen(&faults, &said), "RZI12E34000ZICZI");
    // Executed again without its text, a statement still has it.
    let said = [
        parse("select 1"),
        sync(),
        bind(),
        execute(),
        sync(),
        bind(),
        sync(),
        execute(),
        sync(),
    ];
    assert_eq!(seen(&faults, &said), "RZI1ZI2E40P01ZI2ZIE40P01ZI");
}

#[test]
fn the_request_itself_never_goes_on() {
    let faults = [fault("no", 1.0, "secret*", error())];
    let mut played = Played::new(session(&faults));
    let all = [
        begin(),
        query("begin"),
        query("secret"),
        parse("update"),
        sync(),
    ]
    .concat();
    played.converse(&[&all], &[7], serve);
    let text = String::from_utf8_lossy(&played.to_server()).to_string();
    assert!(
        !text.contains("secret") && text.contains("firedrill: an error"),
        "{text}"
    );
}

#[test]
fn a_connection_is_refused_when_the_client_has_said_who_it_is() {
    let faults = [fault(
        "no",
        1.0,
        "*",
        PostgresAction::Refuse(PostgresError::of_connections()),
    )];
    let mut played = Played::new(session(&faults));
    played.client(&begin());
    let asked = frame::message(b'R', &[0, 0, 0, 5, 1, 2, 3, 4]);
    played.server(&asked);
    played.client(&one(b'p', "md5\0"));
    played.server(&welcome());
    assert_eq!(kinds(&played.to_client()), "RE57P03");
    assert!(String::from_utf8_lossy(&played.to_client()).contains("FATAL"));
    assert_eq!(
        played.out.ends,
        [(Duration::ZERO, Direction::Downstream, End::Close)]
    );
    // Nobody is there any more.
    played.client(&query("select 1"));
    played.server(&welcome());
    assert_eq!(kinds(&played.to_client()), "RE57P03");
}

#[test]
fn a_delayed_statement_goes_on_later_and_its_error_comes_later() {
    let mut played = Played::new(session(&[fault("slow", 1.0, "*", delay(MS * 20))]));
    played.client(&begin());
    played.server(&welcome());
    played.client(&query("select 1"));
    played.until(MS * 19);
    assert_eq!(played.to_server(), begin());
    played.until(LONG);
    assert_eq!(played.times(Direction::Upstream).last(), Some(&(MS * 20)));
    let both = [
        fault("slow", 1.0, "*", delay(MS * 20)),
        fault("no", 1.0, "*", error()),
    ];
    let mut played = Played::new(session(&both));
    played.client(&begin());
    played.server(&welcome());
    played.client(&query("select 1"));
    played.until(LONG);
    assert_eq!(played.times(Direction::Downstream).last(), Some(&(MS * 20)));
}

#[test]
fn a_server_that_speaks_before_it_is_asked_is_not_followed() {
    let ask = [&8_u32.to_be_bytes()[..], &80_877_103_u32.to_be_bytes()].concat();
    let mut bed = Played::new(session(&[fault("f", 1.0, "*", error())]));
    let (mut asked, mut said) = (Vec::new(), Vec::new());
    // The beginning of a message comes where one byte is the answer, once it is asked again.
    for answer in [&b"N"[..], b"NN", b"N more"] {
        bed.server(answer);
        bed.client(&ask);
        asked.extend_from_slice(&ask);
        said.extend_from_slice(answer);
    }
    bed.server(b"N");
    said.push(b'N');
    assert_eq!(bed.to_server(), asked);
    assert_eq!(bed.to_client(), said);
}

#[test]
fn a_connection_that_is_secured_passes_as_it_is() {
    let mut played = Played::new(session(&[fault("no", 1.0, "*", error())]));
    let ask = [0, 0, 0, 8, 4, 210, 22, 47];
    played.client(&ask);
    assert!(!played.session.has_room(Direction::Upstream));
    played.server(b"S");
    played.client(b"\x16\x03\x01");
    played.client(&query("select 1"));
    played.server(b"\x16\x03\x03");
    assert_eq!(
        played.to_server(),
        [&ask[..], b"\x16\x03\x01", &query("select 1")].concat()
    );
    assert_eq!(played.to_client(), b"S\x16\x03\x03");
    // One that is not goes on to be followed.
    let mut played = Played::new(session(&[fault("no", 1.0, "*", error())]));
    played.client(&ask);
    played.server(b"N");
    played.client(&begin());
    played.server(&welcome());
    played.client(&query("select 1"));
    assert_eq!(kinds(&played.to_client()[1..]), "RZIE40P01ZI");
}

#[test]
fn replication_passes_as_it_is() {
    let mut played = Played::new(session(&[fault("no", 1.0, "*", error())]));
    played.client(&startup(b"user\0me\0replication\0database\0\0"));
    played.server(&welcome());
    played.client(&query("START_REPLICATION"));
    assert!(played.to_server().ends_with(&query("START_REPLICATION")));
}

#[test]
fn rows_that_the_client_sends_are_no_requests() {
    let faults = [fault("no", 1.0, "select *", error())];
    let mut played = Played::new(session(&faults));
    played.client(&begin());
    played.server(&welcome());
    // A Sync that comes before the rows is nothing to the server.
    played.client(&[parse("copy x from stdin"), bind(), execute(), sync()].concat());
    played.server(
        &[
            one(b'1', ""),
            one(b'2', ""),
            frame::message(b'G', &[0, 0, 0]),
        ]
        .concat(),
    );
    played.client(&[one(b'd', "row\n"), one(b'c', ""), sync(), query("select 1")].concat());
    played.server(&[one(b'C', "COPY 1\0"), frame::message(b'Z', b"I")].concat());
    assert_eq!(kinds(&played.to_client()), "RZI12GCZI");
    played.server(
        &[
            frame::error("ERROR", &deadlock()),
            frame::message(b'Z', b"I"),
        ]
        .concat(),
    );
    assert_eq!(kinds(&played.to_client()), "RZI12GCZIE40P01ZI");
    assert!(played.session.awaits_nothing());
}

#[test]
fn a_large_statement_and_a_large_row_are_not_held() {
    let mut played = Played::new(session(&[fault("no", 1.0, "select *", error())]));
    played.client(&begin());
    played.server(&welcome());
    let large = query(&format!("insert {}", "x".repeat(3 << 20)));
    large.chunks(64 << 10).for_each(|part| played.client(part));
    assert_eq!(played.to_server().len(), begin().len() + large.len());
    let row = one(b'D', &"y".repeat(3 << 20));
    row.chunks(64 << 10).for_each(|part| played.server(part));
    assert_eq!(played.to_client().len(), welcome().len() + row.len());
    // One of ours is dropped as it comes.
    played.server(&[one(b'C', "I\0"), frame::message(b'Z', b"I")].concat());
    let large = query(&format!("select {}", "x".repeat(3 << 20)));
    let before = played.to_server().len();
    large.chunks(64 << 10).for_each(|part| played.client(part));
    assert_eq!(played.to_server().len(), before);
}

fn request() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let text = prop_oneof![
        Just("begin"),
        Just("end"),
        Just("select 1"),
        Just("update x"),
        Just("bad"),
    ];
    prop_oneof![
        text.clone().prop_map(|text| vec![query(text)]),
        prop::collection::vec(text, 1..4).prop_map(|texts| {
            let mut all: Vec<_> = texts
                .iter()
                .flat_map(|text| [parse(text), bind(), execute()])
                .collect();
            all.push(sync());
            all
        }),
    ]
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(request(), 0..12).prop_map(|all| {
        let messages: Vec<u8> = all.concat().concat();
        [begin(), messages].concat()
    })
}

fn anything() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        requests(),
        requests().prop_map(|all| serve(&all)),
        prop::collection::vec(any::<u8>(), 0..50),
        (
            any::<u8>(),
            0..40_u32,
            prop::collection::vec(any::<u8>(), 0..40)
        )
            .prop_map(|(kind, length, content)| {
                [&[kind][..], &length.to_be_bytes(), &content].concat()
            }),
        Just(vec![0, 0, 0, 8, 4, 210, 22, 47]),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn some_faults(share: f64) -> Vec<MessageFault> {
    vec![
        fault("slow", share, "*", delay(MS * 7)),
        fault("select", share, "select *", error()),
        fault("update", share, "*update*", error()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_comes_passes_as_it_is(up in anything(), down in anything(), cuts in cuts()) {
        passes_as_it_is(session(&[]), &up, &down, &cuts)?;
        passes_as_it_is(session(&some_faults(0.0)), &[begin(), up].concat(), &[welcome(), down].concat(), &cuts)?;
    }

    #[test]
    fn no_garbage_breaks_a_session_with_faults(
        up in anything(), down in anything(), cuts in cuts(), share in 0.0..1.0,
    ) {
        let mut played = Played::new(session(&some_faults(share)));
        played.client(&begin());
        comes_to_rest(played, &up, &down, &cuts)?;
    }

    #[test]
    fn nothing_the_client_sees_depends_on_how_tcp_cut_the_streams(
        up in requests(), cuts in cuts(), share in 0.0..1.0,
    ) {
        let mut whole = Played::new(session(&some_faults(share)));
        whole.converse(&[&up], &[up.len()], serve);
        let mut cut = Played::new(session(&some_faults(share)));
        cut.converse(&[&up], &cuts, serve);
        prop_assert_eq!(kinds(&whole.to_client()), kinds(&cut.to_client()));
        prop_assert_eq!(whole.to_client(), cut.to_client());
        prop_assert!(cut.session.awaits_nothing());
    }
}
