//! What passed, in Prometheus' text format (version 0.0.4), under Toxiproxy's names and ours.

use std::fmt::Write as _;

use super::collection::{Collection, ProxyView};
use crate::arms::Arm;
use crate::counters::{Bytes, Passed};
use crate::message::Protocol;

/// A family of counters or gauges: its name, type, meaning, and values of one proxy.
type Family = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Passed) -> Vec<(&'static str, u64)>,
);

const FAMILIES: [Family; 5] = [
    (
        "toxiproxy_proxy_received_bytes_total",
        "counter",
        "Bytes that came from the source of the direction",
        |passed| by_direction(passed, |bytes| bytes.received),
    ),
    (
        "toxiproxy_proxy_sent_bytes_total",
        "counter",
        "Bytes that the sink of the direction took",
        |passed| by_direction(passed, |bytes| bytes.sent),
    ),
    (
        "firedrill_proxy_connections_total",
        "counter",
        "Connections that were accepted",
        |passed| vec![("", passed.connections)],
    ),
    (
        "firedrill_proxy_connections_open",
        "gauge",
        "Connections that are open now",
        |passed| vec![("", passed.open)],
    ),
    (
        "firedrill_proxy_connections_failed_total",
        "counter",
        "Connections for which no upstream could be reached",
        |passed| vec![("", passed.failed)],
    ),
];

fn by_direction(passed: &Passed, of: fn(Bytes) -> u64) -> Vec<(&'static str, u64)> {
    vec![
        ("upstream", of(passed.upstream)),
        ("downstream", of(passed.downstream)),
    ]
}

pub(super) fn text(all: &Collection) -> String {
    let proxies: Vec<_> = all
        .all()
        .into_iter()
        .filter_map(|proxy| all.passed(&proxy.name).map(|passed| (proxy, passed)))
        .collect();
    let mut text = String::new();
    for (name, kind, help, values) in FAMILIES {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (proxy, passed) in &proxies {
            for (direction, value) in values(passed) {
                let _ = writeln!(text, "{name}{{{}}} {value}", labels(proxy, direction));
            }
        }
    }
    requests(&mut text, all, &proxies);
    users(&mut text, all, &proxies);
    text
}

const ARMS: [(&str, Option<Arm>); 3] = [
    ("none", None),
    ("control", Some(Arm::Control)),
    ("experiment", Some(Arm::Experiment)),
];

/// Requests by their arm, of proxies whose protocol is known.
fn requests(text: &mut String, all: &Collection, proxies: &[(ProxyView, Passed)]) {
    let name = "firedrill_proxy_requests_total";
    let help = "Requests that have their answers";
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
    let known = proxies
        .iter()
        .filter(|(proxy, _)| proxy.protocol != Protocol::Tcp);
    for (proxy, _) in known {
        for (arm, which) in ARMS {
            let Ok(requests) = all.requests(&proxy.name, which) else {
                continue;
            };
            let outcomes = [("well", requests.well), ("badly", requests.badly)];
            let proxy = escaped(&proxy.name);
            for (outcome, value) in outcomes {
                let _ = writeln!(
                    text,
                    "{name}{{arm=\"{arm}\",outcome=\"{outcome}\",proxy=\"{proxy}\"}} {value}"
                );
            }
        }
    }
}

/// Users by their arm, of proxies that count them. They begin at zero with each change of the arms'
/// faults.
fn users(text: &mut String, all: &Collection, proxies: &[(ProxyView, Passed)]) {
    let counted: Vec<_> = proxies
        .iter()
        .filter_map(|(proxy, _)| Some((escaped(&proxy.name), all.users(&proxy.name).ok()??)))
        .collect();
    if counted.is_empty() {
        return;
    }
    let name = "firedrill_proxy_users_total";
    let help = "Users since the arms have these faults, by whether a bad answer came to them";
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
    for (proxy, users) in &counted {
        for (arm, users) in [("control", users.control), ("experiment", users.experiment)] {
            for (outcome, value) in [("well", users.well), ("badly", users.badly)] {
                let _ = writeln!(
                    text,
                    "{name}{{arm=\"{arm}\",outcome=\"{outcome}\",proxy=\"{proxy}\"}} {value}"
                );
            }
        }
    }
    let name = "firedrill_proxy_users_left_out_total";
    let help = "Answers to users for whom there was no room";
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
    for (proxy, users) in &counted {
        let _ = writeln!(text, "{name}{{proxy=\"{proxy}\"}} {}", users.left_out);
    }
}

fn labels(proxy: &ProxyView, direction: &str) -> String {
    let mut labels = Vec::new();
    if !direction.is_empty() {
        labels.push(("direction", direction));
    }
    labels.extend([
        ("listener", proxy.listen.as_str()),
        ("proxy", &proxy.name),
        ("upstream", &proxy.upstream),
    ]);
    let written: Vec<_> = labels
        .into_iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    written.join(",")
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
