use std::sync::Arc;

use proptest::prelude::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;

/// What rustls says to a server of this name.
fn said(name: &str, alpn: &[&str]) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).expect("bytes");
    bytes
}

/// The same message in records of this size.
fn in_records_of(bytes: &[u8], size: usize) -> Vec<u8> {
    let message = &bytes[RECORD_HEADER..];
    let records = message.chunks(size).flat_map(|part| {
        let length = (part.len() as u16).to_be_bytes();
        [&bytes[..3], &length, part].concat()
    });
    records.collect()
}

fn hello_of(name: Option<&str>, alpn: &[&str]) -> Hello {
    Hello {
        name: name.map(Into::into),
        alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
    }
}

#[test]
fn name_and_protocols_are_those_that_a_client_says() {
    let alpn = ["h2", "http/1.1"];
    let bytes = said("Shop.Example.org", &alpn);
    let hello = hello_of(Some("shop.example.org"), &alpn);
    assert_eq!(read(&bytes), Ok(Some(hello)));
    // Who asks for an address names nobody.
    assert_eq!(read(&said("127.0.0.1", &[])), Ok(Some(hello_of(None, &[]))));
}

#[test]
fn what_is_not_tls_is_told_by_its_first_bytes() {
    for other in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"PRI * HTTP/2.0",
        b"\0",
        b"\x16\x02",
        b"\x80\x2e\x01",
    ] {
        assert_eq!(read(other), Err(NotAHello::NotTls), "{other:?}");
    }
    assert_eq!(read(&[]), Ok(None));
    // A record without content, one that is too long, and a ServerHello.
    for header in [
        [22, 3, 1, 0, 0, 1],
        [22, 3, 1, 0x40, 1, 1],
        [22, 3, 3, 0, 9, 2],
    ] {
        assert_eq!(read(&header), Err(NotAHello::NotTls), "{header:?}");
    }
}

#[test]
fn what_is_longer_than_the_limit_is_not_waited_for() {
    let message = [22, 3, 1, 0x3f, 0xff, 1, 0, 0x40, 0];
    assert_eq!(read(&message), Err(NotAHello::TooLong));
    // Nor what comes in so many records that their headers fill it.
    let bytes = said("shop.example.org", &[]);
    let mut long = bytes[..RECORD_HEADER].to_vec();
    long.extend([1, 0, 0x3f, 0]);
    long.extend([0; LIMIT]);
    let many = in_records_of(&long, 1);
    assert_eq!(read(&many[..LIMIT - 1]), Ok(None));
    assert_eq!(read(&many[..LIMIT]), Err(NotAHello::TooLong));
}

#[test]
fn a_name_that_is_none_is_refused() {
    let bytes = said("shop.example.org", &[]);
    let at = bytes
        .windows(4)
        .position(|four| four == b"shop")
        .expect("a name");
    for wrong in [b"sh p", b"sh\0p", b"sh/p", b"sh\xffp"] {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(wrong);
        assert_eq!(read(&bytes), Err(NotAHello::Malformed));
    }
}

proptest! {
    #[test]
    fn records_of_any_size_are_the_same_message(size in 1_usize..700) {
        let alpn = ["h2", "http/1.1"];
        let bytes = in_records_of(&said("shop.example.org", &alpn), size);
        let hello = hello_of(Some("shop.example.org"), &alpn);
        prop_assert_eq!(read(&bytes), Ok(Some(hello)));
    }

    #[test]
    fn a_part_of_it_is_waited_for(size in 1_usize..700, part in 0.0..1.0) {
        let bytes = in_records_of(&said("shop.example.org", &["h2"]), size);
        let part = (bytes.len() as f64 * part) as usize;
        prop_assert_eq!(read(&bytes[..part]), Ok(None));
    }

    #[test]
    fn what_comes_behind_it_changes_nothing(behind in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut bytes = said("shop.example.org", &[]);
        let alone = read(&bytes);
        bytes.extend(behind);
        prop_assert_eq!(read(&bytes), alone);
    }

    #[test]
    fn no_byte_that_is_another_makes_it_panic(at in 0_usize..600, byte: u8, cut in 0_usize..700) {
        let mut bytes = said("shop.example.org", &["h2"]);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut);
        let _read = read(&bytes);
    }

    /// Once it is told, for better or worse, more bytes do not change it.
    #[test]
    fn an_answer_is_final(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..200) {
        let mut all = vec![22, 3, 1];
        all.extend(bytes);
        let first = read(&all[..at.min(all.len())]);
        if first != Ok(None) {
            prop_assert_eq!(read(&all), first);
        }
    }
}
