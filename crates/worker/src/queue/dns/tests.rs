use proptest::prelude::*;

use super::datagram::checksum;
use super::*;

const NAME: &[u8] = b"\x04SHop\x07example\x03com\x00";

fn message(response: bool, name: &[u8], kind: u16) -> Vec<u8> {
    let flags = if response { 0x85 } else { 0x01 };
    let mut message = vec![0xab, 0xcd, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(name);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

fn packet(six: bool, from: u16, to: u16, message: &[u8]) -> Vec<u8> {
    let length = 8 + message.len() as u16;
    let mut packet = if six {
        let mut header = vec![0x60, 0, 0, 0, 0, 0, 17, 64];
        header.extend([7; 32]);
        header
    } else {
        let mut header = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0];
        header.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        header
    };
    packet.extend(from.to_be_bytes());
    packet.extend(to.to_be_bytes());
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(message);
    packet
}

fn query() -> Vec<u8> {
    packet(false, 4000, 53, &message(false, NAME, 1))
}

fn program(what: DnsAction) -> DnsProgram {
    DnsProgram {
        rules: vec![DnsRule {
            pattern: "shop.example.com".parse().unwrap(),
            what,
        }],
    }
}

fn spoof() -> DnsAction {
    DnsAction::Spoof {
        v4: vec![Ipv4Addr::new(127, 0, 0, 9)],
        v6: Vec::new(),
        ttl: 30,
    }
}

#[test]
fn only_the_named_queries_are_dropped_or_delayed() {
    let other = packet(false, 4000, 53, &message(false, b"\x02ok\x00", 1));
    assert_eq!(program(DnsAction::Block).treat(&query()), DnsFate::Drop);
    assert_eq!(program(DnsAction::Block).treat(&other), DnsFate::Pass);
    let delay = Duration::from_millis(70);
    assert_eq!(
        program(DnsAction::Delay(delay)).treat(&query()),
        DnsFate::Delay(delay)
    );
    assert_eq!(program(DnsAction::Timeout).treat(&query()), DnsFate::Pass);
}

#[test]
fn an_answer_becomes_a_refusal_with_the_same_id_and_question() {
    for six in [false, true] {
        let response = packet(six, 53, 4000, &message(true, NAME, 1));
        let fate = program(DnsAction::Error(DnsError::NxDomain)).treat(&response);
        let DnsFate::Replace(bytes) = fate else {
            panic!("{fate:?}")
        };
        let start = if six { 48 } else { 28 };
        assert_eq!(bytes[start..start + 4], [0xab, 0xcd, 0x81, 0x83]);
        assert_eq!(bytes[start + 12..start + 12 + NAME.len()], *NAME);
    }
}

#[test]
fn a_rewritten_packet_has_right_lengths_and_checksums() {
    let response = packet(false, 53, 4000, &message(true, NAME, 1));
    let DnsFate::Replace(four) = program(spoof()).treat(&response) else {
        panic!("not rewritten")
    };
    assert_eq!(four[2..4], (four.len() as u16).to_be_bytes());
    assert_eq!(checksum(0, &four[..20]), 0);
    let udp = four.len() as u64 - 20;
    let addresses: u64 = 0x0a00 + 1 + 0x0a00 + 2;
    assert_eq!(checksum(addresses + 17 + udp, &four[20..]), 0);
    assert_eq!(four[four.len() - 4..], [127, 0, 0, 9]);
    assert_eq!(four[28 + 6..28 + 8], [0, 1]);
}

#[test]
fn a_question_for_another_type_gets_an_empty_answer() {
    let response = packet(false, 53, 4000, &message(true, NAME, 65));
    let DnsFate::Replace(bytes) = program(spoof()).treat(&response) else {
        panic!("not rewritten")
    };
    assert_eq!(bytes[28 + 3] & 0x0f, 0);
    assert_eq!(bytes[28 + 6..28 + 8], [0, 0]);
}

#[test]
fn pointers_that_lead_in_circles_are_unreadable() {
    for name in [&[0xc0, 12][..], &[1, b'a', 0xc0, 12], &[0xc0, 200]] {
        let query = packet(false, 4000, 53, &message(false, name, 1));
        assert_eq!(program(DnsAction::Block).treat(&query), DnsFate::Unreadable);
    }
}

#[test]
fn fragments_and_other_ports_pass() {
    let mut fragment = query();
    fragment[6] = 0x20;
    assert_eq!(
        program(DnsAction::Block).treat(&fragment),
        DnsFate::Unreadable
    );
    let other = packet(false, 4000, 54, &message(false, NAME, 1));
    assert_eq!(program(DnsAction::Block).treat(&other), DnsFate::Unreadable);
}

proptest! {
    #[test]
    fn garbage_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..120), cut in 0..80_usize) {
        for what in [DnsAction::Block, spoof()] {
            let _ = program(what.clone()).treat(&bytes);
            for port in [[53_u16, 9], [9, 53]] {
                let packet = packet(bytes.len() % 2 == 0, port[0], port[1], &bytes);
                let _ = program(what.clone()).treat(&packet);
            }
            let whole = query();
            let _ = program(what).treat(&whole[..cut.min(whole.len())]);
        }
    }
}
