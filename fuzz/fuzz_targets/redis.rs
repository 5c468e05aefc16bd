//! Any bytes, both ways, as Redis's protocol.

#![no_main]

#[path = "wire/talk.rs"]
mod talk;

use firedrill_proxy::message::redis;
use firedrill_proxy::message::{Kind, RedisAction, RedisError, RedisFault, RedisMatch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let kinds = vec![Kind::Redis(RedisFault {
        matching: RedisMatch::default(),
        action: RedisAction::Error(RedisError::default()),
    })];
    talk::talk(data, kinds, redis::session);
});
