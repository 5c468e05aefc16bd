//! The packet queue on the real kernel: two network namespaces, rules of iptables-legacy, and
//! instruments of their own.

#![expect(clippy::print_stdout, reason = "what is skipped says why")]
#![expect(clippy::unwrap_used, reason = "the bed is used by tests only")]

#[path = "queue/bed.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod bed;

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use bed::{Bed, FAR, one_way, quantile};
use firedrill_worker::Quantity;
use firedrill_worker::queue::loss::Loss;
use firedrill_worker::queue::random::Share;
use firedrill_worker::queue::shape::{Rate, Reorder};
use firedrill_worker::queue::{
    DnsAction, DnsError, DnsProgram, DnsRule, Program, QueueError, Shape,
};

const SPACED: Duration = Duration::from_micros(200);
const MARK: u32 = 0x51;

fn delayed(milliseconds: u64) -> Shape {
    Shape {
        delay: Duration::from_millis(milliseconds),
        ..Shape::default()
    }
}

#[test]
fn delayed_packets_arrive_late_by_the_delay_and_in_order() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let serving = bed.serve(delayed(30));
    let arrivals = one_way(&bed, &[7000, 7001], 5000, SPACED, 100);
    let added = quantile(&arrivals[0], 0.5) - quantile(&arrivals[1], 0.5);
    // The benchmark measures closely; here other tests run beside.
    assert!((29_500.0..35_000.0).contains(&added), "{added} µs");
    let numbers: Vec<u32> = arrivals[0].iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..5000).collect::<Vec<_>>());
    let measured = serving.observer.measurements();
    let delay = measured
        .iter()
        .find(|measured| measured.quantity == Quantity::AddedDelay)
        .unwrap();
    assert_eq!(delay.samples, 5000);
    assert!((29.9..35.0).contains(&delay.achieved), "{delay:?}");
}

#[test]
fn the_share_lost_is_within_its_binomial_bounds() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let serving = bed.serve(Shape {
        loss: Some(Loss::Random(Share::of(0.1))),
        ..Shape::default()
    });
    let count = 20_000;
    let arrivals = one_way(&bed, &[7000], count, Duration::from_micros(100), 100);
    let lost = f64::from(count) - arrivals[0].len() as f64;
    let n = f64::from(count);
    // 4.9 standard deviations: one error in a million.
    let bound = 4.9 * (n * 0.1 * 0.9).sqrt();
    assert!((lost - n * 0.1).abs() < bound, "{lost} lost");
    let counters = serving.observer.counters();
    assert_eq!(counters.dropped as f64, lost);
    assert_eq!(counters.matched, u64::from(count));
}

#[test]
fn packets_beyond_the_limit_are_dropped_and_counted() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let mut job = bed.job(firedrill_worker::queue::Program::Shape(delayed(300)));
    job.limit_packets = 100;
    let serving = bed::Serving::start(job);
    let arrivals = one_way(&bed, &[7000], 300, SPACED, 100);
    assert_eq!(arrivals[0].len(), 100);
    assert_eq!(serving.observer.counters().overflowed, 200);
}

#[test]
fn bandwidth_is_within_three_percent() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let rate = 1_000_000.0;
    let serving = bed.serve(Shape {
        rate: Some(Rate {
            bytes_per_second: 1_000_000,
            packet_overhead: 0,
            burst: 0,
        }),
        ..Shape::default()
    });
    // 2,500 packets of 1,000 bytes with their headers: 2.5 s at the rate, offered in half of it.
    let begun = Instant::now();
    let arrivals = one_way(&bed, &[7000], 2500, Duration::from_micros(500), 972);
    assert_eq!(arrivals[0].len(), 2500);
    // The receiver waits 700 ms for more.
    let took = begun.elapsed().as_secs_f64() - 0.7;
    let achieved = 2_500_000.0 / took;
    assert!((achieved / rate - 1.0).abs() < 0.06, "{achieved} bytes/s");
    let measured = serving.observer.measurements();
    let measured = measured
        .iter()
        .find(|measured| measured.quantity == Quantity::BytesPerSecond)
        .unwrap();
    assert!(
        (measured.achieved / rate - 1.0).abs() < 0.03,
        "{measured:?}"
    );
}

