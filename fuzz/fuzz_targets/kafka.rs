//! Any bytes, both ways, as Kafka's protocol.

#![no_main]

#[path = "wire/talk.rs"]
mod talk;

use firedrill_proxy::message::{KafkaAction, KafkaFault, KafkaMatch, Kind, kafka};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let kinds = [KafkaAction::Error(6), KafkaAction::Delay(talk::delay())].map(|action| {
        let matching = KafkaMatch::default();
        Kind::Kafka(KafkaFault { matching, action })
    });
    talk::talk(data, kinds.into(), kafka::session);
});
