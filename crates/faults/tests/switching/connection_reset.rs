use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use firedrill_faults::Site;
use firedrill_undo::{Primitive, Quantity};
use serde_json::{Value, json};

use crate::bed::{Bed, FAR};
use crate::drill::{Drill, Placed, compile, pause, wait_for};

const RESET: &str = "switching.connection-reset";

/// A connection from `near` to a port of `far`, its two ends and who listens.
struct Talk {
    client: TcpStream,
    server: TcpStream,
    _listener: TcpListener,
}

impl Talk {
    fn begin(bed: &Bed, port: u16) -> Self {
        let at = SocketAddr::from((FAR, port));
        let listener = bed.far.listen(at);
        let client = bed.near.connect(at).unwrap();
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server] {
            let limit = Duration::from_secs(2);
            end.set_read_timeout(Some(limit)).unwrap();
        }
        Self {
            client,
            server,
            _listener: listener,
        }
    }

    fn goes_on(&mut self) -> bool {
        self.client.write_all(b"x").is_ok() && self.server.read_exact(&mut [0]).is_ok()
    }

    fn ended_as(&mut self) -> (ErrorKind, ErrorKind) {
        let end = |stream: &mut TcpStream| stream.read(&mut [0; 1]).unwrap_err().kind();
        (end(&mut self.client), end(&mut self.server))
    }
}

/// Connections of this process, which compiles the fault too and is spared as a drill's owner.
fn reset(bed: &Bed, arguments: &Value, spare: &[SocketAddr]) -> Placed {
    let targets = [bed.near.target()];
    let site = Site {
        spare,
        ..Site::of(&targets)
    };
    let mut primitives = compile(RESET, arguments, &site).unwrap();
    for primitive in &mut primitives {
        if let Primitive::ResetConnections(reset) = primitive {
            reset.choice.spare_processes.clear();
        }
    }
    Drill::begin().put(primitives)
}

#[test]
fn both_ends_of_a_connection_that_matches_are_told_and_others_go_on() {
    let Some(bed) = Bed::lay() else { return };
    let (mut met, mut other, mut ssh) = (
        Talk::begin(&bed, 5432),
        Talk::begin(&bed, 5433),
        Talk::begin(&bed, 22),
    );
    let placed = reset(&bed, &json!({"port": 5432}), &[]);
    let aborted = (ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset);
    assert_eq!(met.ended_as(), aborted);
    assert!(other.goes_on() && ssh.goes_on());
    assert_eq!(placed.figure(Quantity::ConnectionsReset).achieved, 1.0);
    // A new one is not met again.
    drop(met);
    assert!(Talk::begin(&bed, 5432).goes_on());
    placed.revert();
}

#[test]
fn ssh_and_who_watches_are_spared_even_when_everything_matches() {
    let Some(bed) = Bed::lay() else { return };
    let (mut watcher, mut met, mut ssh) = (
        Talk::begin(&bed, 9090),
        Talk::begin(&bed, 5432),
        Talk::begin(&bed, 22),
    );
    let placed = reset(&bed, &json!({}), &[SocketAddr::from((FAR, 9090))]);
    assert!(watcher.goes_on() && ssh.goes_on());
    assert!(!met.goes_on());
    placed.revert();
    reset(&bed, &json!({"ssh": true, "port": 22}), &[]).revert();
    assert!(!ssh.goes_on());
}

#[test]
fn connections_of_the_drill_itself_are_spared_and_without_one_it_had_no_effect() {
    let Some(bed) = Bed::lay() else { return };
    let mut own = Talk::begin(&bed, 5432);
    let placed = Drill::begin().apply(RESET, &json!({}), &[bed.near.target()]);
    assert!(own.goes_on());
    assert_eq!(placed.observe().idle, ["no connection matched"]);
    placed.revert();
}

#[test]
fn new_connections_are_reset_again_and_again_when_asked_for() {
    let Some(bed) = Bed::lay() else { return };
    let arguments = json!({"remote-port": 5432, "address": "10.90.0.0/24", "every": "200ms"});
    let placed = reset(&bed, &arguments, &[]);
    for _ in 0..3 {
        let mut talk = Talk::begin(&bed, 5432);
        wait_for("a reset", || {
            pause(Duration::from_millis(50));
            placed.renew();
            !talk.goes_on()
        });
    }
    assert!(placed.figure(Quantity::ConnectionsReset).achieved >= 3.0);
    placed.revert();
    assert!(Talk::begin(&bed, 5432).goes_on());
}

#[test]
fn connections_are_chosen_by_peer_ports_and_interface() {
    let Some(bed) = Bed::lay() else { return };
    bed.far.ip("addr add 10.90.0.3/24 dev far0");
    bed.near.ip("addr add 10.91.0.9/32 dev lo");
    let local = |talk: &Talk| talk.client.local_addr().unwrap().port();
    let choose = |arguments: &dyn Fn(&Talk) -> Value| {
        let (mut met, mut other) = (Talk::begin(&bed, 5432), Talk::begin(&bed, 5433));
        reset(&bed, &arguments(&met), &[]).revert();
        (!met.goes_on(), !other.goes_on())
    };
    for (arguments, expected) in [
        (json!({"remote-port": 5432}), (true, false)),
        (json!({"remote-port": "5000-6000"}), (true, true)),
        (json!({"address": "10.90.0.2"}), (true, true)),
        (json!({"interface": "near0"}), (true, true)),
    ] {
        assert_eq!(choose(&|_| arguments.clone()), expected, "{arguments}");
    }
    assert_eq!(
        choose(&|met| json!({"local-port": local(met)})),
        (true, false)
    );
    // Without one that matches, there is no effect to speak of.
    for arguments in [
        json!({"remote-port": 5432, "address": "10.90.0.3"}),
        json!({"remote-port": 5432, "interface": "lo"}),
        json!({"remote-port": 5432, "host": "localhost"}),
    ] {
        let mut talk = Talk::begin(&bed, 5432);
        reset(&bed, &arguments, &[]).revert();
        assert!(talk.goes_on(), "{arguments}");
    }
}

#[test]
fn a_share_of_the_connections_is_reset() {
    let Some(bed) = Bed::lay() else { return };
    let at = SocketAddr::from((FAR, 5432));
    let listener = bed.far.listen(at);
    let talks: Vec<_> = (0..100)
        .map(|_| (bed.near.connect(at).unwrap(), listener.accept().unwrap()))
        .collect();
    let established = || {
        let shown = bed.near.run("ss", &["-Htn state established dport = 5432"]);
        shown.lines().count()
    };
    assert_eq!(established(), 100);
    let placed = reset(&bed, &json!({"port": 5432, "percent": 40}), &[]);
    let left = established();
    placed.revert();
    eprintln!("connection-reset: 40 % asked for, {left} of 100 are left");
    // 4.9 standard errors.
    assert!((36..=84).contains(&left), "{left}");
    drop(talks);
}
