//! Delays packets: by a time, with jitter of a distribution, in correlation with the one before.

use std::time::Duration;

use firedrill_worker::queue::Distribution;
use firedrill_worker::queue::shape::Shape;
use serde_json::{Map, Value, json};

use super::filter::{self, Filter};
use super::row::{required, row};
use super::shaping::{self, Shaping, Told};
use super::share;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind};
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
    let correlation = share::correlation(&mut read);
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
            delay_correlation: correlation.unwrap_or(0.0),
            distribution: distribution.unwrap_or_default(),
            ..Shape::default()
        },
    })
}

fn entry() -> Entry {
    let parameters = vec![
        required(
            "delay",
            ParameterKind::Duration,
            "above 0, at most 10m",
            "how much later packets come",
        ),
        row(
            "jitter",
            ParameterKind::Duration,
            "above 0, at most 10m",
            None,
            "how far delays lie from their mean; packets overtake one another",
        ),
        share::correlation_parameter("how much each delay resembles the one before"),
        row(
            "distribution",
            ParameterKind::Choice,
            DISTRIBUTIONS,
            Some(json!("uniform")),
            "of the jitter: within it, or with it as the standard deviation",
        ),
        filter::percent_parameter(),
    ];
    shaping::entry(Told {
        name: NAME,
        summary: "delays packets, with jitter of a distribution",
        parameters,
        observed_effect: "how long packets were held, from the clock of the queue, with its \
                          interval; with netem, which keeps no times, the packets that were led \
                          into it",
        example: "delay=50ms jitter=10ms",
    })
}
