//! Connections that are led through the proxy, between two programs that know nothing of it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use firedrill_kernel::Signal;
use firedrill_undo::Quantity;
use serde_json::{Value, json};

use crate::bed::{Bed, FAR, Side};
use crate::drill::{Drill, Placed, send, wait_for, worker_of};

const STREAM: &str = "switching.stream";

const PORT: u16 = 5432;

/// Long enough to be told from a busy machine's own delays.
const DELAY: Duration = Duration::from_millis(400);

/// A server, and a client that talks to it.
struct Talk {
    _listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

impl Talk {
    fn begin(from: &Side, to: &Side, at: SocketAddr) -> Self {
        let listener = to.listen(at);
        let client = from.connect(at).unwrap();
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server] {
            end.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            end.set_nodelay(true).unwrap();
        }
        Self {
            _listener: listener,
            client,
            server,
        }
    }

    fn to_far(bed: &Bed) -> Self {
        Self::begin(&bed.near, &bed.far, SocketAddr::from((FAR, PORT)))
    }

    /// What the server says comes to the client after this time.
    fn answer_takes(&mut self) -> Duration {
        let start = Instant::now();
        self.server.write_all(b"answer").unwrap();
        self.client.read_exact(&mut [0; 6]).unwrap();
        start.elapsed()
    }

    /// What the client says comes to the server after this time.
    fn question_takes(&mut self) -> Duration {
        let start = Instant::now();
        self.client.write_all(b"question").unwrap();
        self.server.read_exact(&mut [0; 8]).unwrap();
        start.elapsed()
    }

    fn is_proxied(&self) -> bool {
        self.server.peer_addr().unwrap() != self.client.local_addr().unwrap()
    }
}

fn put(arguments: &Value, side: &Side) -> Placed {
    Drill::begin().apply(STREAM, arguments, &[side.target()])
}

fn v6(host: u16) -> IpAddr {
    Ipv6Addr::new(0xfd90, 0, 0, 0, 0, 0, 0, host).into()
}

#[test]
fn what_a_target_is_answered_comes_later_and_neither_side_is_told_of_a_proxy() {
    let Some(bed) = Bed::lay() else { return };
    let before = bed.snapshot();
    let placed = put(&json!({"remote-port": PORT, "delay": "400ms"}), &bed.near);
    for at in [SocketAddr::from((FAR, PORT)), SocketAddr::new(v6(2), PORT)] {
        let mut talk = Talk::begin(&bed.near, &bed.far, at);
        assert_eq!(talk.client.peer_addr().unwrap(), at);
        assert_eq!(talk.server.local_addr().unwrap(), at);
        let (question, answer) = (talk.question_takes(), talk.answer_takes());
        assert!(
            question < DELAY && answer >= DELAY,
            "{question:?}, {answer:?}"
        );
    }
    // Another port goes its own way.
    let mut other = Talk::begin(&bed.near, &bed.far, SocketAddr::from((FAR, 5433)));
    assert!(other.answer_takes() < DELAY && !other.is_proxied());
    assert_eq!(placed.figure(Quantity::ConnectionsProxied).achieved, 2.0);
    let worker = worker_of(placed.guardian());
    placed.revert();
    assert!(worker.is_dying().unwrap_or(true));
    let mut talk = Talk::to_far(&bed);
    assert!(talk.answer_takes() < DELAY && !talk.is_proxied());
    drop((talk, other));
    wait_for("nothing left", || bed.snapshot() == before);
}

#[test]
fn connections_that_the_target_is_sent_are_met_where_it_is_asked_for() {
    let Some(bed) = Bed::lay() else { return };
    let arguments = json!({"direction": "ingress", "local-port": PORT, "delay": "400ms"});
    let placed = put(&arguments, &bed.far);
    for at in [SocketAddr::from((FAR, PORT)), SocketAddr::new(v6(2), PORT)] {
        let mut talk = Talk::begin(&bed.near, &bed.far, at);
        assert_eq!(talk.client.peer_addr().unwrap(), at);
        assert!(talk.answer_takes() >= DELAY && talk.is_proxied());
    }
    // Whoever asks the proxy itself is not led anywhere.
    let listening = bed.far.run("ss", &["-Hltn"]);
    let port = listening.lines().find_map(|line| {
        let local = line.split_whitespace().nth(3)?;
        local.strip_prefix("0.0.0.0:")?.parse::<u16>().ok()
    });
    let direct = bed.near.connect(SocketAddr::from((FAR, port.unwrap())));
    let told = direct.and_then(|mut direct| direct.read(&mut [0]));
    assert_eq!(told.unwrap_err().kind(), ErrorKind::ConnectionReset);
    placed.revert();
    assert!(!Talk::to_far(&bed).is_proxied());
}

