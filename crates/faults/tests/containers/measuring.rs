//! How long faults of containers take to be in place and to be taken back.
//! `cargo nextest run -p firedrill-faults --test containers --run-ignored only --no-capture`

use serde_json::{Value, json};

use crate::drill::Drill;
use crate::pausing::PAUSE;
use crate::started::{Started, wait_until};
use crate::{on_docker, on_podman};

const ROUNDS: usize = 50;

#[test]
#[ignore = "measures"]
fn how_long_docker_takes() {
    on_docker(measure);
}

#[test]
#[ignore = "measures"]
fn how_long_podman_takes() {
    on_podman(measure);
}

fn measure(started: &Started) {
    let id = started.run("web", &[]);
    println!("{:?}", started.engine.kind);
    rounds(started, PAUSE, &json!({}), &id);
    rounds(
        started,
        "infrastructure.container-kill",
        &json!({"restart": true}),
        &id,
    );
}

fn rounds(started: &Started, fault: &str, arguments: &Value, id: &str) {
    let (mut inject, mut revert) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let target = json!({"container": id});
        let mut drill = Drill::begin(started, fault, arguments, &target).unwrap();
        inject.push(drill.begun["injected-us"].as_u64().unwrap());
        drill.observe();
        let reverted = drill.revert();
        revert.push(reverted["took-us"].as_u64().unwrap());
        drop(drill);
        wait_until("it runs", || {
            started.engine.inspect(id).unwrap().pid.is_some()
        });
    }
    print(&format!("{fault}: inject"), inject);
    print(&format!("{fault}: revert"), revert);
}

fn print(what: &str, mut times: Vec<u64>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100] as f64 / 1000.0;
    let (middle, late, last) = (at(50), at(99), at(100));
    println!(
        "{what:<44} n {}  p50 {middle:>8.3} ms  p99 {late:>8.3} ms  max {last:>8.3} ms",
        times.len()
    );
}
