use proptest::prelude::*;
use rustix::io::Errno;

use super::message::ERROR;
use super::*;
use crate::namespace::in_fresh;

/// `struct ifinfomsg` that names the interface with that index.
fn link_header(index: i32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header
}

#[test]
fn what_is_written_is_read_back() {
    let inner = Attributes::new().be32(7, 0x0102_0304).string(8, "inner");
    let list = Attributes::new()
        .u8(1, 200)
        .nested(2, &inner)
        .u64(3, u64::MAX)
        .flag(4);
    let mut bytes = Vec::new();
    Message::new("test", 0x20, 0, &[9; 6])
        .with(&list)
        .encode(REQUEST, 5, &mut bytes);
    let read: Vec<_> = messages(&bytes).collect();
    let [message] = read.as_slice() else {
        panic!("one message: {read:?}");
    };
    assert_eq!((message.kind, message.sequence), (0x20, 5));
    assert_eq!(message.header::<6>(), Some([9; 6]));
    let attributes = message.attributes(6);
    assert_eq!(attributes.get(1).and_then(|a| a.u8()), Some(200));
    assert_eq!(attributes.get(3).and_then(|a| a.u64()), Some(u64::MAX));
    assert_eq!(attributes.get(4).map(|a| a.payload.len()), Some(0));
    let nested = attributes.get(2).map(|a| a.nested()).unwrap();
    assert_eq!(nested.get(7).and_then(|a| a.be32()), Some(0x0102_0304));
    assert_eq!(nested.get(8).and_then(|a| a.text()), Some("inner"));
}

#[test]
fn an_attribute_too_long_for_its_length_is_not_sent() {
    let message = Message::new("say too much", libc::RTM_GETLINK, 0, &[0; 16])
        .with(&Attributes::new().bytes(1, &vec![0; 70_000]));
    let mut socket = Socket::open(Protocol::Route).unwrap();
    let error = socket.request(&message).unwrap_err();
    assert_eq!(error.netlink_errno(), Some(Errno::MSGSIZE));
}

#[test]
fn the_loopback_interface_is_listed_and_asked_for_by_index() {
    let mut socket = Socket::open(Protocol::Route).unwrap();
    let all = Message::new("list links", libc::RTM_GETLINK, 0, &link_header(0));
    let links = socket.dump(&all).unwrap();
    let names: Vec<_> = links
        .iter()
        .filter_map(|link| link.attributes(16).get(libc::IFLA_IFNAME)?.text())
        .collect();
    assert!(names.contains(&"lo"), "{names:?}");
    let one = Message::new("show a link", libc::RTM_GETLINK, 0, &link_header(1));
    assert_eq!(socket.query(&one).unwrap().len(), 1);
}

#[test]
fn a_refusal_says_what_was_being_done_and_why() {
    let mut socket = Socket::open(Protocol::Route).unwrap();
    let absent = Message::new(
        "show link 999999",
        libc::RTM_GETLINK,
        0,
        &link_header(999_999),
    );
    let error = socket.query(&absent).unwrap_err();
    assert_eq!(error.netlink_errno(), Some(Errno::NODEV));
    assert!(
        error.to_string().starts_with("cannot show link 999999: "),
        "{error}"
    );
    // The socket goes on.
    let one = Message::new("show a link", libc::RTM_GETLINK, 0, &link_header(1));
    assert_eq!(socket.query(&one).unwrap().len(), 1);
}

#[test]
fn the_kernels_own_text_is_in_the_error() {
    // A link of a kind that does not exist.
    let kind = Attributes::new().string(libc::IFLA_INFO_KIND, "firedrill-none");
    let create = Message::new(
        "make a link",
        libc::RTM_NEWLINK,
        (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16,
        &link_header(0),
    )
    .with(&Attributes::new().nested(libc::IFLA_LINKINFO, &kind));
    let error = in_fresh(|| Socket::open(Protocol::Route)?.request(&create)).unwrap_err();
    let said = match &error {
        KernelError::Netlink { first, .. } => first.said.clone(),
        other => {
            eprintln!("skipped: no network namespace of its own here: {other}");
            return;
        }
    };
    assert_eq!(said.as_deref(), Some("Unknown device type"), "{error}");
}

#[test]
fn a_dump_longer_than_one_datagram_is_whole() {
    let made = 400;
    let listed = in_fresh(|| {
        let mut socket = Socket::open(Protocol::Route)?;
        for _ in 0..made {
            let kind = Attributes::new().string(libc::IFLA_INFO_KIND, "veth");
            let create = Message::new(
                "make a pair of links",
                libc::RTM_NEWLINK,
                (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16,
                &link_header(0),
            )
            .with(&Attributes::new().nested(libc::IFLA_LINKINFO, &kind));
            socket.request(&create)?;
        }
        socket.dump(&Message::new(
            "list links",
            libc::RTM_GETLINK,
            0,
            &link_header(0),
        ))
    });
    match listed {
        Ok(links) => assert!(links.len() > 2 * made, "{}", links.len()),
        Err(KernelError::Call { .. }) => eprintln!("skipped: no network namespace of its own"),
        Err(error) => panic!("{error}"),
    }
}

/// `NLMSG_ERROR` with the repeated header capped and the kernel's text after it.
fn refusal_reply(code: i32, text: &str) -> Parsed {
    let mut payload = code.to_ne_bytes().to_vec();
    payload.extend_from_slice(&[0; 16]);
    payload.extend_from_slice(Attributes::new().string(1, text).u32(2, 44).as_bytes());
    Parsed {
        kind: ERROR,
        flags: 0x300,
        sequence: 1,
        payload,
    }
}

#[test]
fn an_extended_acknowledgement_is_read() {
    let refusal = refusal::outcome(&refusal_reply(-22, "no such thing"), "try").unwrap_err();
    assert_eq!(refusal.errno, Errno::INVAL);
    assert_eq!(
        refusal.to_string(),
        "cannot try: Invalid argument (os error 22): no such thing (at byte 44 of the request)"
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for message in messages(&bytes) {
            let _outcome = refusal::outcome(&message, "test");
            for attribute in message.attributes(4) {
                let _numbers = (attribute.u64(), attribute.be16(), attribute.text());
                prop_assert!(attribute.nested().count() <= bytes.len());
            }
        }
    }

    #[test]
    fn a_damaged_reply_never_panics_the_parser(
        damage in proptest::collection::vec((0_usize..80, any::<u8>()), 1..6),
        cut in 0_usize..80,
    ) {
        let mut bytes = Vec::new();
        let list = Attributes::new().string(1, "text").nested(2, &Attributes::new().u32(1, 9));
        Message::new("test", ERROR, 0, &[0xea, 0xff, 0xff, 0xff]).with(&list).encode(0x300, 1, &mut bytes);
        for (at, value) in damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(cut);
        for message in messages(&bytes) {
            let _outcome = refusal::outcome(&message, "test");
            prop_assert!(message.attributes(4).flat_map(|a| a.nested()).count() <= bytes.len());
        }
    }

    #[test]
    fn every_attribute_comes_back(payloads in proptest::collection::vec(
        (0_u16..0x3fff, proptest::collection::vec(any::<u8>(), 0..40)), 0..20)) {
        let list = payloads.iter().fold(Attributes::new(), |list, (kind, payload)| {
            list.bytes(*kind, payload)
        });
        let read: Vec<_> = AttributeIter::new(list.as_bytes())
            .map(|a| (a.kind, a.payload.to_vec()))
            .collect();
        prop_assert_eq!(read, payloads);
    }
}
