//! Faults of one drill that are in force at the same time, against one blast radius.

use std::process::{Child, Command, Output};

use serde_json::{Value, json};

use crate::place::Place;

/// Processes with a label of this test's own, ended with it.
struct Herd {
    label: String,
    children: Vec<Child>,
}

impl Herd {
    fn of(name: &str, count: usize) -> Self {
        let label = format!("{name}-{}", std::process::id());
        let spawn = |_| {
            let child = Command::new("sleep")
                .arg("300")
                .env("FIREDRILL_LABELS", format!("herd={label}"))
                .spawn()
                .unwrap();
            // Between fork and exec a child still looks like this test.
            let comm = format!("/proc/{}/comm", child.id());
            while std::fs::read_to_string(&comm).unwrap() != "sleep\n" {
                std::thread::yield_now();
            }
            child
        };
        Self {
            children: (0..count).map(spawn).collect(),
            label,
        }
    }

    fn pause(&self, name: &str, duration: &str) -> Value {
        json!({
            "type": "action", "name": name,
            "provider": {
                "type": "fault", "name": "infrastructure.process-pause",
                "target": { "label": { "herd": self.label } }, "duration": duration,
            },
        })
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn in_the_background(mut action: Value) -> Value {
    action["background"] = json!(true);
    action
}

fn run(place: &Place, command: &str, targets_max: u64, method: &[Value]) -> (Output, String) {
    let document = json!({
        "title": "Several faults at once", "description": "They share one blast radius.",
        "blast-radius": { "targets-max": targets_max },
        "method": method, "rollbacks": [],
    });
    place.file("together.json", &document.to_string());
    let output = place.run(&[command, "together.json"]);
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8(said).unwrap();
    (output, said)
}

#[test]
fn a_plan_adds_up_faults_that_may_overlap_and_no_others() {
    let place = Place::new();
    let (first, second) = (Herd::of("plan-a", 2), Herd::of("plan-b", 1));
    let lasting = in_the_background(first.pause("first", "1s"));
    let next = second.pause("second", "1s");
    let (output, said) = run(&place, "plan", 2, &[lasting.clone(), next.clone()]);
    assert_eq!(output.status.code(), Some(4), "{said}");
    let why = "together with infrastructure.process-pause: 3 targets are more than targets-max, 2";
    assert!(said.contains(why), "{said}");
    // One after the other they are never more than two, and a target hit twice counts once.
    let in_turn = [first.pause("first", "1s"), next];
    let (output, said) = run(&place, "plan", 2, &in_turn);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let twice = [lasting, first.pause("again", "1s")];
    let (output, said) = run(&place, "plan", 2, &twice);
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[test]
fn what_was_covered_meanwhile_counts_for_the_next_fault() {
    let place = Place::new();
    let (first, second) = (Herd::of("run-a", 1), Herd::of("run-b", 1));
    // Starts one more of the first herd, and waits until it is paused, too: stopped, or frozen.
    let script = format!(
        "FIREDRILL_LABELS=herd={} sleep 300 >/dev/null 2>&1 & echo $! >newcomer; \
         for n in $(seq 300); do grep -q '^State:.[TD]' /proc/$!/status && exit 0; sleep 0.1; done; \
         exit 1",
        first.label
    );
    let grow = json!({
        "type": "action", "name": "grow", "on-failure": "fail",
        "provider": { "type": "process", "path": "sh", "arguments": ["-c", script] },
    });
    let method = [
        in_the_background(first.pause("first", "15s")),
        grow,
        second.pause("second", "1s"),
    ];
    let (output, said) = run(&place, "plan", 2, &method);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let (output, said) = run(&place, "run", 2, &method);
    let newcomer = std::fs::read_to_string(place.work().join("newcomer")).unwrap();
    let ended = Command::new("kill")
        .args(["-KILL", newcomer.trim()])
        .status();
    assert!(ended.unwrap().success(), "{said}");
    let why = "together with infrastructure.process-pause: 3 targets are more than targets-max, 2";
    assert!(said.contains(why), "{said}");
    assert_eq!(output.status.code(), Some(4), "{said}");
    for child in first.children.iter().chain(&second.children) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        assert!(status.contains("S (sleeping)"), "{status}");
    }
}
