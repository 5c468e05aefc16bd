//! Any bytes, both ways, on a connection that has become a WebSocket.

#![no_main]

#[path = "wire/talk.rs"]
mod talk;

use std::time::Instant;

use firedrill_proxy::chance::Chance;
use firedrill_proxy::message::http::Version1;
use firedrill_proxy::message::{
    Kind, MessageFault, Session, WebSocketAction, WebSocketChange, WebSocketFault, WebSocketMatch,
};
use firedrill_proxy::stream::Direction;
use libfuzzer_sys::fuzz_target;

const ASKED: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
const AGREED: &[u8] = b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n";

fn faults() -> Vec<Kind> {
    let close = WebSocketAction::Close { code: 1011, reason: "x".into() };
    let all = [
        (Direction::Upstream, WebSocketAction::Delay(talk::delay())),
        (Direction::Downstream, WebSocketAction::Drop),
        (Direction::Upstream, WebSocketAction::Change(WebSocketChange::Truncate { after: 3 })),
        (Direction::Downstream, WebSocketAction::Change(WebSocketChange::Corrupt { share: 0.5 })),
        (Direction::Upstream, close),
    ];
    let kinds = all.into_iter().map(|(direction, action)| {
        let matching = WebSocketMatch::default();
        Kind::WebSocket(WebSocketFault { direction, matching, action })
    });
    kinds.collect()
}

/// A connection behind its upgrade.
fn session(chance: Chance, faults: &[MessageFault]) -> Version1 {
    let (mut session, mut said) = (Version1::new(chance, faults), talk::Said::default());
    session.receive(Direction::Upstream, ASKED, Instant::now(), &mut said);
    session.receive(Direction::Downstream, AGREED, Instant::now(), &mut said);
    session
}

fuzz_target!(|data: &[u8]| talk::talk(data, faults(), session));
