//! Measures what a delay leaves of a TCP bulk transfer, and of UDP from a plain socket.
//!
//! `cargo run --release -p firedrill-worker --example queue_tcp`, as root. The same delay is applied
//! on the receiver's way in, where no sender is charged for what is held: that is the real path to
//! compare with, beside netem where the kernel has it. On the sender's way out it is applied twice:
//! with senders charged, and freed.
#![expect(clippy::print_stdout, reason = "it is here to print")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails has nothing to say"
)]

#[path = "../tests/queue/bed.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod bed;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use bed::{Bed, FAR, NEAR, Serving};
use firedrill_worker::queue::{Program, Shape, go_first};

const LASTING: Duration = Duration::from_secs(4);

fn main() {
    println!(
        "delay ms  applied           TCP Mbit/s  cwnd  rtt ms  queue CPU   UDP sent, arrived of 5000 in 0.5 s"
    );
    let chosen: Option<u64> = std::env::args().nth(1).and_then(|word| word.parse().ok());
    for milliseconds in [0, 20, 50, 100] {
        if chosen.is_some_and(|chosen| chosen != milliseconds) {
            continue;
        }
        for place in ["receiver, in", "netem", "sender, charged", "sender, freed"] {
            measure(milliseconds, place);
        }
    }
}

fn measure(milliseconds: u64, place: &str) {
    let Some(bed) = Bed::new() else { return };
    let mut job = bed.job(Program::Shape(Shape {
        delay: Duration::from_millis(milliseconds),
        spare_mark: if place == "sender, freed" { 0x51 } else { 0 },
        ..Shape::default()
    }));
    let netem = format!("tc qdisc add dev veth0 root netem delay {milliseconds}ms limit 100000");
    if place == "netem" && !bed.try_near(&netem) {
        return;
    }
    for protocol in ["tcp", "udp"] {
        match place {
            "netem" => {}
            "receiver, in" => bed.queue_at_far(&format!("-p {protocol} --dport 7000")),
            _ => bed.queue_outgoing(&format!("-p {protocol} --dport 7000")),
        }
    }
    if place == "receiver, in" {
        job.namespace = Some(bed.far_path());
    }
    job.limit_packets = 100_000;
    job.limit_bytes = 1 << 30;
    let serving = Serving::start_with(job, go_first);
    let before = serving.cpu_seconds();
    let (rate, info) = bulk(&bed);
    let cpu = (serving.cpu_seconds() - before) / LASTING.as_secs_f64();
    let word = |name: &str| {
        let found = info
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name));
        found.unwrap_or("?").to_owned()
    };
    let (sent, arrived) = datagrams(&bed);
    let counters = serving.observer.counters();
    println!(
        "{milliseconds:8}  {place:16} {rate:11.0} {:>5} {:>7.7} {:9.0}%   {sent}, {arrived}   \
         retransmitted {}, unseen {}, refused {}",
        word("cwnd:"),
        word("rtt:"),
        cpu * 100.0,
        word("retrans:"),
        counters.unseen,
        counters.refused,
    );
}

/// Megabits a second, and what the kernel says of the sender at the end.
fn bulk(bed: &Bed) -> (f64, String) {
    let listener = bed.in_far(|| TcpListener::bind((FAR, 7000)).unwrap());
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = vec![0; 1 << 20];
        let mut received = 0_u64;
        let begun = Instant::now();
        while begun.elapsed() < LASTING {
            received += stream.read(&mut bytes).unwrap() as u64;
        }
        received as f64 * 8.0 / begun.elapsed().as_secs_f64() / 1e6
    });
    let mut stream = bed.in_near(|| TcpStream::connect((FAR, 7000)).unwrap());
    let bytes = vec![7; 1 << 18];
    let begun = Instant::now();
    let mut info = String::new();
    while stream.write_all(&bytes).is_ok() {
        if info.is_empty() && begun.elapsed() > LASTING * 3 / 4 {
            info = bed.output("ss -tin dport = :7000");
        }
    }
    (receiver.join().unwrap(), info)
}

/// What a socket with its usual buffer sends at 10,000 a second, and what arrives.
fn datagrams(bed: &Bed) -> (u32, u32) {
    let receiver = bed.far_socket(7000);
    let counting = std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        let mut arrived = 0;
        while receiver.recv(&mut bytes).is_ok() {
            arrived += 1;
        }
        arrived
    });
    let socket = bed.in_near(|| UdpSocket::bind((NEAR, 0)).unwrap());
    socket.set_nonblocking(true).unwrap();
    let begun = Instant::now();
    let mut sent = 0;
    for number in 0..5000 {
        while begun.elapsed() < Duration::from_micros(100) * number {
            std::hint::spin_loop();
        }
        sent += u32::from(socket.send_to(&[7; 1000], (FAR, 7000)).is_ok());
    }
    (sent, counting.join().unwrap())
}
