//! Faults on some requests of a busy connection: they do what they say, and the others come out
//! right.

use std::time::Duration;

use bytes::Bytes;
use firedrill_proxy::chance::Chance;
use firedrill_proxy::message::{
    BodyChange, HeaderChange, HttpAction, HttpFault, HttpMatch, Kind, MessageFault, Pattern,
};
use firedrill_proxy::stream::{Direction, Latency};
use firedrill_worker::queue::distribution::Distribution;
use h2::Reason;
use h2::client::SendRequest;
use http::{Method, Request};

use super::peers::{Answer, CHANCE, ask, connect};

const DELAY: Duration = Duration::from_millis(200);

pub(crate) fn fault(path: &str, share: f64, action: HttpAction) -> MessageFault {
    let matching = HttpMatch {
        path: Some(Pattern::new(format!("/{path}/*"))),
        ..HttpMatch::default()
    };
    MessageFault {
        name: path.into(),
        share,
        arm: None,
        kind: Kind::Http(HttpFault { matching, action }),
    }
}

pub(crate) fn delay(delay: Duration) -> HttpAction {
    HttpAction::Delay(Latency {
        delay,
        jitter: Duration::ZERO,
        distribution: Distribution::Uniform,
        correlation: 0.0,
    })
}

fn header(direction: Direction, name: &str, value: &str) -> HttpAction {
    let (name, value) = (name.into(), value.into());
    let change = HeaderChange::Set { name, value };
    HttpAction::Header { direction, change }
}

fn body(direction: Direction, change: BodyChange) -> HttpAction {
    HttpAction::Body { direction, change }
}

/// One fault of each kind, each on half of the requests below its path.
pub(crate) fn faults(page: &Bytes) -> Vec<MessageFault> {
    use Direction::{Downstream, Upstream};
    let status = 503;
    let actions = [
        (
            "abort",
            HttpAction::Abort {
                status,
                body: page.clone(),
            },
        ),
        ("delay", delay(DELAY)),
        ("reset", HttpAction::Reset),
        (
            "replace",
            body(Downstream, BodyChange::Replace(page.clone())),
        ),
        ("send", body(Upstream, BodyChange::Replace(page.clone()))),
        (
            "truncate",
            body(Downstream, BodyChange::Truncate { after: 1000 }),
        ),
        (
            "break",
            body(Upstream, BodyChange::Truncate { after: 1000 }),
        ),
        (
            "corrupt",
            body(Downstream, BodyChange::Corrupt { share: 1.0 }),
        ),
        ("header", header(Downstream, "X-Path", "elsewhere")),
        ("added", header(Upstream, "X-Added", "yes")),
    ];
    let halves = actions
        .into_iter()
        .map(|(path, action)| fault(path, 0.5, action));
    halves.collect()
}

const PATHS: [&str; 11] = [
    "plain", "abort", "delay", "reset", "replace", "send", "truncate", "break", "corrupt",
    "header", "added",
];

pub(crate) fn text(number: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| ((at * 7 + number) % 251) as u8)
        .collect()
}

fn reversed(body: &[u8]) -> Vec<u8> {
    body.iter().rev().copied().collect()
}

/// An answer that nothing was done with.
fn check_plain(answer: &Answer, path: &str, sent: &[u8]) {
    assert_eq!(answer.status, 200, "{path}");
    assert_eq!(answer.headers["x-path"], path);
    assert!(answer.body == reversed(sent), "{path}: another body");
    assert_eq!(answer.broken, None, "{path}");
    let trailers = answer.trailers.as_ref().expect("trailers");
    assert_eq!(trailers["x-length"], sent.len().to_string());
}

