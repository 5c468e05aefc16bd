use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use firedrill_kernel::{Pidfd, ProcessIdentity, Signal, process};
use firedrill_undo::{Guardian, Primitive, SpawnConfig, StateDir};
use insta::assert_snapshot;
use serde_json::Value;

use crate::place::{Place, program, wait_until};

/// A child of this test to be paused; it ends with the test.
struct Victim(Child);

impl Victim {
    fn start() -> Self {
        Self(
            Command::new("sleep")
                .arg("60")
                .stdin(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    fn identity(&self) -> ProcessIdentity {
        ProcessIdentity::of(self.0.id()).unwrap().unwrap()
    }

    fn is_stopped(&self) -> bool {
        process::stat(self.0.id())
            .unwrap()
            .unwrap()
            .state
            .is_stopped()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A drill of this test's own, whose guardian is the real program.
fn drill(place: &Place, victim: &Victim, lease: Duration) -> Guardian {
    let state = StateDir::at(place.state());
    let mut config = SpawnConfig::new(state, "d-test".parse().unwrap(), "A helper is lost");
    config.exe = program().into();
    config.lease = lease;
    let guardian = Guardian::spawn(config).unwrap();
    let stop = Primitive::StopProcess {
        process: victim.identity(),
    };
    let applied = guardian.apply(vec![stop]).unwrap();
    guardian
        .observe_until(applied.id, Duration::from_secs(10))
        .unwrap();
    assert!(victim.is_stopped());
    guardian
}

/// The guardian is killed and the lease runs out: nobody is left to undo.
fn abandoned(place: &Place, victim: &Victim) -> Guardian {
    let guardian = drill(place, victim, Duration::from_millis(1000));
    let pidfd = Pidfd::open(&guardian.ready().guardian).unwrap().unwrap();
    pidfd.send(Signal::Kill).unwrap();
    let ended = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < ended {
        let left = ended.saturating_duration_since(Instant::now());
        pidfd.wait_for_exit(left).unwrap();
        std::thread::park_timeout(left.min(Duration::from_millis(50)));
    }
    assert!(victim.is_stopped(), "killed with everything still in force");
    guardian
}

fn json(place: &Place, words: &[&str]) -> Value {
    let output = place.run(words);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn with_nothing_there_there_is_nothing_to_do() {
    let place = Place::new();
    for command in ["status", "halt", "recover"] {
        assert_snapshot!(format!("nothing_{command}"), place.see(&[command]));
    }
    assert_eq!(
        json(&place, &["status", "--output", "json"])["drills"],
        Value::Array(vec![])
    );
    assert!(!place.state().exists(), "looking creates nothing");
}

#[test]
fn status_names_the_drill_its_targets_and_how_to_stop_it() {
    let (place, victim) = (Place::new(), Victim::start());
    let guardian = drill(&place, &victim, Duration::from_secs(60));
    let page = place.see(&["status"]);
    let filters = [
        (r"\S+ \(pid \d+\)", "[PROCESS]"),
        (r"\[PROCESS\], [^,]+, alive", "[PROCESS], [USER], alive"),
        (r"\d{4}-\d\d-\d\dT\S+Z", "[TIME]"),
        (r"\d+ s left", "[N] s left"),
    ];
    insta::with_settings!({filters => filters}, { assert_snapshot!(page) });
    let drills = json(&place, &["status", "--output", "json"]);
    assert_eq!(drills["drills"][0]["drill"], "d-test");
    assert_eq!(drills["drills"][0]["left-behind"], false);
    assert!(victim.is_stopped(), "looking undoes nothing");
    guardian.finish().unwrap();
}

#[test]
fn halt_undoes_a_living_drill_and_says_how_long_it_took() {
    let (place, victim) = (Place::new(), Victim::start());
    let _guardian = drill(&place, &victim, Duration::from_secs(60));
    let halted = json(&place, &["halt", "--output", "json"]);
    assert_eq!(halted["halted"][0]["drill"], "d-test");
    assert_eq!(halted["halted"][0]["undone"], true);
    assert!(halted["halted"][0]["took-ms"].as_f64().is_some());
    assert!(!victim.is_stopped());
}

#[test]
fn recover_undoes_what_the_dead_left() {
    let (place, victim) = (Place::new(), Victim::start());
    let _guardian = abandoned(&place, &victim);
    let report = json(&place, &["recover", "--output", "json"]);
    assert_eq!(report["recovered"][0]["drill"], "d-test");
    assert_eq!(report["recovered"][0]["clean"], true);
    assert!(!victim.is_stopped());
    assert_eq!(
        json(&place, &["recover", "--output", "json"])["recovered"],
        Value::Array(vec![])
    );
}

#[test]
fn the_next_command_cleans_up_whatever_it_is() {
    let (place, victim) = (Place::new(), Victim::start());
    let _guardian = abandoned(&place, &victim);
    let output = place.run(&["faults"]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("recovered: d-test (A helper is lost): 1 effect undone"),
        "{said}"
    );
    assert!(!victim.is_stopped());
}

#[test]
fn the_doctor_sees_what_was_left_and_changes_nothing() {
    let (place, victim) = (Place::new(), Victim::start());
    let guardian = abandoned(&place, &victim);
    let output = place.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(victim.is_stopped());
    drop(guardian);
    assert_eq!(place.run(&["recover"]).status.code(), Some(0));
    assert!(!victim.is_stopped());
}

#[test]
fn the_doctor_says_of_every_mechanism_whether_it_works_here() {
    let place = Place::new();
    let checks = json(&place, &["doctor", "--output", "json"]);
    let checks = checks["checks"].as_array().unwrap();
    assert!(
        checks
            .iter()
            .any(|check| check["mechanism"] == "pidfd" && check["usable"] == true)
    );
    for check in checks {
        assert!(
            check["why"].as_str().is_some_and(|why| !why.is_empty()),
            "{check}"
        );
    }
    assert!(!place.state().exists(), "looking creates nothing");
}

#[test]
fn the_rollbacks_of_a_killed_drill_are_played() {
    let place = Place::new();
    let undone = place.work().join("undone");
    let document = serde_json::json!({
        "title": "A drill to be killed",
        "description": "Its action outlives it; its rollback must not be lost.",
        "configuration": { "where": undone },
        "method": [{
            "type": "action", "name": "take-long",
            "provider": { "type": "process", "path": "sleep", "arguments": ["5"] },
        }],
        "rollbacks": [{
            "type": "action", "name": "undo",
            "provider": { "type": "process", "path": "touch", "arguments": ["${where}"] },
        }],
    });
    place.file("killed.json", &document.to_string());
    let mut owner = place
        .command(&["run", "killed.json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let armed = wait_until(|| {
        let drills = json(&place, &["status", "--output", "json"]);
        drills["drills"][0]["faults"]
            .as_array()
            .is_some_and(|faults| !faults.is_empty())
    });
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(armed && !undone.exists());
    assert!(
        wait_until(|| undone.exists()),
        "the guardian plays what its owner cannot"
    );
    assert!(wait_until(|| std::fs::read_dir(
        place.state().join("drills")
    )
    .unwrap()
    .count()
        == 0));
}
