//! Without root: what can work does, the rest is refused with the capability that it lacks.

use std::process::{Child, Command, Output};

use serde_json::Value;

use crate::place::{Place, program};

/// As any user; as root without a capability, in a network namespace of its own.
fn without_privilege(place: &Place, words: &[&str]) -> Output {
    let plain = place.command(words);
    if !rustix::process::geteuid().is_root() {
        return { plain }.output().unwrap();
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "setpriv", "--bounding-set=-all", "--inh-caps=-all"]);
    command.arg(program()).args(words);
    command.current_dir(place.work()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("FIREDRILL_STATE_DIR", place.state());
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_network_fault_without_the_privilege_is_refused_by_its_name_and_leaves_no_log() {
    let place = Place::new();
    for fault in [
        &["switching.blackhole"][..],
        &["switching.latency", "delay=10ms"],
    ] {
        let mut words = vec!["inject"];
        words.extend(fault);
        words.extend(["port=9", "--target", "host=true", "--for", "1s"]);
        let output = without_privilege(&place, &words);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains("CAP_NET_ADMIN"), "{said}");
        let again = without_privilege(&place, &["recover"]);
        let said = String::from_utf8_lossy(&again.stdout).into_owned();
        assert_eq!(said, "nothing was left behind\n");
    }
}

#[test]
fn the_doctor_names_the_capability_that_each_fault_lacks() {
    let place = Place::new();
    let output = without_privilege(&place, &["doctor", "--output", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |name: &str| {
        let faults = told["faults"].as_array().unwrap();
        faults
            .iter()
            .find(|fault| fault["fault"] == name)
            .unwrap()
            .clone()
    };
    let latency = of("switching.latency");
    assert_eq!(latency["usable"], false);
    assert_eq!(latency["why"], "CAP_NET_ADMIN is missing");
    assert_eq!(of("infrastructure.process-pause")["usable"], true);
    let listed = said(&without_privilege(&place, &["faults"]));
    assert!(listed.contains("not here"), "{listed}");
}

#[test]
fn a_process_of_the_same_user_can_be_paused_without_any_privilege() {
    let place = Place::new();
    let mut child = plain_sleep();
    let pid = format!("pid={}", child.id());
    let words = [
        "inject",
        "infrastructure.process-pause",
        "--target",
        &pid,
        "--for",
        "1s",
    ];
    let output = without_privilege(&place, &words);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// Without capabilities: who has fewer may not even look at it.
fn plain_sleep() -> Child {
    let mut command = Command::new("sleep");
    if rustix::process::geteuid().is_root() {
        command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", "sleep"]);
    }
    let child = command.arg("60").spawn().unwrap();
    let name = format!("/proc/{}/comm", child.id());
    while std::fs::read_to_string(&name).unwrap() != "sleep\n" {
        std::thread::yield_now();
    }
    child
}