fn check(name: &str, path: &str, sent: &[u8], page: &[u8], answer: Result<Answer, Reason>) {
    if name == "reset" || (name == "break" && sent.len() > 1000) {
        assert_eq!(answer.expect_err("no answer"), Reason::INTERNAL_ERROR);
        return;
    }
    let answer = answer.unwrap_or_else(|reason| panic!("{path}: {reason}"));
    match name {
        "abort" => {
            assert_eq!(answer.status, 503);
            assert_eq!(answer.headers["content-length"], page.len().to_string());
            assert!(answer.body == page, "{path}: another page");
        }
        "delay" => {
            assert!(answer.after >= DELAY, "{path}: {:?}", answer.after);
            check_plain(&answer, path, sent);
        }
        "replace" => {
            assert_eq!(answer.headers["content-length"], page.len().to_string());
            assert!(answer.body == page, "{path}: another page");
        }
        "send" => assert!(answer.body == reversed(page), "{path}: another page"),
        "truncate" if sent.len() > 1000 => {
            assert_eq!(answer.body, reversed(sent)[..1000]);
            assert_eq!(answer.broken, Some(Reason::INTERNAL_ERROR), "{path}");
        }
        "corrupt" => {
            let clean = reversed(sent);
            let flipped = clean
                .iter()
                .zip(&answer.body)
                .map(|(a, b)| (a ^ b).count_ones());
            assert_eq!(answer.body.len(), clean.len());
            // The flipped bit of the last part may lie behind its end.
            let (parts, whole) = (sent.len().div_ceil(1448), sent.len() / 1448);
            let flipped = flipped.sum::<u32>() as usize;
            assert!(
                (whole..=parts).contains(&flipped),
                "{path}: {flipped} of {parts}"
            );
        }
        "header" => assert_eq!(answer.headers["x-path"], "elsewhere"),
        "added" => assert_eq!(answer.headers["x-seen"], "yes"),
        _ => check_plain(&answer, path, sent),
    }
}

/// Many requests at the same time, of all lengths, with those faults, on a connection of this chance.
pub(crate) async fn busy(
    client: &mut SendRequest<Bytes>,
    chance: Chance,
    faults: &[MessageFault],
    page: &Bytes,
    count: usize,
) {
    let mut answers = Vec::new();
    for number in 0..count {
        let draw = chance.named("requests").of(number as u64);
        let name = PATHS[draw.below(PATHS.len() as u64) as usize];
        let path = format!("/{name}/{number}");
        let sent = text(number, 1 + draw.of(1).below(40_000) as usize);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://shop.test{path}?a=b"))
            .header("x-number", number)
            .body(())
            .expect("a request");
        let fault = faults.iter().find(|fault| *fault.name == *name);
        let hit = fault.is_some_and(|fault| fault.falls_on(chance, number as u64));
        let answer = tokio::spawn(ask(client, request, sent.clone()).await);
        answers.push((if hit { name } else { "plain" }, path, sent, answer));
    }
    for (name, path, sent, answer) in answers {
        let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("{path}: no end"));
        check(name, &path, &sent, page, answer.expect("an answer"));
    }
}

async fn busy_between(page: usize, window: u32, count: usize) {
    let page = Bytes::from(text(0, page));
    let faults = faults(&page);
    let mut client = connect(&faults, window).await;
    busy(&mut client, CHANCE, &faults, &page, count).await;
}

#[tokio::test(start_paused = true)]
async fn each_fault_does_what_it_says_and_other_requests_come_out_right() {
    busy_between(300, 65_535, 300).await;
}

#[tokio::test(start_paused = true)]
async fn bodies_of_ours_fit_the_windows_of_both_sides() {
    busy_between(200_000, 20_000, 120).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_where_every_request_is_answered_here_goes_on_for_ever() {
    let page = Bytes::from(text(0, 50_000));
    let status = 500;
    let abort = HttpAction::Abort { status, body: page };
    let mut client = connect(&[fault("abort", 1.0, abort)], 65_535).await;
    for number in 0..200 {
        let request = Request::post("http://shop.test/abort/1")
            .body(())
            .expect("a request");
        let answer = ask(&mut client, request, text(number, 50_000)).await.await;
        let answer = answer.expect("an answer");
        assert_eq!((answer.status.as_u16(), answer.body.len()), (500, 50_000));
    }
    let request = Request::post("http://shop.test/plain/1")
        .body(())
        .expect("a request");
    let answer = ask(&mut client, request, text(1, 50_000)).await.await;
    check_plain(&answer.expect("an answer"), "/plain/1", &text(1, 50_000));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_request_does_not_hold_up_those_behind_it() {
    let faults = [fault("delay", 1.0, delay(DELAY))];
    let mut client = connect(&faults, 65_535).await;
    let request = |path: &str| {
        let uri = format!("http://shop.test{path}");
        Request::post(uri).body(()).expect("a request")
    };
    let slow = tokio::spawn(ask(&mut client, request("/delay/1"), text(1, 100)).await);
    let quick = ask(&mut client, request("/plain/2"), text(2, 100))
        .await
        .await;
    let quick = quick.expect("an answer");
    check_plain(&quick, "/plain/2", &text(2, 100));
    let slow = slow.await.expect("an end").expect("an answer");
    check_plain(&slow, "/delay/1", &text(1, 100));
    assert!(
        quick.after < DELAY && slow.after >= DELAY,
        "{quick:?} {slow:?}"
    );
}
