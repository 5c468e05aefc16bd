//! Faults of the network aimed at a container, with a cable of our own into its namespace.

use std::process::Command;

use serde_json::json;

use crate::drill::Drill;
use crate::started::{IMAGE, Started};
use crate::{on_docker, on_podman};

#[test]
fn docker_packets_of_one_container_are_met_and_no_others() {
    on_docker(packets_of_one_container_are_met);
}

#[test]
fn podman_packets_of_one_container_are_met_and_no_others() {
    on_podman(packets_of_one_container_are_met);
}

/// A network namespace of ours with a cable into that of a process; both end with the namespace.
struct Cable {
    namespace: String,
}

const OUTSIDE: &str = "10.231.7.1";
const INSIDE: &str = "10.231.7.2";

impl Cable {
    fn into(pid: u32) -> Self {
        let cable = Self {
            namespace: format!("firedrill-test-{pid}"),
        };
        let (name, pid) = (cable.namespace.as_str(), pid.to_string());
        succeed(&["ip", "netns", "add", name]);
        succeed(&[
            "ip", "-n", name, "link", "add", "out", "type", "veth", "peer", "name", "in", "netns",
            &pid,
        ]);
        let outside = format!("{OUTSIDE}/24");
        succeed(&["ip", "-n", name, "address", "add", &outside, "dev", "out"]);
        succeed(&["ip", "-n", name, "link", "set", "out", "up"]);
        let inside = format!("{INSIDE}/24");
        for words in [
            &["address", "add", &inside, "dev", "in"][..],
            &["link", "set", "in", "up"],
        ] {
            let mut all = vec!["nsenter", "--net", "--target", &pid, "ip"];
            all.extend(words);
            succeed(&all);
        }
        cable
    }

    fn is_answered(&self) -> bool {
        let name = self.namespace.as_str();
        run(&[
            "ip", "netns", "exec", name, "ping", "-c", "1", "-W", "1", INSIDE,
        ])
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        run(&["ip", "netns", "delete", &self.namespace]);
    }
}

fn packets_of_one_container_are_met(started: &Started) {
    if !run(&["ping", "-V"]) || !run(&["ip", "-V"]) {
        println!("skipped: no ip or no ping: install iproute2 and iputils-ping");
        return;
    }
    let id = started.run("web", &[]);
    let pid = started.engine.inspect(&id).unwrap().pid.unwrap();
    let cable = Cable::into(pid);
    assert!(cable.is_answered());
    let target = json!({"container": "web"});
    let mut drill = Drill::begin(started, "switching.blackhole", &json!({}), &target).unwrap();
    assert!(!cable.is_answered(), "nothing gets through");
    assert!(run(&["ping", "-c", "1", "-W", "1", "127.0.0.1"]));
    drill.revert();
    assert!(cable.is_answered());
    let delay = json!({"delay": "300ms"});
    let mut drill = Drill::begin(started, "switching.latency", &delay, &target).unwrap();
    let text = output(&cable);
    let took: f64 = text
        .split("time=")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(took >= 299.0, "{text}");
    drill.revert();

    let parent = started.cgroup_parent();
    started.tell(&[
        "run",
        "--detach",
        "--network",
        "host",
        "--name",
        "shared",
        "--cgroup-parent",
        &parent,
        IMAGE,
        "/wait",
    ]);
    let target = json!({"container": "shared"});
    let refused = Drill::begin(started, "switching.blackhole", &json!({}), &target)
        .err()
        .unwrap();
    assert!(refused.contains("host=true"), "{refused}");
}

fn output(cable: &Cable) -> String {
    let output = Command::new("ip")
        .args([
            "netns",
            "exec",
            &cable.namespace,
            "ping",
            "-c",
            "1",
            "-W",
            "5",
            INSIDE,
        ])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn run(words: &[&str]) -> bool {
    let output = Command::new(words[0]).args(&words[1..]).output();
    output.is_ok_and(|output| output.status.success())
}

fn succeed(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {errors}");
}
