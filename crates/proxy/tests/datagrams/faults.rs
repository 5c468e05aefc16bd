use std::io::ErrorKind;
use std::time::{Duration, Instant};

use firedrill_proxy::datagram::Kind;
use firedrill_proxy::stream::Direction::{Downstream, Upstream};
use firedrill_proxy::stream::Latency;

use crate::bed::{Bed, PATIENCE, ask, come_back};

const MS: Duration = Duration::from_millis(1);

fn latency(delay: Duration) -> Kind {
    Kind::Latency(Latency {
        delay,
        jitter: Duration::ZERO,
        distribution: Default::default(),
        correlation: 0.0,
    })
}

#[test]
fn a_loss_is_the_share_it_says_and_the_same_datagrams_each_time() {
    let run = || {
        let bed = Bed::echo(&[(Upstream, Kind::Loss { share: 0.2 })]);
        come_back(&bed.client(), 2000)
    };
    let first = run();
    // 2000 draws of 0.8: a deviation of 17.9, of which five are once in a million.
    assert!((1510..=1690).contains(&first.len()), "{}", first.len());
    assert_eq!(first, run());
}

#[test]
fn a_latency_is_on_each_datagram_of_a_live_flow_and_goes() {
    let bed = Bed::echo(&[]);
    let client = bed.client();
    ask(&client, b"question");
    bed.change(&[(Downstream, latency(MS * 200))]);
    let begin = Instant::now();
    ask(&client, b"question");
    assert!(begin.elapsed() >= MS * 200);
    bed.change(&[(Upstream, latency(MS * 3_600_000))]);
    client.send(b"later").expect("sent");
    client.set_read_timeout(Some(MS * 100)).expect("an option");
    let mut buffer = [0; 100];
    let nothing = client.recv(&mut buffer).expect_err("nothing");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    client.set_read_timeout(Some(PATIENCE)).expect("an option");
    bed.change(&[]);
    assert_eq!(client.recv(&mut buffer).expect("what was held"), 5);
}

#[test]
fn what_comes_twice_and_what_is_corrupt_is_seen_by_the_client() {
    let bed = Bed::echo(&[(Downstream, Kind::Duplicate { share: 1.0 })]);
    let client = bed.client();
    let mut buffer = [0; 100];
    assert_eq!(ask(&client, b"question"), b"question");
    assert_eq!(client.recv(&mut buffer).expect("the same again"), 8);
    bed.change(&[(Downstream, Kind::Corrupt { share: 1.0 })]);
    let answer = ask(&client, &[0; 100]);
    let bits: u32 = answer.iter().map(|byte| byte.count_ones()).sum();
    assert_eq!(bits, 1);
}

#[test]
fn behind_a_blackhole_nothing_is_heard_until_it_goes() {
    let bed = Bed::echo(&[(Upstream, Kind::Blackhole)]);
    let client = bed.client();
    client.send(b"lost").expect("sent");
    client.set_read_timeout(Some(MS * 100)).expect("an option");
    let nothing = client.recv(&mut [0; 100]).expect_err("nothing");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    bed.change(&[]);
    client.set_read_timeout(Some(PATIENCE)).expect("an option");
    assert_eq!(ask(&client, b"question"), b"question");
}
