//! Any bytes, both ways, as HTTP/2.

#![no_main]

#[path = "wire/faults.rs"]
mod faults;
#[path = "wire/talk.rs"]
mod talk;

use firedrill_proxy::message::{GrpcAction, GrpcFault, GrpcMatch, Http2, Kind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut kinds = faults::on_http();
    for action in [
        GrpcAction::Cut { after: 1, status: None },
        GrpcAction::Delay(talk::delay()),
    ] {
        let matching = GrpcMatch::default();
        kinds.push(Kind::Grpc(GrpcFault { matching, action }));
    }
    talk::talk(data, kinds, Http2::new);
});
