//! The packet queue where senders are freed of what is held of theirs, and what becomes of packets
//! when its worker ends: on the real kernel.

#![expect(clippy::print_stdout, reason = "what is skipped says why")]
#![expect(clippy::unwrap_used, reason = "the bed is used by tests only")]

#[path = "queue/bed.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod bed;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bed::{Bed, FAR, FAR_SIX, NEAR, NEAR_SIX};
use firedrill_kernel::clock::boottime;
use firedrill_kernel::{Pidfd, Signal};
use firedrill_worker::queue::random::Share;
use firedrill_worker::queue::{Program, Shape};
use firedrill_worker::{Job, WorkerConfig, WorkerHandle};

const MARK: u32 = 0x51;
const LIMIT: Duration = Duration::from_secs(60);

fn freed(milliseconds: u64) -> Shape {
    Shape {
        delay: Duration::from_millis(milliseconds),
        spare_mark: MARK,
        ..Shape::default()
    }
}

/// Sends `length` bytes over TCP to the far side; how long that took, and whether they came intact.
fn transfer(bed: &Bed, listen: IpAddr, connect: SocketAddr, length: usize) -> (Duration, bool) {
    let listener = bed.in_far(|| TcpListener::bind((listen, 7000)).unwrap());
    let sent: Vec<u8> = (0..length as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let expected = sent.clone();
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received == expected
    });
    let begun = Instant::now();
    let mut stream = bed.in_near(|| TcpStream::connect(connect).unwrap());
    stream.write_all(&sent).unwrap();
    drop(stream);
    let intact = receiver.join().unwrap();
    (begun.elapsed(), intact)
}

#[test]
fn a_tcp_sender_fills_a_long_path() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p tcp");
    let serving = bed.serve(freed(50));
    let (took, intact) = transfer(&bed, FAR.into(), (FAR, 7000).into(), 4 << 20);
    println!("4 MiB in {took:?}");
    assert!(intact);
    // Charged for what is held, it would take more than a minute.
    assert!(took < Duration::from_secs(20), "{took:?}");
    let counters = serving.observer.counters();
    assert_eq!((counters.refused, counters.overflowed), (0, 0));
}

#[test]
fn a_tcp_sender_fills_a_long_path_of_ipv6() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing_six("-p tcp");
    let _serving = bed.serve(freed(50));
    let (took, intact) = transfer(&bed, FAR_SIX.into(), (FAR_SIX, 7000).into(), 4 << 20);
    assert!(intact);
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn connections_are_tracked_and_their_addresses_translated() {
    let Some(bed) = Bed::new() else { return };
    bed.near("ip addr add 10.77.0.9/24 dev veth0");
    bed.near("ip route add 10.78.0.0/24 via 10.77.0.2");
    bed.near(&format!(
        "iptables-legacy -w -t nat -A OUTPUT -d 10.78.0.5 -j DNAT --to-destination {FAR}"
    ));
    bed.near("iptables-legacy -w -t nat -A POSTROUTING -p tcp -j SNAT --to-source 10.77.0.9");
    bed.near("iptables-legacy -w -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT");
    bed.near("iptables-legacy -w -A INPUT -j DROP");
    bed.near("iptables-legacy -w -A OUTPUT -m conntrack --ctstate INVALID -j DROP");
    bed.queue_outgoing("-p tcp");
    let serving = bed.serve(freed(20));
    let to = "10.78.0.5:7000".parse().unwrap();
    let (took, intact) = transfer(&bed, FAR.into(), to, 4 << 20);
    assert!(intact);
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(serving.observer.counters().refused, 0);
}

/// Offers numbered datagrams until they are taken; how many before the first arrived.
fn offer(bed: &Bed, sizes: &[usize], count: u32) -> (u32, Vec<(u32, usize)>) {
    let receiver = bed.far_socket(7000);
    let sender = bed.in_near(|| UdpSocket::bind((NEAR, 0)).unwrap());
    sender.set_nonblocking(true).unwrap();
    let receiving = std::thread::spawn(move || {
        let mut arrived = Vec::new();
        let mut first = None;
        let mut bytes = vec![0; 65_536];
        while let Ok(length) = receiver.recv(&mut bytes) {
            first.get_or_insert_with(Instant::now);
            let number = u32::from_be_bytes(bytes[..4].try_into().unwrap());
            let filled = bytes[4..length].iter().all(|byte| *byte == number as u8);
            assert!(filled, "the bytes of {number} differ");
            arrived.push((number, length));
        }
        (first, arrived)
    });
    let mut times = Vec::new();
    let begun = Instant::now();
    for number in 0..count {
        let mut bytes = vec![number as u8; sizes[number as usize % sizes.len()]];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        while let Err(error) = sender.send_to(&bytes, (FAR, 7000)) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            assert!(begun.elapsed() < LIMIT, "the sender stays blocked");
            std::thread::yield_now();
        }
        times.push(Instant::now());
    }
    let (first, arrived) = receiving.join().unwrap();
    let first = first.unwrap();
    let before = times.iter().filter(|time| **time < first).count();
    (before as u32, arrived)
}

#[test]
fn a_udp_sender_has_more_on_its_way_than_its_buffer_holds() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let _serving = bed.serve(freed(500));
    let (before, arrived) = offer(&bed, &[1000], 1000);
    // 212,992 bytes hold fewer than 150 of these with what the kernel adds.
    assert!(before > 300, "{before}");
    let numbers: Vec<u32> = arrived.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
}

