//! Delays packets: by a time, with jitter of a distribution, in correlation with the one before.

use std::time::Duration;

use firedrill_worker::queue::Distribution;
use firedrill_worker::queue::shape::Shape;
use serde_json::{Map, Value, json};

use super::filter::{self, Filter};
use super::rules;
use super::shaping::{self, Shaping};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, Parameter, ParameterKind, UndoClass};
use crate::fault::Kind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(parse(arguments)?)),
};

const NAME: &str = "switching.latency";

const OWN: [&str; 6] = [
    "delay",
    "jitter",
    "correlation",
    "distribution",
    "percent",
    "mechanism",
];

const DISTRIBUTIONS: &str = "uniform, normal, pareto or paretonormal";

/// Longer, and every client has given up.
const LONGEST: Duration = Duration::from_secs(600);

fn parse(arguments: &Map<String, Value>) -> Result<Shaping, FaultError> {
    let mut read = Arguments::new(NAME, arguments, &filter::names(&OWN));
    let delay = read.duration("delay", LONGEST);
    let delay = read.require("delay", delay, "how much later packets come, such as 50ms");
    let jitter = read.duration("jitter", LONGEST);
    let correlation = read.number("correlation", 0.0..100.0, "a number from 0 to below 100");
    let distribution = read.read("distribution", DISTRIBUTIONS, |value| {
        Some(match value.as_str()? {
            "uniform" => Distribution::Uniform,
            "normal" => Distribution::Normal,
            "pareto" => Distribution::Pareto,
            "paretonormal" => Distribution::ParetoNormal,
            _ => return None,
        })
    });
    let spread = [
        ("correlation", correlation.is_some()),
        ("distribution", distribution.is_some()),
    ];
    for (name, given) in spread {
        if given && jitter.is_none() && read.get("jitter").is_none() {
            read.mistake(FaultError::Missing {
                owner: NAME,
                name: "jitter",
                what: if name == "correlation" {
                    "a correlation is of the jitter"
                } else {
                    "a distribution is of the jitter"
                },
            });
        }
    }
    let mechanism = shaping::mechanism(&mut read);
    let filter = Filter::read_with_percent(&mut read);
    read.finish()?;
    Ok(Shaping {
        filter,
        mechanism,
        shape: Shape {
            delay,
            jitter: jitter.unwrap_or_default(),
            delay_correlation: correlation.unwrap_or(0.0) / 100.0,
            distribution: distribution.unwrap_or_default(),
            ..Shape::default()
        },
    })
}

fn entry() -> Entry {
    let row = |name, kind, bounds, required, summary| Parameter {
        name,
        kind,
        unit: None,
        bounds: Some(bounds),
        default: None,
        required,
        summary,
    };
    let mut parameters = vec![
        row(
            "delay",
            ParameterKind::Duration,
            "above 0, at most 10m",
            true,
            "how much later packets come",
        ),
        row(
            "jitter",
            ParameterKind::Duration,
            "above 0, at most 10m",
            false,
            "how far delays lie from their mean; packets overtake one another",
        ),
        row(
            "correlation",
            ParameterKind::Number,
            "0 to below 100",
            false,
            "how much each delay resembles the one before, in percent",
        ),
        Parameter {
            default: Some(json!("uniform")),
            ..row(
                "distribution",
                ParameterKind::Choice,
                DISTRIBUTIONS,
                false,
                "of the jitter: within it, or with it as the standard deviation",
            )
        },
        filter::percent_parameter(),
        shaping::mechanism_parameter(),
    ];
    parameters.extend(filter::parameters("egress"));
    Entry {
        name: NAME,
        layer: "switching",
        summary: "delays packets, with jitter of a distribution",
        targets: rules::TARGETS.to_vec(),
        parameters,
        needs: shaping::NEEDS.to_vec(),
        mechanisms: shaping::MECHANISMS.to_vec(),
        recovery_path: shaping::RECOVERY,
        undo: UndoClass::Reversible,
        observed_effect: "how long packets were held, from the clock of the queue, with its \
                          interval; with netem, which keeps no times, the packets that were led \
                          into it",
        example: "delay=50ms jitter=10ms",
    }
}
