//! The faults and how each is tried: strong enough to be seen in a single look.

use firedrill_faults::{Fault, catalogue};
use serde_json::Value;

use crate::Outcome;

/// One way of trying a fault.
pub(crate) struct Case {
    pub(crate) fault: &'static str,
    /// Parameters as JSON; `%victim%` and `%dir%` stand for what the bed has.
    pub(crate) arguments: &'static str,
    pub(crate) aim: Aim,
    pub(crate) seen: Seen,
    pub(crate) ends: Ends,
}

/// What it is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The network namespace that the traffic leaves.
    Near,
    /// A process of the bed.
    Victim,
    /// This host.
    Host,
}

/// Where its effect shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// In the traffic from the near to the far side.
    Traffic,
    /// On the victim: stopped, frozen or gone.
    Victim,
    /// A worker holds something as long as it lives.
    Worker,
    /// The host's clock is elsewhere.
    Clock,
}

/// What ends it when its guardian cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The kernel, with a descriptor or a timer.
    Alone,
    /// The same, and packets wait in a queue of a worker.
    AloneInQueue,
    /// A guardian or a recovery.
    ByGuardian,
}

const fn case(
    fault: &'static str,
    arguments: &'static str,
    aim: Aim,
    seen: Seen,
    ends: Ends,
) -> Case {
    Case {
        fault,
        arguments,
        aim,
        seen,
        ends,
    }
}

use Aim::{Host, Near};
use Ends::{Alone, AloneInQueue, ByGuardian};
use Seen::{Clock, Traffic, Worker};

/// Every fault, most of them once.
#[rustfmt::skip]
const CASES: &[Case] = &[
    case("infrastructure.clock-skew", r#"{"offset": "20ms"}"#, Host, Clock, ByGuardian),
    case("infrastructure.cpu", r#"{"percent": 30, "cores": 1}"#, Host, Worker, Alone),
    case("infrastructure.disk-fill", r#"{"bytes": "16MiB", "path": "%dir%"}"#, Host, Worker, Alone),
    case("infrastructure.file-descriptors", r#"{"count": 500}"#, Host, Worker, Alone),
    case("infrastructure.inodes", r#"{"count": 500, "path": "%dir%"}"#, Host, Worker, Alone),
    case("infrastructure.io", r#"{"mode": "write", "rate": "1MiB", "path": "%dir%"}"#, Host, Worker, Alone),
    case("infrastructure.memory", r#"{"bytes": "32MiB"}"#, Host, Worker, Alone),
    case("infrastructure.pids", r#"{"count": 50}"#, Host, Worker, Alone),
    case("infrastructure.process-pause", r#"{"mechanism": "signal"}"#, Aim::Victim, Seen::Victim, ByGuardian),
    case("infrastructure.process-pause", "{}", Aim::Victim, Seen::Victim, ByGuardian),
    case("infrastructure.process-kill", r#"{"signal": "KILL", "restart": ["sleep", "%victim%"]}"#, Aim::Victim, Seen::Victim, ByGuardian),
    case("switching.bandwidth", r#"{"rate": 2000}"#, Near, Traffic, AloneInQueue),
    case("switching.blackhole", "{}", Near, Traffic, Alone),
    case("switching.corrupt", r#"{"percent": 100}"#, Near, Traffic, AloneInQueue),
    case("switching.duplicate", r#"{"percent": 100}"#, Near, Traffic, AloneInQueue),
    case("switching.interface-down", r#"{"interface": "veth0"}"#, Near, Traffic, ByGuardian),
    case("switching.latency", r#"{"delay": "60ms"}"#, Near, Traffic, AloneInQueue),
    case("switching.loss", r#"{"percent": 100}"#, Near, Traffic, Alone),
    case("switching.loss", r#"{"percent": 99, "correlation": 10}"#, Near, Traffic, AloneInQueue),
    case("switching.partition", r#"{"groups": [["10.78.0.1"], ["10.78.0.2"]]}"#, Near, Traffic, Alone),
    case("switching.port-occupy", r#"{"port": 5999}"#, Near, Worker, Alone),
    case("switching.reject", "{}", Near, Traffic, Alone),
    case("switching.reorder", r#"{"percent": 5, "delay": "60ms"}"#, Near, Traffic, AloneInQueue),
];

/// The cases whose name contains the word; what the catalogue has and no line tries is said.
pub(crate) fn chosen(word: &str) -> Vec<&'static Case> {
    let entries = catalogue();
    for entry in &entries {
        if !CASES.iter().any(|case| case.fault == entry.name) {
            println!(
                "{}",
                serde_json::json!({"skipped": entry.name, "why": "no line in cases.rs"})
            );
        }
    }
    let known = |case: &&Case| entries.iter().any(|entry| entry.name == case.fault);
    let cases = CASES.iter().filter(known);
    cases.filter(|case| case.name().contains(word)).collect()
}

impl Case {
    /// The fault and what tells this case from another of it.
    pub(crate) fn name(&self) -> String {
        let told = match self.arguments {
            r#"{"mechanism": "signal"}"# => " by signal",
            text if self.fault == "switching.loss" && text.contains("correlation") => " correlated",
            _ => "",
        };
        format!("{}{told}", self.fault)
    }
}

/// Reads a fault from its parameters.
pub(crate) fn parse(name: &str, arguments: &str) -> Outcome<Fault> {
    let arguments: Value = serde_json::from_str(arguments)?;
    let map = arguments.as_object().ok_or("parameters are an object")?;
    Ok(Fault::parse(name, map)?)
}
