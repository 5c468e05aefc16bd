//! Any bytes, both ways, as Kafka's protocol.

#![no_main]

#[path = "wire/talk.rs"]
mod talk;

use firedrill_proxy::message::kafka;
use firedrill_proxy::message::{KafkaAction, KafkaFault, KafkaMatch, Kind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let kinds = vec![Kind::Kafka(KafkaFault {
        matching: KafkaMatch::default(),
        action: KafkaAction::Error(6),
    })];
    talk::talk(data, kinds, kafka::session);
});