/// Whether a new connection goes directly.
fn goes_directly(from: &Side, to: &Side, at: SocketAddr) -> bool {
    let listener = to.listen(at);
    listener.set_nonblocking(true).unwrap();
    let Ok(client) = from.connect(at) else {
        return false;
    };
    // One that ended up elsewhere is accepted by nobody here.
    let from = listener.accept().map(|(_, from)| from);
    from.is_ok_and(|from| from == client.local_addr().unwrap())
}

#[test]
fn connections_through_the_proxy_are_reset_when_it_is_killed_and_new_ones_go_directly() {
    let Some(bed) = Bed::lay() else { return };
    // On `near`, somebody else translates IPv4, too; on `far`, and of IPv6, nobody does.
    let ways: [(&Side, &Side, IpAddr); 4] = [
        (&bed.near, &bed.far, FAR.into()),
        (&bed.near, &bed.far, v6(2)),
        (&bed.far, &bed.near, [10, 90, 0, 1].into()),
        (&bed.far, &bed.near, v6(1)),
    ];
    for (from, to, address) in ways {
        let at = SocketAddr::new(address, PORT);
        let placed = put(&json!({"remote-port": PORT, "delay": "1ms"}), from);
        let mut talk = Talk::begin(from, to, at);
        talk.question_takes();
        assert!(talk.is_proxied());
        send(&worker_of(placed.guardian()), Signal::Kill);
        for end in [&mut talk.client, &mut talk.server] {
            let told = end.read(&mut [0]).unwrap_err().kind();
            assert_eq!(told, ErrorKind::ConnectionReset, "{at}");
        }
        drop(talk);
        wait_for("a direct connection", || goes_directly(from, to, at));
        let seen = placed.observe();
        assert_eq!((seen.requested, seen.achieved), (1, 0), "{seen:?}");
        placed.revert();
    }
}

/// What each parameter does to what the server says, or to its end.
fn with<T>(arguments: &Value, look: impl FnOnce(&mut Talk) -> T) -> Option<T> {
    let bed = Bed::lay()?;
    let placed = put(arguments, &bed.near);
    let mut talk = Talk::to_far(&bed);
    assert!(talk.is_proxied(), "{arguments}");
    let seen = look(&mut talk);
    placed.revert();
    Some(seen)
}

/// The times of the client's reads since the server said `bytes`, with how much each gave, until all
/// is there or the stream ends.
fn reads(talk: &mut Talk, bytes: &[u8]) -> (Vec<(Duration, usize)>, Vec<u8>) {
    let start = Instant::now();
    talk.server.write_all(bytes).unwrap();
    let (mut times, mut all) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 1 << 16];
    while all.len() < bytes.len() {
        let length = talk.client.read(&mut buffer).unwrap();
        times.push((start.elapsed(), length));
        all.extend_from_slice(&buffer[..length]);
        if length == 0 {
            break;
        }
    }
    (times, all)
}

#[test]
fn delays_lie_around_their_mean() {
    let arguments = json!({"delay": "200ms", "jitter": "200ms"});
    let took: Vec<Duration> = match with(&arguments, |talk| {
        (0..8).map(|_| talk.answer_takes()).collect()
    }) {
        Some(took) => took,
        None => return,
    };
    let (least, most) = (took.iter().min().unwrap(), took.iter().max().unwrap());
    // Of eight uniform draws over 400 ms; the seed is the same in every run.
    assert!(*most - *least >= Duration::from_millis(60), "{took:?}");
}

#[test]
fn bytes_pass_at_the_rate_that_was_asked_for() {
    let Some((times, all)) = with(&json!({"rate": "64KiB"}), |talk| reads(talk, &[7; 1 << 15]))
    else {
        return;
    };
    assert_eq!(all.len(), 1 << 15);
    let (took, _) = times.last().unwrap();
    assert!(*took >= Duration::from_millis(450), "{took:?}");
}

#[test]
fn lost_segments_come_after_the_stall() {
    let arguments = json!({"loss": 100, "stall": "400ms"});
    let Some(took) = with(&arguments, Talk::answer_takes) else {
        return;
    };
    assert!(took >= Duration::from_millis(400), "{took:?}");
}

#[test]
fn one_bit_of_each_segment_is_flipped() {
    let said = [0; 4 * 1448];
    let Some((_, all)) = with(&json!({"corrupt": 100}), |talk| reads(talk, &said)) else {
        return;
    };
    let flipped: Vec<u32> = all
        .chunks(1448)
        .map(|segment| segment.iter().map(|byte| byte.count_ones()).sum())
        .collect();
    assert_eq!(flipped, [1; 4]);
}

#[test]
fn slices_come_one_by_one() {
    let arguments = json!({"slice": 10, "slice-delay": "50ms"});
    let Some((times, all)) = with(&arguments, |talk| reads(talk, &[1; 60])) else {
        return;
    };
    assert_eq!((all.len(), times[0].1), (60, 10), "{times:?}");
    let (took, _) = times.last().unwrap();
    assert!(*took >= Duration::from_millis(250), "{times:?}");
}

