//! What the catalogue says of the shared parameters.

use serde_json::json;

use super::{DIRECTIONS, PORTS, PREFIXES, PROTOCOLS};
use crate::catalogue::{Parameter, ParameterKind};

/// All of them, with this direction unless told otherwise.
pub(crate) fn parameters(direction: &str) -> Vec<Parameter> {
    use ParameterKind::{Boolean, Choice, List, Text};
    vec![
        Parameter {
            default: Some(json!(direction)),
            ..row(
                "direction",
                Choice,
                Some(DIRECTIONS),
                "what leaves the target, what arrives at it, or both",
            )
        },
        row("address", List, Some(PREFIXES), "only this peer"),
        row(
            "host",
            List,
            None,
            "only this peer by name, looked up again while the fault is in place",
        ),
        row("port", List, Some(PORTS), "only this port, of either side"),
        row(
            "remote-port",
            List,
            Some(PORTS),
            "only this port of the peer",
        ),
        row(
            "local-port",
            List,
            Some(PORTS),
            "only this port of the target",
        ),
        row("protocol", Choice, Some(PROTOCOLS), "only this protocol"),
        row(
            "interface",
            Text,
            None,
            "only by this interface; without address and interface, loopback is spared",
        ),
        Parameter {
            default: Some(json!(false)),
            ..row(
                "ssh",
                Boolean,
                None,
                "hit TCP port 22, too; else it is spared on both sides",
            )
        },
    ]
}

/// Those of `parameters` that a fault has which asks for fewer.
pub(crate) fn some_parameters(names: &[&str]) -> Vec<Parameter> {
    let mut some = parameters("both");
    some.push(percent_parameter());
    some.retain(|parameter| names.contains(&parameter.name));
    some
}

/// What the catalogue says of `percent`.
pub(crate) fn percent_parameter() -> Parameter {
    Parameter {
        name: "percent",
        kind: ParameterKind::Number,
        unit: Some("%"),
        bounds: Some("above 0, at most 100"),
        default: Some(json!(100)),
        required: false,
        summary: "of the packets that match everything else, each by its own throw",
    }
}

fn row(
    name: &'static str,
    kind: ParameterKind,
    bounds: Option<&'static str>,
    summary: &'static str,
) -> Parameter {
    Parameter {
        name,
        kind,
        unit: None,
        bounds,
        default: None,
        required: false,
        summary,
    }
}
