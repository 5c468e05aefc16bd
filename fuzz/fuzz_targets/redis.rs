//! Any bytes, both ways, as Redis's protocol.

#![no_main]

#[path = "wire/talk.rs"]
mod talk;

use firedrill_proxy::message::{Kind, RedisAction, RedisError, RedisFault, RedisMatch, redis};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let kinds = [
        RedisAction::Error(RedisError::default()),
        RedisAction::Delay(talk::delay()),
    ];
    let kinds = kinds.map(|action| {
        let matching = RedisMatch::default();
        Kind::Redis(RedisFault { matching, action })
    });
    talk::talk(data, kinds.into(), redis::session);
});