#[test]
fn packets_that_go_ahead_overtake_the_others() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let serving = bed.serve(Shape {
        reorder: Some(Reorder {
            share: Share::of(0.25),
            gap: 0,
        }),
        ..delayed(20)
    });
    let count = 5000;
    let arrivals = one_way(&bed, &[7000], count, SPACED, 100);
    assert_eq!(arrivals[0].len(), count as usize);
    let ahead = arrivals[0]
        .iter()
        .filter(|(_, time)| *time < 15_000.0)
        .count() as f64;
    let n = f64::from(count);
    assert!(
        (ahead - n * 0.25).abs() < 4.9 * (n * 0.25 * 0.75).sqrt(),
        "{ahead}"
    );
    let sorted = arrivals[0].windows(2).all(|pair| pair[0].0 < pair[1].0);
    assert!(!sorted);
    assert!(serving.observer.counters().reordered as f64 >= ahead);
}

#[test]
fn duplicates_arrive_twice_on_their_way_out() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let serving = bed.serve(Shape {
        duplicate: Share::of(0.3),
        spare_mark: MARK,
        ..delayed(5)
    });
    let count = 4000;
    let arrivals = one_way(&bed, &[7000], count, SPACED, 100);
    let distinct: HashSet<u32> = arrivals[0].iter().map(|(number, _)| *number).collect();
    assert_eq!(distinct.len(), count as usize);
    let copies = arrivals[0].len() as f64 - f64::from(count);
    let n = f64::from(count);
    assert!(
        (copies - n * 0.3).abs() < 4.9 * (n * 0.3 * 0.7).sqrt(),
        "{copies}"
    );
    assert_eq!(serving.observer.counters().duplicated as f64, copies);
    assert_eq!(serving.observer.counters().copies_refused, 0);
}

#[test]
fn duplicates_arrive_twice_on_their_way_in() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_incoming("-p udp --dport 7000");
    let serving = bed.serve(Shape {
        duplicate: Share::of(1.0),
        spare_mark: MARK,
        ..Shape::default()
    });
    let receiver = bed.in_near(|| std::net::UdpSocket::bind((bed::NEAR, 7000)).unwrap());
    receiver
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let sender = bed.far_socket(7100);
    for _ in 0..50 {
        sender.send_to(b"once", (bed::NEAR, 7000)).unwrap();
    }
    let mut bytes = [0; 16];
    let mut seen = 0;
    while let Ok((4, from)) = receiver.recv_from(&mut bytes) {
        assert_eq!(from, (FAR, 7100).into());
        seen += 1;
    }
    assert_eq!(seen, 100, "{:?}", serving.observer.counters());
}

#[test]
fn corrupted_packets_fail_their_checksum() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let serving = bed.serve(Shape {
        corrupt: Share::of(0.2),
        ..Shape::default()
    });
    let count = 3000;
    let arrivals = one_way(&bed, &[7000], count, SPACED, 500);
    let corrupted = serving.observer.counters().corrupted;
    let n = f64::from(count);
    let bound = 4.9 * (n * 0.2 * 0.8).sqrt();
    assert!((corrupted as f64 - n * 0.2).abs() < bound, "{corrupted}");
    assert_eq!(arrivals[0].len() as u64, u64::from(count) - corrupted);
}

#[test]
fn a_tcp_stream_in_large_segments_comes_through_intact() {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p tcp");
    let serving = bed.serve(delayed(5));
    let listener = bed.in_far(|| TcpListener::bind((FAR, 7000)).unwrap());
    let length = 8 << 20;
    let sent: Vec<u8> = (0..length as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let expected = sent.clone();
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received
    });
    let begun = Instant::now();
    let mut stream = bed.in_near(|| TcpStream::connect((FAR, 7000)).unwrap());
    stream.write_all(&sent).unwrap();
    drop(stream);
    assert!(receiver.join().unwrap() == expected, "the bytes differ");
    let counters = serving.observer.counters();
    let mean = counters.matched_bytes / counters.matched;
    println!(
        "{length} bytes in {:?}, {mean} bytes a packet",
        begun.elapsed()
    );
    assert!(mean > 1500, "{mean} bytes a packet: the segments were cut");
}

