//! What the catalogue says of the parameters that are not of the filter.

use serde_json::json;

use super::{PROTOCOLS, STREAMS};
use crate::catalogue::{Parameter, ParameterKind};
use crate::switching::row::row;

use ParameterKind::{Boolean, Choice, Duration, Number, Size};

const TIME: &str = "above 0, at most 10m";
const SHARE: &str = "above 0, at most 100";

pub(super) fn own() -> Vec<Parameter> {
    let mut all = while_it_flows();
    all.extend(ends());
    all.push(row(
        "protocol",
        Choice,
        PROTOCOLS,
        Some(json!("tcp")),
        "connections, or datagrams and what they are answered",
    ));
    all.push(row(
        "stream",
        Choice,
        STREAMS,
        Some(json!("downstream")),
        "what the server says, what the client says, or both",
    ));
    all
}

fn while_it_flows() -> Vec<Parameter> {
    let percent = |name, summary| Parameter {
        unit: Some("%"),
        ..row(name, Number, SHARE, None, summary)
    };
    vec![
        row(
            "delay",
            Duration,
            TIME,
            None,
            "how much later everything comes",
        ),
        row(
            "jitter",
            Duration,
            TIME,
            None,
            "how far delays lie from their mean; the stream keeps its order",
        ),
        row(
            "rate",
            Size,
            "above 0",
            None,
            "bytes per second of each connection",
        ),
        percent(
            "loss",
            "of the segments are lost: they, and all behind them, come after `stall`",
        ),
        row(
            "stall",
            Duration,
            TIME,
            Some(json!("200ms")),
            "how long until a lost segment is there",
        ),
        percent("corrupt", "of the segments have one bit flipped"),
        row("slice", Size, "above 0", None, "bytes that come at once"),
        row(
            "slice-delay",
            Duration,
            TIME,
            None,
            "between one slice and the next",
        ),
    ]
}

/// Of the connection, or of all that is said.
fn ends() -> Vec<Parameter> {
    vec![
        row(
            "limit",
            Size,
            "above 0",
            None,
            "the connection is closed after so many bytes",
        ),
        row(
            "timeout",
            Duration,
            TIME,
            None,
            "nothing comes, and the connection is closed after this time",
        ),
        row(
            "reset-after",
            Duration,
            TIME,
            None,
            "both sides are reset so long after the first byte",
        ),
        Parameter {
            bounds: None,
            ..row(
                "hang",
                Boolean,
                "",
                Some(json!(false)),
                "nothing comes, and nothing is closed",
            )
        },
        row(
            "slow-close",
            Duration,
            TIME,
            None,
            "how much later the end of the stream comes",
        ),
    ]
}
