use std::net::{SocketAddr, TcpListener, TcpStream};

use firedrill_faults::{Site, Target};
use serde_json::json;

use crate::bed::Bed;
use crate::drill::{Drill, compile, wait_for};

const DOWN: &str = "switching.interface-down";

#[test]
fn an_interface_comes_back_with_every_address_and_route_that_it_lost() {
    let Some(bed) = Bed::lay() else { return };
    bed.near.ip("route add 192.0.2.0/24 via 10.90.0.2 metric 7");
    bed.near.ip("route add 198.51.100.0/24 dev near0 table 99");
    bed.near.ip("-6 route add 2001:db8::/32 via fd90::2");
    bed.near.ip("route add default via 10.90.0.2");
    let before = bed.snapshot();
    let near0 = json!({"interface": "near0"});
    let placed = Drill::begin().apply(DOWN, &near0, &[bed.near.target()]);
    assert!(placed.observe().is_complete());
    assert!(
        bed.near
            .run("ip", &["-o link show near0"])
            .contains("state DOWN")
    );
    assert!(!bed.near.run("ip", &["-o addr"]).contains("fd90::1"));
    assert!(!bed.far_answers());
    let reverted = placed.revert();
    assert!(bed.far_answers());
    // The kernel looks for duplicates of the address that it made itself.
    wait_for("everything as before", || bed.snapshot() == before);
    eprintln!("interface-down: undone in {:?}", reverted.took);
}

#[test]
fn what_this_host_needs_what_is_down_and_what_is_not_there_are_left_alone() {
    let refused = |interface: &str, target: Target| {
        let refused = compile(
            DOWN,
            &json!({ "interface": interface }),
            &Site::of(&[target]),
        );
        refused.unwrap_err().to_string()
    };
    let loopback = refused("lo", Target::Host);
    assert!(loopback.contains("talk with itself"), "{loopback}");
    let Some(bed) = Bed::lay() else { return };
    let absent = refused("near7", bed.near.target());
    assert!(absent.contains("no interface near7"), "{absent}");
    bed.near.ip("link set near0 down");
    let down = refused("near0", bed.near.target());
    assert!(down.contains("down already"), "{down}");
}

#[test]
fn what_this_host_is_reached_by_is_left_alone_unless_that_is_asked_for() {
    let Some(bed) = Bed::lay() else { return };
    // A drill whose own network namespace is `near`, as a host's is to it.
    let take_down = |allow: bool| {
        let arguments = json!({"interface": "near0", "allow-default": allow});
        bed.near
            .within(|| compile(DOWN, &arguments, &Site::of(&[Target::Host])))
    };
    let refused = || take_down(false).unwrap_err().to_string();
    assert!(take_down(false).is_ok());
    let session = Session::begin(&bed);
    let ssh = refused();
    assert!(
        ssh.contains("an SSH session comes by it; `allow-default`"),
        "{ssh}"
    );
    drop(session);
    bed.near.ip("route add default via 10.90.0.2");
    let default = refused();
    assert!(
        default.contains("default route leads through it; `allow-default`"),
        "{default}"
    );
    let primitives = take_down(true).unwrap();
    let before = bed.snapshot();
    let placed = bed.near.within(|| Drill::begin().put(primitives));
    let shown = bed.near.run("ip", &["-o link show near0"]);
    assert!(shown.contains("state DOWN"), "{shown}");
    placed.revert();
    wait_for("everything as before", || bed.snapshot() == before);
}

/// Somebody is logged in at `near`, from `far`.
struct Session {
    _listener: TcpListener,
    _client: TcpStream,
}

impl Session {
    fn begin(bed: &Bed) -> Self {
        let at = SocketAddr::from(([10, 90, 0, 1], 22));
        let listener = bed.near.listen(at);
        let client = bed.far.connect(at).unwrap();
        Self {
            _listener: listener,
            _client: client,
        }
    }
}

#[test]
fn one_that_vanishes_during_the_fault_counts_as_undone() {
    let Some(bed) = Bed::lay() else { return };
    let near0 = json!({"interface": "near0"});
    let placed = Drill::begin().apply(DOWN, &near0, &[bed.near.target()]);
    bed.near.ip("link delete near0");
    placed.revert();
}
