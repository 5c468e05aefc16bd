//! Measures what the packet queue adds to packets, against a paired baseline, and what it costs.
//!
//! `cargo run --release -p firedrill-worker --example queue_bench`, as root. Each pair of datagrams
//! leaves at the same moment, one through the queue and one past it; 10,000 pairs a second. Added delay
//! is the difference within a pair, so that what disturbs the machine is in both.
#![expect(clippy::print_stdout, reason = "it is here to print")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails has nothing to say"
)]

#[path = "../tests/queue/bed.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod bed;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bed::{Bed, Serving, one_way, quantile};
use firedrill_worker::queue::loss::Loss;
use firedrill_worker::queue::random::Share;
use firedrill_worker::queue::{Distribution, Program, Shape, go_first};

const RATE: u32 = 10_000;
const SECONDS: u32 = 5;

fn main() {
    let delayed = |milliseconds| Shape {
        delay: Duration::from_millis(milliseconds),
        ..Shape::default()
    };
    println!(
        "shape                  added ms: mean     p50     p99     asked  cpu/10k/s  baseline mean, p99"
    );
    for (name, shape) in [
        ("nothing", delayed(0)),
        ("delay 1 ms", delayed(1)),
        ("delay 50 ms", delayed(50)),
        ("delay 500 ms", delayed(500)),
        (
            "delay 50±10 ms normal",
            Shape {
                jitter: Duration::from_millis(10),
                distribution: Distribution::Normal,
                ..delayed(50)
            },
        ),
        (
            "delay 1 ms, freed",
            Shape {
                spare_mark: 0x51,
                ..delayed(1)
            },
        ),
        (
            "delay 50 ms, freed",
            Shape {
                spare_mark: 0x51,
                ..delayed(50)
            },
        ),
        (
            "loss 10 %",
            Shape {
                loss: Some(Loss::Random(Share::of(0.1))),
                ..Shape::default()
            },
        ),
    ] {
        let chosen = std::env::args().nth(1);
        if chosen.is_none_or(|chosen| name.contains(&chosen)) {
            measure(name, shape);
        }
    }
}

fn measure(name: &str, shape: Shape) {
    let Some(bed) = Bed::new() else { return };
    bed.queue_outgoing("-p udp --dport 7000");
    let asked = shape.delay.as_secs_f64() * 1e3;
    let mut job = bed.job(Program::Shape(shape));
    job.limit_packets = 50_000;
    let serving = Serving::start_with(job, go_first);
    let before = serving.cpu_seconds();
    let begun = Instant::now();
    let arrivals = one_way(
        &bed,
        &[7001, 7000],
        RATE * SECONDS,
        Duration::from_secs(1) / RATE,
        100,
    );
    let cpu = serving.cpu_seconds() - before;
    let took = begun.elapsed().as_secs_f64();
    let packets = f64::from(RATE * SECONDS);
    let mean = |times: &[(u32, f64)]| {
        times.iter().map(|(_, time)| time).sum::<f64>() / times.len() as f64 / 1e3
    };
    let baseline = &arrivals[0];
    let through = &arrivals[1];
    let past: HashMap<u32, f64> = baseline.iter().copied().collect();
    let added: Vec<(u32, f64)> = through
        .iter()
        .filter_map(|(number, time)| Some((*number, time - past.get(number)?)))
        .collect();
    println!(
        "{name:22} {:14.3} {:7.3} {:7.3} {:9.1} {:8.2}% {:10.3} {:8.3}   ({took:.1} s, {} of {packets} arrived)",
        mean(&added),
        quantile(&added, 0.5) / 1e3,
        quantile(&added, 0.99) / 1e3,
        asked,
        cpu / packets * 1e4 * 100.0,
        mean(baseline),
        quantile(baseline, 0.99) / 1e3,
        through.len(),
    );
}
