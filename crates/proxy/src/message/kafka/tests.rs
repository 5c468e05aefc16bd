use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::message::wire::played::{
    LONG, MS, Played, comes_to_rest, cuts, passes_as_it_is, steady,
};
use crate::stream::Direction;

/// Requests of every version, and answers to them that failed with code 6, as the crate
/// `kafka-protocol` (0.18) writes both: number, version, request, answer.
const REFERENCE: &str = include_str!("reference.txt");

struct Case {
    api: i16,
    version: i16,
    request: Vec<u8>,
    answer: Vec<u8>,
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let text = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(text, 16).expect("a byte")
        })
        .collect()
}

fn cases() -> Vec<Case> {
    let lines = REFERENCE.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        Case {
            api: words[0].parse().expect("a number"),
            version: words[1].parse().expect("a version"),
            request: bytes(words[2]),
            answer: bytes(words[3]),
        }
    });
    lines.collect()
}

fn fault(name: &str, share: f64, apis: &[i16], action: KafkaAction) -> MessageFault {
    let matching = KafkaMatch {
        apis: apis.to_vec(),
        topic: None,
    };
    MessageFault {
        name: name.into(),
        share,
        arm: None,
        kind: Kind::Kafka(KafkaFault { matching, action }),
    }
}

fn for_topic(like: &str) -> MessageFault {
    let matching = KafkaMatch {
        apis: Vec::new(),
        topic: Some(Pattern::new(like)),
    };
    let action = KafkaAction::Error(6);
    MessageFault {
        name: "topic".into(),
        share: 1.0,
        arm: None,
        kind: Kind::Kafka(KafkaFault { matching, action }),
    }
}

fn delay(delay: Duration) -> KafkaAction {
    KafkaAction::Delay(steady(delay))
}

fn session(faults: &[MessageFault]) -> Conversation<Kafka> {
    Conversation::new(Kafka, Chance::new(5), faults)
}

/// Says the request's correlation back.
fn serve(mut said: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while said.len() >= 12 {
        let length = u32::from_be_bytes(said[..4].try_into().expect("four")) as usize + 4;
        let Some(request) = said.get(..length) else {
            break;
        };
        out.extend([0, 0, 0, 6]);
        out.extend_from_slice(&request[8..12]);
        out.extend_from_slice(&request[4..6]);
        said = &said[length..];
    }
    out
}

#[test]
fn every_known_version_is_answered_as_a_broker_would() {
    for case in cases() {
        let faults = [fault("no", 1.0, &[case.api], KafkaAction::Error(6))];
        let mut played = Played::new(session(&faults));
        played.client(&case.request);
        let what = (case.api, case.version);
        assert_eq!(played.to_client(), case.answer, "{what:?}");
        assert_eq!(played.to_server(), b"", "{what:?}");
    }
}

#[test]
fn what_is_not_known_passes() {
    let unknown = [&[0, 0, 0, 10, 0, 0, 0, 40, 0, 0, 0, 1][..], &[0, 0]].concat();
    let other = [&[0, 0, 0, 10, 0, 12, 0, 4, 0, 0, 0, 1][..], &[0, 0]].concat();
    for request in [unknown, other] {
        let faults = [fault("no", 1.0, &[], KafkaAction::Error(6))];
        let mut played = Played::new(session(&faults));
        played.client(&request);
        assert_eq!(played.to_server(), request);
        played.server(&serve(&request));
        assert_eq!(played.to_client(), serve(&request));
    }
}

#[test]
fn a_topic_says_which_requests_are_meant() {
    for case in cases() {
        // Newer versions say numbers instead of names.
        let is_named = match case.api {
            request::PRODUCE | request::FETCH => case.version < 13,
            request::METADATA | request::OFFSET_COMMIT => true,
            _ => false,
        };
        let what = (case.api, case.version);
        for (like, fits) in [("ord*", is_named), ("other", false)] {
            let mut played = Played::new(session(&[for_topic(like)]));
            played.client(&case.request);
            assert_eq!(played.to_server().is_empty(), fits, "{what:?} {like}");
        }
    }
}

#[test]
fn an_answer_of_ours_comes_in_its_place_and_later_if_delayed() {
    let all = cases();
    let produce = all
        .iter()
        .find(|case| case.api == request::PRODUCE)
        .expect("one");
    let fetch = all
        .iter()
        .find(|case| case.api == request::FETCH)
        .expect("one");
    let faults = [
        fault("no", 1.0, &[request::PRODUCE], KafkaAction::Error(6)),
        fault("slow", 1.0, &[request::PRODUCE], delay(MS * 20)),
    ];
    let mut played = Played::new(session(&faults));
    played.client(&[&fetch.request[..], &produce.request, &fetch.request].concat());
    played.server(&serve(&fetch.request));
    played.until(LONG);
    played.server(&serve(&fetch.request));
    let reply = serve(&fetch.request);
    assert_eq!(
        played.to_client(),
        [&reply[..], &produce.answer, &reply].concat()
    );
    assert_eq!(played.times(Direction::Downstream)[reply.len()], MS * 20);
    assert_eq!(
        played.to_server(),
        [&fetch.request[..], &fetch.request].concat()
    );
}

#[test]
fn a_producer_that_wants_no_answer_gets_none() {
    // The transaction's name is none, and so are the acknowledgements.
    let body = [0xff, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    let head = [0, 0, 0, 22, 0, 0, 0, 3, 0, 0, 0, 9, 0xff, 0xff];
    let silent = [&head[..], &body].concat();
    let all = cases();
    let fetch = all
        .iter()
        .find(|case| case.api == request::FETCH)
        .expect("one");
    let faults = [fault("no", 1.0, &[request::FETCH], KafkaAction::Error(6))];
    let mut played = Played::new(session(&faults));
    played.client(&[&silent[..], &fetch.request].concat());
    assert_eq!(played.to_client(), fetch.answer);
    assert_eq!(played.to_server(), silent);
    let faults = [fault("no", 1.0, &[request::PRODUCE], KafkaAction::Error(6))];
    let mut played = Played::new(session(&faults));
    played.client(&silent);
    assert!(played.to_client().is_empty() && played.to_server().is_empty());
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    let all = cases();
    prop::collection::vec(0..all.len(), 0..12).prop_map(move |which| {
        which
            .iter()
            .flat_map(|at| all[*at].request.clone())
            .collect()
    })
}

fn anything() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        requests(),
        requests().prop_map(|all| serve(&all)),
        // Requests with something wrong in them.
        (requests(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut all, at, byte)| {
            if !all.is_empty() {
                let at = at.index(all.len());
                all[at] = byte;
            }
            all
        }),
        prop::collection::vec(any::<u8>(), 0..60),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn some_faults(share: f64) -> Vec<MessageFault> {
    vec![
        fault("slow", share, &[], delay(MS * 7)),
        fault("no", share, &[], KafkaAction::Error(6)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

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
        up in requests(), cuts in cuts(), share in 0.0..1.0,
    ) {
        let talk = |cuts: &[usize]| {
            let mut played = Played::new(session(&some_faults(share)));
            played.converse(&[&up], cuts, serve);
            (played.to_server(), played.to_client(), played.out.answers)
        };
        prop_assert_eq!(talk(&[up.len().max(1)]), talk(&cuts));
    }
}
