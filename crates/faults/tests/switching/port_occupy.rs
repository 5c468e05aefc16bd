use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};

use firedrill_undo::Quantity;
use serde_json::json;

use crate::bed::Bed;
use crate::drill::Drill;

const OCCUPY: &str = "switching.port-occupy";

#[test]
fn nobody_else_can_listen_on_occupied_ports_until_it_is_undone() {
    let Some(bed) = Bed::lay() else { return };
    let ports = json!({"port": ["8000-8009", 5432], "protocol": "both"});
    let placed = Drill::begin().apply(OCCUPY, &ports, &[bed.near.target()]);
    // Of two protocols and two kinds of addresses.
    assert_eq!(placed.figure(Quantity::PortsHeld).achieved, 44.0);
    for at in ["10.90.0.1:5432", "127.0.0.1:8009", "[::1]:8000"] {
        let tcp = bed.near.within(|| TcpListener::bind(at)).unwrap_err();
        let udp = bed.near.within(|| UdpSocket::bind(at)).unwrap_err();
        assert_eq!(tcp.kind(), ErrorKind::AddrInUse, "{at}");
        assert_eq!(udp.kind(), ErrorKind::AddrInUse, "{at}");
    }
    assert!(
        bed.near
            .within(|| TcpListener::bind("10.90.0.1:5433"))
            .is_ok()
    );
    let elsewhere = bed.far.within(|| TcpListener::bind("10.90.0.2:5432"));
    assert!(elsewhere.is_ok());
    placed.revert();
    assert!(
        bed.near
            .within(|| TcpListener::bind("0.0.0.0:5432"))
            .is_ok()
    );
}

#[test]
fn a_port_of_one_address_and_protocol_is_held_and_the_others_are_free() {
    let Some(bed) = Bed::lay() else { return };
    let arguments = json!({"port": 5432, "protocol": "udp", "address": "10.90.0.1"});
    let placed = Drill::begin().apply(OCCUPY, &arguments, &[bed.near.target()]);
    let held = bed.near.run("ss", &["-Hlun sport = 5432"]);
    assert!(held.contains("10.90.0.1:5432"), "{held}");
    let udp = |at| bed.near.within(|| UdpSocket::bind(at));
    assert_eq!(
        udp("10.90.0.1:5432").unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    assert!(udp("127.0.0.1:5432").is_ok());
    let tcp = bed.near.within(|| TcpListener::bind("10.90.0.1:5432"));
    assert!(tcp.is_ok());
    placed.revert();
    assert!(udp("10.90.0.1:5432").is_ok());
}

#[test]
fn a_port_that_somebody_has_is_refused_with_who_has_it_and_nothing_is_held() {
    let Some(bed) = Bed::lay() else { return };
    let _taken = bed.near.listen("10.90.0.1:5432".parse().unwrap());
    let drill = Drill::begin();
    let ports = json!({"port": [5431, 5432]});
    let refused = drill.refusal(OCCUPY, &ports, bed.near.target()).to_string();
    let me = std::process::id().to_string();
    assert!(
        refused.contains("5432") && refused.contains(&me),
        "{refused}"
    );
    assert!(
        bed.near
            .within(|| TcpListener::bind("10.90.0.1:5431"))
            .is_ok()
    );
    drill.guardian.finish().unwrap();
}
