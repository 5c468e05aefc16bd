//! The faults and how each is tried: strong enough to be seen in a single look.

use std::time::Duration;

use firedrill_faults::{Fault, catalogue};
use serde_json::{Value, json};

use crate::Outcome;

/// One way of trying a fault.
pub(crate) struct Case {
    pub(crate) fault: &'static str,
    /// Parameters as JSON; `%victim%`, `%dir%`, `%manager%`, `%socket%` and `%proxy%` stand for what the bed has.
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
    /// A container of an engine that the bed starts.
    Container,
    /// This host.
    Host,
}

/// Where its effect shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// In the traffic from the near to the far side.
    Traffic,
    /// In the answers to questions for a name.
    Names,
    /// On an established connection.
    Talk,
    /// On a new connection.
    Asked,
    /// On the victim: stopped, frozen or gone.
    Victim,
    /// On the container: it does not run, or is frozen.
    Container,
    /// On the container, which runs again soon: it is another run.
    OtherRun,
    /// On the process of a unit: gone.
    Unit,
    /// On a server of a load balancer: out of use.
    Server,
    /// On what a client gets through a route of a fault proxy: not the upstream's answer.
    Route,
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
    /// Nothing: it is not taken back.
    Never,
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
use Ends::{Alone, AloneInQueue, ByGuardian, Never};
use Seen::{Asked, Clock, Names, OtherRun, Route, Server, Talk, Traffic, Unit, Worker};

/// Every fault, most of them once.
#[rustfmt::skip]
const CASES: &[Case] = &[
    case("infrastructure.clock-skew", r#"{"offset": "20ms"}"#, Host, Clock, ByGuardian),
    case("infrastructure.container-kill", r#"{"restart": true}"#, Aim::Container, Seen::Container, ByGuardian),
    case("infrastructure.container-pause", "{}", Aim::Container, Seen::Container, ByGuardian),
    case("infrastructure.container-restart", "{}", Aim::Container, OtherRun, ByGuardian),
    case("infrastructure.container-stop", r#"{"survives-reboot": "accept"}"#, Aim::Container, Seen::Container, ByGuardian),
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
    case("infrastructure.process-signal", r#"{"signal": "TERM", "expect": "ends"}"#, Aim::Victim, Seen::Victim, Never),
    case("infrastructure.service-stop", r#"{"unit": "nap.service", "manager": "%manager%"}"#, Host, Unit, ByGuardian),
    case("switching.bandwidth", r#"{"rate": 2000}"#, Near, Traffic, AloneInQueue),
    case("switching.blackhole", "{}", Near, Traffic, Alone),
    case("switching.connection-reset", r#"{"port": 5432}"#, Near, Talk, Alone),
    case("switching.corrupt", r#"{"percent": 100}"#, Near, Traffic, AloneInQueue),
    case("switching.dns-block", r#"{"name": "shop.example"}"#, Near, Names, AloneInQueue),
    case("switching.dns-delay", r#"{"name": "shop.example", "delay": "60ms"}"#, Near, Names, AloneInQueue),
    case("switching.dns-error", r#"{"name": "shop.example", "error": "nxdomain"}"#, Near, Names, AloneInQueue),
    case("switching.dns-spoof", r#"{"name": "shop.example", "answer": "203.0.113.9"}"#, Near, Names, AloneInQueue),
    case("switching.duplicate", r#"{"percent": 100}"#, Near, Traffic, AloneInQueue),
    case("switching.interface-down", r#"{"interface": "veth0"}"#, Near, Traffic, ByGuardian),
    case("switching.latency", r#"{"delay": "60ms"}"#, Near, Traffic, AloneInQueue),
    case("switching.lb-drain", r#"{"backend": "web", "server": "web-a", "socket": "%socket%"}"#, Host, Server, ByGuardian),
    case("switching.loss", r#"{"percent": 100}"#, Near, Traffic, Alone),
    case("switching.loss", r#"{"percent": 99, "correlation": 10}"#, Near, Traffic, AloneInQueue),
    case("switching.partition", r#"{"groups": [["10.78.0.1"], ["10.78.0.2"]]}"#, Near, Traffic, Alone),
    case("switching.port-occupy", r#"{"port": 5999}"#, Near, Worker, Alone),
    case("switching.reject", "{}", Near, Traffic, Alone),
    case("switching.reorder", r#"{"percent": 5, "delay": "60ms"}"#, Near, Traffic, AloneInQueue),
    case("switching.stream", r#"{"delay": "60ms", "remote-port": 5433}"#, Near, Asked, AloneInQueue),
    case("switching.zone-evacuate", r#"{"zone": "*-a", "socket": "%socket%"}"#, Host, Server, ByGuardian),
    case("application.http-error", r#"{"route": "web", "proxy": "%proxy%"}"#, Host, Route, ByGuardian),
    case("application.latency", r#"{"route": "web", "proxy": "%proxy%", "delay": "60ms"}"#, Host, Route, ByGuardian),
    case("application.reset", r#"{"route": "web", "proxy": "%proxy%"}"#, Host, Route, ByGuardian),
];

/// What no line tries: they would end this host, and nothing takes them back.
const NOT_HERE: [&str; 2] = ["infrastructure.host-reboot", "infrastructure.host-shutdown"];

/// The cases whose name contains the word.
///
/// # Errors
/// When the catalogue has a fault that no line tries, or a line tries what the catalogue has not.
pub(crate) fn chosen(word: &str) -> Outcome<Vec<&'static Case>> {
    let known: Vec<_> = catalogue().iter().map(|entry| entry.name).collect();
    let tried: Vec<_> = CASES.iter().map(|case| case.fault).collect();
    for fault in &known {
        if !tried.contains(fault) && !NOT_HERE.contains(fault) {
            return Err(format!("{fault} has no line in cases.rs").into());
        }
    }
    for fault in tried.iter().chain(&NOT_HERE) {
        if !known.contains(fault) {
            return Err(format!("{fault} has a line in cases.rs, and is no fault").into());
        }
    }
    for fault in NOT_HERE.iter().filter(|fault| fault.contains(word)) {
        skip(fault, "it would end this host");
    }
    let cases = CASES.iter();
    Ok(cases.filter(|case| case.name().contains(word)).collect())
}

/// Says by name what is not tried.
pub(crate) fn skip(name: &str, why: &str) {
    println!("{}", json!({"skipped": name, "why": why}));
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

    /// How much later than the lease an effect may be seen to end on a busy machine; an engine
    /// takes its own time to start a container.
    pub(crate) fn slack(&self) -> Duration {
        Duration::from_secs(if self.aim == Aim::Container { 5 } else { 1 })
    }

    /// About how long a short drill with it takes, in which moments are thrown.
    pub(crate) fn span(&self) -> Duration {
        Duration::from_millis(if self.aim == Aim::Container { 600 } else { 150 })
    }
}

/// Reads a fault from its parameters.
pub(crate) fn parse(name: &str, arguments: &str) -> Outcome<Fault> {
    let arguments: Value = serde_json::from_str(arguments)?;
    let map = arguments.as_object().ok_or("parameters are an object")?;
    Ok(Fault::parse(name, map)?)
}
