use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use firedrill_proxy::stream::Direction::{Downstream, Upstream};
use firedrill_proxy::stream::{Bandwidth, Corrupt, Hang, Kind, Latency, Limit, Reset, Timeout};

use crate::bed::{Bed, ask, fault, text};

const MS: Duration = Duration::from_millis(1);

fn latency(delay: Duration) -> Kind {
    Kind::Latency(Latency {
        delay,
        jitter: Duration::ZERO,
        distribution: Default::default(),
        correlation: 0.0,
    })
}

fn time(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

#[test]
fn a_latency_comes_goes_and_is_edited_on_a_live_connection() {
    let bed = Bed::echo(vec![]);
    let mut client = bed.connect();
    ask(&mut client, b"question");
    bed.fabric
        .change("route", vec![fault(Downstream, latency(MS * 200))])
        .expect("a change");
    assert!(time(|| drop(ask(&mut client, b"question"))) >= MS * 200);
    bed.fabric
        .change("route", vec![fault(Upstream, latency(MS * 400))])
        .expect("a change");
    assert!(time(|| drop(ask(&mut client, b"question"))) >= MS * 400);
    bed.fabric.change("route", vec![]).expect("a change");
    assert_eq!(ask(&mut client, b"question"), b"question");
}

#[test]
fn what_a_fault_held_comes_when_it_goes() {
    let bed = Bed::echo(vec![fault(Downstream, latency(MS * 3_600_000))]);
    let mut client = bed.connect();
    client.write_all(b"question").expect("sent");
    client.set_read_timeout(Some(MS * 100)).expect("an option");
    assert_eq!(
        client.read(&mut [0; 8]).expect_err("nothing").kind(),
        ErrorKind::WouldBlock
    );
    bed.fabric.change("route", vec![]).expect("a change");
    client
        .set_read_timeout(Some(crate::bed::PATIENCE))
        .expect("an option");
    let mut answer = [0; 8];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"question");
}

#[test]
fn a_reset_is_a_true_one_on_a_connection_that_is_in_use() {
    let bed = Bed::echo(vec![]);
    let mut client = bed.connect();
    ask(&mut client, b"question");
    let reset = Kind::Reset(Reset {
        after: Duration::ZERO,
    });
    bed.fabric
        .change("route", vec![fault(Upstream, reset)])
        .expect("a change");
    client.write_all(b"question").expect("sent");
    let error = client.read(&mut [0; 8]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_limit_lets_its_bytes_arrive_before_the_end() {
    let bed = Bed::echo(vec![fault(
        Downstream,
        Kind::Limit(Limit { bytes: 100_000 }),
    )]);
    let mut client = bed.connect();
    let mut writer = client.try_clone().expect("a clone");
    std::thread::spawn(move || writer.write_all(&text(300_000)));
    let mut got = Vec::new();
    client.read_to_end(&mut got).expect("an orderly end");
    assert!(got == text(100_000), "{}", got.len());
}

#[test]
fn a_timeout_that_goes_closes_what_it_was_on() {
    let bed = Bed::echo(vec![fault(
        Downstream,
        Kind::Timeout(Timeout { after: None }),
    )]);
    let mut client = bed.connect();
    client.write_all(b"question").expect("sent");
    client.set_read_timeout(Some(MS * 100)).expect("an option");
    assert!(client.read(&mut [0; 8]).is_err());
    bed.fabric.change("route", vec![]).expect("a change");
    client
        .set_read_timeout(Some(crate::bed::PATIENCE))
        .expect("an option");
    assert_eq!(client.read(&mut [0; 8]).expect("an end"), 0);
}

#[test]
fn a_peer_that_hangs_takes_its_time_and_loses_nothing() {
    let bed = Bed::echo(vec![fault(Upstream, Kind::Hang(Hang))]);
    let mut client = bed.connect();
    client.write_all(b"question").expect("sent");
    client.shutdown(std::net::Shutdown::Write).expect("ended");
    client.set_read_timeout(Some(MS * 100)).expect("an option");
    assert!(client.read(&mut [0; 8]).is_err());
    bed.fabric.change("route", vec![]).expect("a change");
    client
        .set_read_timeout(Some(crate::bed::PATIENCE))
        .expect("an option");
    let mut got = Vec::new();
    client.read_to_end(&mut got).expect("all of it");
    assert_eq!(got, b"question");
}

#[test]
fn a_limited_rate_takes_its_time() {
    let rate = Kind::Bandwidth(Bandwidth {
        bytes_per_second: 1_000_000,
    });
    let bed = Bed::echo(vec![fault(Downstream, rate)]);
    let mut client = bed.connect();
    let mut writer = client.try_clone().expect("a clone");
    std::thread::spawn(move || {
        writer.write_all(&text(500_000))?;
        writer.shutdown(std::net::Shutdown::Write)
    });
    let mut got = Vec::new();
    let took = time(|| drop(client.read_to_end(&mut got)));
    assert_eq!(got.len(), 500_000);
    assert!(took >= MS * 499, "{took:?}");
}

#[test]
fn the_same_seed_gives_the_same_decisions() {
    let run = || {
        let corrupt = Kind::Corrupt(Corrupt { share: 0.3 });
        let bed = Bed::echo(vec![fault(Downstream, corrupt)]);
        let mut got = Vec::new();
        for connection in 0..5 {
            let mut client = bed.connect();
            for part in text(100_000).chunks(7_001 + connection * 1_000) {
                got.extend(ask(&mut client, part));
            }
        }
        got
    };
    let (one, other) = (run(), run());
    assert!(one == other);
    assert!(one != text(100_000).repeat(5));
}
