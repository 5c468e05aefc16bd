//! A ClientHello is understood, waited for or refused, never a panic; and what is decided stays so,
//! whatever comes behind.

#![no_main]

use firedrill_proxy::tls::hello;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = hello::read(bytes);
    let half = hello::read(&bytes[..bytes.len() / 2]);
    if half != Ok(None) {
        assert_eq!(half, whole);
    }
    if bytes.len() >= hello::LIMIT {
        assert_ne!(whole, Ok(None));
    }
});