#[test]
fn packets_that_have_to_be_fragmented_keep_their_place() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let serving = bed.serve(freed(50));
    let sizes = [1472, 100, 4000, 1473, 20_000, 64];
    let (_, arrived) = offer(&bed, &sizes, 600);
    let expected: Vec<(u32, usize)> = (0..600)
        .map(|number| (number, sizes[number as usize % sizes.len()]))
        .collect();
    assert_eq!(arrived.len(), expected.len());
    let small = |all: &[(u32, usize)]| -> Vec<u32> {
        let unfragmented = all.iter().filter(|(_, size)| *size <= 1472);
        unfragmented.map(|(number, _)| *number).collect()
    };
    assert_eq!(small(&arrived), small(&expected));
    assert_eq!(serving.observer.counters().refused, 0);
}

#[test]
fn packets_over_loopback_are_held_once() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let serving = bed.serve(freed(100));
    let receiver = bed.in_near(|| UdpSocket::bind("127.0.0.1:7000").unwrap());
    receiver.set_read_timeout(Some(LIMIT)).unwrap();
    let sender = bed.in_near(|| UdpSocket::bind("127.0.0.1:0").unwrap());
    let begun = Instant::now();
    // Larger than any Ethernet takes, and smaller than loopback does.
    sender.send_to(&[7; 30_000], "127.0.0.1:7000").unwrap();
    let mut bytes = vec![0; 65_536];
    let (length, from) = receiver.recv_from(&mut bytes).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(99));
    assert_eq!((length, from), (30_000, sender.local_addr().unwrap()));
    assert_eq!(serving.observer.counters().matched, 1);
}

#[test]
fn ipv6_duplicates_arrive_twice() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing_six("-p udp --dport 7000");
    let serving = bed.serve(Shape {
        duplicate: Share::of(1.0),
        ..freed(5)
    });
    let receiver = bed.in_far(|| UdpSocket::bind((FAR_SIX, 7000)).unwrap());
    let patience = Some(Duration::from_millis(700));
    receiver.set_read_timeout(patience).unwrap();
    let sender = bed.in_near(|| UdpSocket::bind((NEAR_SIX, 0)).unwrap());
    for _ in 0..50 {
        sender.send_to(b"once", (FAR_SIX, 7000)).unwrap();
    }
    let mut bytes = [0; 16];
    let mut seen = 0;
    while let Ok((4, from)) = receiver.recv_from(&mut bytes) {
        assert_eq!(from, sender.local_addr().unwrap());
        seen += 1;
    }
    assert_eq!(seen, 100, "{:?}", serving.observer.counters());
}

#[test]
fn what_is_held_is_let_go_at_the_end() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let serving = bed.serve(freed(600_000));
    let receiver = bed.far_socket(7000);
    let sender = bed.near_socket();
    for _ in 0..20 {
        sender.send_to(b"held", (FAR, 7000)).unwrap();
    }
    let begun = Instant::now();
    while serving.observer.counters().matched < 20 {
        assert!(begun.elapsed() < LIMIT);
        std::thread::yield_now();
    }
    drop(serving);
    let mut bytes = [0; 16];
    for _ in 0..20 {
        assert_eq!(receiver.recv(&mut bytes).unwrap(), 4);
    }
}

/// A worker process that holds what leaves for port 7000.
fn worker(bed: &Bed) -> WorkerHandle {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let exe: PathBuf = profile.join("examples/worker");
    assert!(exe.exists(), "build the examples of this crate first");
    let config = WorkerConfig {
        exe,
        start_limit: LIMIT,
        ..WorkerConfig::new()
    };
    let job = Job::Queue(bed.job(Program::Shape(freed(600_000))));
    WorkerHandle::spawn(&config, &job, boottime() + LIMIT).unwrap()
}

#[test]
fn packets_pass_at_once_when_the_worker_is_killed() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing_or_bypass("-p udp --dport 7000");
    let mut worker = worker(&bed);
    let receiver = bed.far_socket(7000);
    let sender = bed.near_socket();
    let mut bytes = [0; 16];
    sender.send_to(b"held", (FAR, 7000)).unwrap();
    assert!(receiver.recv(&mut bytes).is_err(), "it is held");
    worker.kill().unwrap();
    assert!(worker.reap(LIMIT).unwrap());
    sender.send_to(b"free", (FAR, 7000)).unwrap();
    let length = receiver.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"free", "what was held is lost");
}

#[test]
fn packets_wait_for_a_stopped_worker_until_it_is_killed() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing_or_bypass("-p udp --dport 7000");
    let mut worker = worker(&bed);
    let pidfd = Pidfd::open(&worker.identity()).unwrap().unwrap();
    pidfd.send(Signal::Stop).unwrap();
    let receiver = bed.far_socket(7000);
    let sender = bed.near_socket();
    let mut bytes = [0; 16];
    sender.send_to(b"held", (FAR, 7000)).unwrap();
    assert!(receiver.recv(&mut bytes).is_err(), "nobody lets it pass");
    worker.kill().unwrap();
    assert!(worker.reap(LIMIT).unwrap());
    sender.send_to(b"free", (FAR, 7000)).unwrap();
    let length = receiver.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"free");
}
