//! Faults on the streams of TCP connections, by a proxy that they are led through: the application
//! is not reconfigured, and neither side sees another address.

mod rows;

use std::time::Duration;

use firedrill_undo::Primitive;
use firedrill_worker::interception::{Carried, ConnectionFault, ConnectionFaultKind, Towards};
use serde_json::{Map, Value, json};

use super::filter::{self, Filter};
use super::passage;
use super::place::places;
use super::rules;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Stream::parse(arguments)?)),
};

const NAME: &str = "switching.stream";

const OWN: [&str; 15] = [
    "protocol",
    "delay",
    "jitter",
    "rate",
    "loss",
    "stall",
    "corrupt",
    "slice",
    "slice-delay",
    "limit",
    "timeout",
    "reset-after",
    "hang",
    "slow-close",
    "stream",
];

const FILTER: [&str; 9] = [
    "direction",
    "address",
    "host",
    "port",
    "remote-port",
    "local-port",
    "interface",
    "percent",
    "ssh",
];

const PROTOCOLS: &str = "tcp or udp";

/// What datagrams cannot have.
const OF_CONNECTIONS: [&str; 6] = [
    "stall",
    "slice",
    "slice-delay",
    "timeout",
    "reset-after",
    "slow-close",
];

const STREAMS: &str = "upstream, downstream or both";

/// Longer, and every client has given up.
const LONGEST: Duration = Duration::from_secs(600);

/// As long as Linux waits at the least before it sends a lost segment again.
const STALL: Duration = Duration::from_millis(200);

/// `switching.stream`
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    filter: Filter,
    carried: Carried,
    faults: Vec<ConnectionFault>,
}

impl Stream {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let known: Vec<_> = OWN.into_iter().chain(FILTER).collect();
        let mut read = Arguments::new(NAME, arguments, &known);
        let towards = read.read("stream", STREAMS, |value| {
            Some(match value.as_str()? {
                "upstream" => vec![Towards::Server],
                "downstream" => vec![Towards::Client],
                "both" => vec![Towards::Server, Towards::Client],
                _ => return None,
            })
        });
        let towards = towards.unwrap_or_else(|| vec![Towards::Client]);
        let kinds = kinds(&mut read);
        let carried = carried(&mut read);
        let filter = Filter::read_with_percent(&mut read);
        read.finish()?;
        let faults = towards.iter().flat_map(|towards| {
            kinds.iter().map(|kind| ConnectionFault {
                towards: *towards,
                kind: kind.clone(),
            })
        });
        let faults = faults.collect();
        Ok(Self {
            filter,
            carried,
            faults,
        })
    }
}

/// With it, what only connections have is a mistake.
fn carried(read: &mut Arguments<'_>) -> Carried {
    let carried = read.read("protocol", PROTOCOLS, |value| {
        Some(match value.as_str()? {
            "tcp" => Carried::Tcp,
            "udp" => Carried::Udp,
            _ => return None,
        })
    });
    let carried = carried.unwrap_or_default();
    for name in OF_CONNECTIONS {
        if let (Carried::Udp, Some(found)) = (carried, read.get(name)) {
            read.wrong(name, found, "left out where the protocol is udp");
        }
    }
    carried
}

/// In the order in which bytes meet them.
fn kinds(read: &mut Arguments<'_>) -> Vec<ConnectionFaultKind> {
    use ConnectionFaultKind as Fault;
    let mut kinds = Vec::new();
    let jitter = read.duration("jitter", LONGEST);
    match read.duration("delay", LONGEST) {
        Some(delay) => kinds.push(Fault::Latency {
            delay,
            jitter: jitter.unwrap_or_default(),
        }),
        None => needs(read, "jitter", "delay", "a jitter is of the delay"),
    }
    if let Some(bytes_per_second) = read.size("rate") {
        kinds.push(Fault::Bandwidth { bytes_per_second });
    }
    let stall = read.duration("stall", LONGEST);
    match read.percent("loss") {
        Some(percent) => kinds.push(Fault::Loss {
            share: percent / 100.0,
            stall: stall.unwrap_or(STALL),
        }),
        None => needs(read, "stall", "loss", "a stall is of what is lost"),
    }
    if let Some(percent) = read.percent("corrupt") {
        let share = percent / 100.0;
        kinds.push(Fault::Corrupt { share });
    }
    let pause = read.duration("slice-delay", LONGEST);
    match read.size("slice") {
        Some(size) => kinds.push(Fault::Slicer {
            size,
            delay: pause.unwrap_or_default(),
        }),
        None => needs(read, "slice-delay", "slice", "the delay is between slices"),
    }
    if let Some(bytes) = read.size("limit") {
        kinds.push(Fault::Limit { bytes });
    }
    if let Some(delay) = read.duration("slow-close", LONGEST) {
        kinds.push(Fault::SlowClose { delay });
    }
    if let Some(after) = read.duration("timeout", LONGEST) {
        kinds.push(Fault::Timeout { after });
    }
    if let Some(after) = read.duration("reset-after", LONGEST) {
        kinds.push(Fault::Reset { after });
    }
    if read.flag("hang") == Some(true) {
        kinds.push(Fault::Hang);
    }
    if kinds.is_empty() {
        needs_one(read);
    }
    kinds
}

