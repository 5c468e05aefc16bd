//! The end of a fault that holds packets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use firedrill_kernel::{Presence, Signal};
use serde_json::json;

use crate::bed::{Bed, FAR, Side};
use crate::drill::{Drill, pause, send, wait_for, worker_of};

const LATENCY: &str = "switching.latency";

/// Held when the fault ends; fewer than fit in the receiver's buffer.
const HELD: u32 = 100;

/// Sends from one side to the other while `near` delays by far more than this test takes, and ends
/// the fault meanwhile. Gives how many were sent, and how many came.
fn through_an_end(bed: &Bed, direction: &str, from: &Side, to: &Side, at: [u8; 4]) -> (u32, u32) {
    let receiver = to.udp(SocketAddr::new(at.into(), 0));
    let patience = Some(Duration::from_secs(2));
    receiver.set_read_timeout(patience).unwrap();
    let sender = from.udp("0.0.0.0:0".parse().unwrap());
    let address = receiver.local_addr().unwrap();
    let delay = json!({"delay": "60s", "mechanism": "nfqueue", "direction": direction});
    let placed = Drill::begin().apply(LATENCY, &delay, &[bed.near.target()]);
    let (sent, ended) = (AtomicU32::new(0), AtomicBool::new(false));
    let mut came = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) && sent.load(Ordering::Relaxed) < 5000 {
                sender.send_to(b"held", address).unwrap();
                sent.fetch_add(1, Ordering::Relaxed);
                pause(Duration::from_micros(500));
            }
        });
        let reader = scope.spawn(|| {
            let mut came = 0;
            while receiver.recv(&mut [0; 8]).is_ok() {
                came += 1;
            }
            came
        });
        wait_for("packets", || sent.load(Ordering::Relaxed) >= HELD);
        let took = placed.revert().took;
        ended.store(true, Ordering::Relaxed);
        eprintln!("{direction}: undone in {took:?}");
        came = reader.join().unwrap();
    });
    (sent.into_inner(), came)
}

#[test]
fn no_packet_is_lost_when_a_latency_fault_ends() {
    let Some(bed) = Bed::lay() else { return };
    for _ in 0..5 {
        let (sent, came) = through_an_end(&bed, "egress", &bed.near, &bed.far, FAR);
        assert_eq!(sent, came, "on the way out");
        let (sent, came) = through_an_end(&bed, "ingress", &bed.far, &bed.near, [10, 90, 0, 1]);
        assert_eq!(sent, came, "on the way in");
    }
}

#[test]
fn a_stopped_worker_does_not_delay_the_end_for_long() {
    let Some(bed) = Bed::lay() else { return };
    let delay = json!({"delay": "60s", "mechanism": "nfqueue"});
    let placed = Drill::begin().apply(LATENCY, &delay, &[bed.near.target()]);
    let worker = worker_of(placed.guardian());
    send(&worker, Signal::Stop);
    let took = placed.revert().took;
    eprintln!("with a stopped worker: undone in {took:?}");
    // It is waited for 100 ms.
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(worker.is_dying().unwrap());
    wait_for("its end", || worker.presence().unwrap() == Presence::Gone);
    assert!(bed.far_answers());
}
