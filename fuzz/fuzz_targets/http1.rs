//! Any bytes, both ways, as HTTP/1.1. What goes to the upstream without a fault is what came, up to
//! the first request that is refused, and the answers are the upstream's, unless one was.

#![no_main]

#[path = "wire/faults.rs"]
mod faults;
#[path = "wire/talk.rs"]
mod talk;

use firedrill_proxy::message::http::Version1;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let carried = talk::carry(data, faults::on_http(), Version1::new);
    let Some(carried) = carried.filter(|carried| !carried.is_faulty) else {
        return;
    };
    let [sent, answered] = carried.sent;
    let [passed, told] = carried.said;
    assert!(sent.starts_with(&passed));
    if passed == sent {
        assert_eq!(told, answered);
    }
});