fn needs_one(read: &mut Arguments<'_>) {
    const ONES: [&str; 9] = [
        "delay",
        "rate",
        "loss",
        "corrupt",
        "slice",
        "limit",
        "slow-close",
        "timeout",
        "reset-after",
    ];
    // One that is there and wrong is told already.
    if !ONES.iter().any(|name| read.get(name).is_some()) {
        read.mistake(FaultError::Missing {
            owner: NAME,
            name: "delay",
            what: "what is done to the streams: delay, rate, loss, corrupt, slice, limit, \
                   slow-close, timeout, reset-after or hang",
        });
    }
}

/// What is about another parameter needs it.
fn needs(read: &mut Arguments<'_>, given: &str, name: &'static str, what: &'static str) {
    if read.get(given).is_some() && read.get(name).is_none() {
        read.mistake(FaultError::Missing {
            owner: NAME,
            name,
            what,
        });
    }
}

impl Disturbance for Stream {
    fn hosts(&self) -> Vec<String> {
        self.filter.hosts().to_vec()
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        places(site)?
            .into_iter()
            .map(|place| passage::compile(&self.filter, (self.carried, &self.faults), place, site))
            .collect()
    }
}

fn entry() -> Entry {
    let mut parameters = rows::own();
    parameters.extend(filter::some_parameters(&FILTER));
    for parameter in &mut parameters {
        match parameter.name {
            "direction" => {
                parameter.default = Some(json!("egress"));
                parameter.summary = "connections that the target makes, that it is sent, or both";
            }
            "percent" => {
                parameter.summary = "of the connections that match, each by its own throw; the \
                                     others are not touched";
            }
            _ => {}
        }
    }
    Entry {
        name: NAME,
        layer: "switching",
        summary: "disturbs what is said over new connections, or in datagrams, by a proxy that \
                  they are led through",
        targets: rules::TARGETS.to_vec(),
        parameters,
        needs: vec![
            "CAP_NET_ADMIN and CAP_NET_RAW in the target's network namespace",
            "nf_tables with redirect, nf_conntrack, and ctnetlink",
        ],
        mechanisms: vec![
            "nftables redirect into a proxy in a worker process: a table owned by the worker, whose \
             rules stop to match with the lease; connections that were there before are not met",
        ],
        recovery_path: "the kernel removes the table with the worker, which dies with its guardian \
                        and at its deadline, and resets the connections that went through it; the \
                        guardian, or recovery, has the kernel forget their translation",
        undo: UndoClass::Reversible,
        observed_effect: "connections that the proxy took; without one it had no effect",
        example: "remote-port=5432 delay=50ms",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &Value) -> Result<Stream, FaultError> {
        Stream::parse(arguments.as_object().unwrap())
    }

    #[test]
    fn what_is_done_stands_in_the_order_in_which_bytes_meet_it_on_each_stream() {
        let stream = parse(&json!({"rate": "1KiB", "delay": "5ms", "stream": "both"})).unwrap();
        let latency = ConnectionFaultKind::Latency {
            delay: Duration::from_millis(5),
            jitter: Duration::ZERO,
        };
        let bandwidth = ConnectionFaultKind::Bandwidth {
            bytes_per_second: 1024,
        };
        let of = |towards, kind: &ConnectionFaultKind| ConnectionFault {
            towards,
            kind: kind.clone(),
        };
        let expected = vec![
            of(Towards::Server, &latency),
            of(Towards::Server, &bandwidth),
            of(Towards::Client, &latency),
            of(Towards::Client, &bandwidth),
        ];
        assert_eq!(stream.faults, expected);
    }

    #[test]
    fn a_stream_without_a_fault_and_what_is_of_a_missing_one_are_told() {
        for (arguments, told) in [
            (json!({}), "what is done to the streams"),
            (json!({"hang": false}), "what is done to the streams"),
            (
                json!({"hang": true, "jitter": "5ms"}),
                "a jitter is of the delay",
            ),
            (
                json!({"hang": true, "stall": "5ms"}),
                "a stall is of what is lost",
            ),
            (
                json!({"hang": true, "slice-delay": "5ms"}),
                "between slices",
            ),
            (json!({"hang": true, "protocol": "icmp"}), "tcp or udp"),
            (
                json!({"protocol": "udp", "reset-after": "1s"}),
                "reset-after",
            ),
        ] {
            let error = parse(&arguments).unwrap_err().to_string();
            assert!(error.contains(told), "{arguments}: {error}");
        }
    }
}