#[test]
fn a_connection_is_closed_after_so_many_bytes() {
    let Some((_, all)) = with(&json!({"limit": 10}), |talk| reads(talk, &[1; 60])) else {
        return;
    };
    assert_eq!(all.len(), 10);
}

#[test]
fn nothing_comes_and_the_connection_is_closed_after_the_timeout() {
    let Some((times, all)) = with(&json!({"timeout": "400ms"}), |talk| reads(talk, b"answer"))
    else {
        return;
    };
    assert!(all.is_empty());
    // It began a moment before the server spoke.
    assert!(times[0].0 >= Duration::from_millis(200), "{times:?}");
}

#[test]
fn both_sides_are_reset_after_the_first_byte() {
    with(&json!({"reset-after": "50ms"}), |talk| {
        talk.server.write_all(b"answer").unwrap();
        for end in [&mut talk.client, &mut talk.server] {
            let told = end.read(&mut [0]).unwrap_err().kind();
            assert_eq!(told, ErrorKind::ConnectionReset);
        }
    });
}

#[test]
fn a_hanging_connection_is_there_and_says_nothing() {
    with(&json!({"hang": true}), |talk| {
        let limit = Some(Duration::from_millis(300));
        talk.client.set_read_timeout(limit).unwrap();
        talk.server.write_all(b"answer").unwrap();
        let told = talk.client.read(&mut [0]).unwrap_err().kind();
        assert_eq!(told, ErrorKind::WouldBlock);
        // The other way is open.
        talk.question_takes();
    });
}

#[test]
fn the_end_of_a_stream_comes_late() {
    with(&json!({"slow-close": "400ms"}), |talk| {
        assert_eq!(reads(talk, b"answer").1, b"answer");
        let start = Instant::now();
        talk.server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(talk.client.read(&mut [0]).unwrap(), 0);
        assert!(start.elapsed() >= Duration::from_millis(400));
        talk.question_takes();
    });
}

#[test]
fn the_stream_is_the_one_that_was_asked_for() {
    for (stream, expected) in [("upstream", [true, false]), ("both", [true, true])] {
        let arguments = json!({"delay": "400ms", "stream": stream});
        let took = with(&arguments, |talk| {
            [talk.question_takes(), talk.answer_takes()]
        });
        let Some(took) = took else { return };
        assert_eq!(
            took.map(|took| took >= DELAY),
            expected,
            "{stream}: {took:?}"
        );
    }
}

#[test]
fn connections_are_met_by_peer_ports_and_interface() {
    let Some(bed) = Bed::lay() else { return };
    bed.far.ip("addr add 10.90.0.3/24 dev far0");
    let far = |port| Talk::begin(&bed.near, &bed.far, SocketAddr::from((FAR, port)));
    let third = || {
        Talk::begin(
            &bed.near,
            &bed.far,
            SocketAddr::from(([10, 90, 0, 3], PORT)),
        )
    };
    let own = || {
        Talk::begin(
            &bed.near,
            &bed.near,
            SocketAddr::from(([127, 0, 0, 1], PORT)),
        )
    };
    // The port, another, another peer, SSH, and itself.
    for (arguments, expected) in [
        (json!({}), [true, true, true, false, false]),
        (json!({"port": PORT}), [true, false, true, false, false]),
        (
            json!({"remote-port": [22, 5433]}),
            [false, true, false, false, false],
        ),
        (
            json!({"remote-port": 22, "ssh": true}),
            [false, false, false, true, false],
        ),
        (
            json!({"address": "10.90.0.3"}),
            [false, false, true, false, false],
        ),
        (
            json!({"host": "localhost"}),
            [false, false, false, false, true],
        ),
        (
            json!({"interface": "near0"}),
            [true, true, true, false, false],
        ),
        (
            json!({"interface": "lo"}),
            [false, false, false, false, true],
        ),
    ] {
        let mut all = arguments.clone();
        all["delay"] = json!("1ms");
        let placed = put(&all, &bed.near);
        let talks = [far(PORT), far(5433), third(), far(22), own()];
        let met = talks.each_ref().map(Talk::is_proxied);
        drop(talks);
        placed.revert();
        assert_eq!(met, expected, "{arguments}");
    }
}

#[test]
fn a_share_of_the_connections_goes_through_the_proxy() {
    let Some(bed) = Bed::lay() else { return };
    let at = SocketAddr::from((FAR, PORT));
    let listener = bed.far.listen(at);
    let placed = put(&json!({"percent": 40, "delay": "1ms"}), &bed.near);
    let proxied = (0..100).filter(|_| {
        let client = bed.near.connect(at).unwrap();
        let (_, from) = listener.accept().unwrap();
        from != client.local_addr().unwrap()
    });
    let proxied = proxied.count();
    let share = placed.figure(Quantity::ShareProxied);
    assert_eq!(share.achieved, proxied as f64 / 100.0);
    assert_eq!(share.requested, Some(0.4));
    // 4.9 standard errors.
    assert!((16..=64).contains(&proxied), "{proxied}");
    placed.revert();
}