#[test]
fn an_idle_queue_costs_next_to_nothing() {
    let Some(bed) = Bed::new() else { return };
    let serving = bed.serve(delayed(1));
    let before = serving.cpu_seconds();
    let begun = Instant::now();
    let _ = rustix::event::poll(
        &mut [],
        Some(&rustix::event::Timespec {
            tv_sec: 2,
            tv_nsec: 0,
        }),
    );
    let share = (serving.cpu_seconds() - before) / begun.elapsed().as_secs_f64();
    assert!(share < 0.01, "{share} of a core");
}

#[test]
fn a_queue_that_another_serves_is_refused() {
    let Some(bed) = Bed::new() else { return };
    let _serving = bed.serve(delayed(1));
    let job = bed.job(firedrill_worker::queue::Program::Shape(delayed(1)));
    let refused = firedrill_worker::queue::Queue::open(job);
    assert!(matches!(refused, Err(QueueError::Kernel(_))), "{refused:?}");
}

/// The address dnsmasq gives, and what dig says of it.
fn dig(bed: &Bed, arguments: &str) -> String {
    bed.output(&format!(
        "dig +tries=1 +time=1 +noall +answer +comments @{FAR} {arguments}"
    ))
}

fn dns_bed(what: DnsAction) -> Option<(Bed, bed::Background, bed::Serving)> {
    for tool in ["dig", "dnsmasq"] {
        if !["/usr/bin", "/usr/sbin"]
            .iter()
            .any(|folder| Path::new(folder).join(tool).exists())
        {
            println!("skipped: {tool} is not installed");
            return None;
        }
    }
    let bed = Bed::new()?;
    for protocol in ["udp", "tcp"] {
        bed.queue_outgoing(&format!("-p {protocol} --dport 53"));
        bed.queue_incoming(&format!("-p {protocol} --sport 53"));
    }
    let server = bed.background(&format!(
        "dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
         --pid-file= --log-facility=- --bind-interfaces --listen-address={FAR} \
         --address=/shop.example/192.0.2.7 --address=/other.example/192.0.2.8"
    ));
    let rules = vec![DnsRule {
        pattern: "*.shop.example".parse().unwrap(),
        what,
    }];
    let serving = bed::Serving::start(bed.job(Program::Dns(DnsProgram { rules })));
    // Until the server is up.
    let begun = Instant::now();
    while !dig(&bed, "up.other.example").contains("192.0.2.8") {
        assert!(begun.elapsed() < Duration::from_secs(20), "dnsmasq answers");
    }
    Some((bed, server, serving))
}

#[test]
fn dig_sees_the_error_for_the_named_and_the_truth_for_others() {
    let Some((bed, _server, serving)) = dns_bed(DnsAction::Error(DnsError::ServFail)) else {
        return;
    };
    assert!(dig(&bed, "a.shop.example").contains("status: SERVFAIL"));
    assert!(dig(&bed, "shop.example").contains("192.0.2.7"));
    assert!(dig(&bed, "x.other.example").contains("192.0.2.8"));
    assert_eq!(serving.observer.counters().answered, 1);
}

#[test]
fn dig_sees_the_spoofed_address() {
    let spoof = DnsAction::Spoof {
        v4: vec![[127, 0, 0, 9].into()],
        v6: vec!["::1".parse().unwrap()],
        ttl: 17,
    };
    let Some((bed, _server, _serving)) = dns_bed(spoof) else {
        return;
    };
    let four = dig(&bed, "A.sHop.example");
    assert!(
        four.contains("127.0.0.9") && !four.contains("192.0.2.7"),
        "{four}"
    );
    assert!(four.contains("17"), "{four}");
    assert!(dig(&bed, "a.shop.example AAAA").contains("::1"));
}

#[test]
fn blocked_names_are_not_answered_over_udp_or_tcp() {
    let Some((bed, _server, serving)) = dns_bed(DnsAction::Block) else {
        return;
    };
    assert!(!dig(&bed, "a.shop.example").contains("status"));
    assert!(!dig(&bed, "a.shop.example +tcp").contains("status"));
    assert!(dig(&bed, "a.other.example +tcp").contains("192.0.2.8"));
    assert!(serving.observer.counters().answered >= 2);
}

#[test]
fn delayed_names_take_at_least_the_delay() {
    let Some((bed, _server, _serving)) = dns_bed(DnsAction::Delay(Duration::from_millis(300)))
    else {
        return;
    };
    let begun = Instant::now();
    assert!(dig(&bed, "a.shop.example").contains("192.0.2.7"));
    assert!(begun.elapsed() >= Duration::from_millis(300));
}
