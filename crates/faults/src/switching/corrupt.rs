//! Flips a bit in packets, and leaves their checksums as they were.

use firedrill_worker::queue::random::Share;
use firedrill_worker::queue::shape::Shape;
use serde_json::{Map, Value};

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

const NAME: &str = "switching.corrupt";

const OWN: [&str; 3] = ["percent", "correlation", "mechanism"];

fn parse(arguments: &Map<String, Value>) -> Result<Shaping, FaultError> {
    let mut read = Arguments::new(NAME, arguments, &filter::names(&OWN));
    let percent = read.percent("percent");
    let share = read.require("percent", percent, "how many packets are corrupted") / 100.0;
    let correlation = read.number("correlation", 0.0..100.0, "a number from 0 to below 100");
    let mechanism = shaping::mechanism(&mut read);
    let filter = Filter::read(&mut read);
    read.finish()?;
    Ok(Shaping {
        filter,
        mechanism,
        shape: Shape {
            corrupt: Share {
                share,
                correlation: correlation.unwrap_or(0.0) / 100.0,
            },
            ..Shape::default()
        },
    })
}

fn entry() -> Entry {
    let row = |name, bounds, required, summary| Parameter {
        name,
        kind: ParameterKind::Number,
        unit: Some("%"),
        bounds: Some(bounds),
        default: None,
        required,
        summary,
    };
    let mut parameters = vec![
        row(
            "percent",
            "above 0, at most 100",
            true,
            "how many packets are corrupted",
        ),
        row(
            "correlation",
            "0 to below 100",
            false,
            "how much each decision resembles the one before",
        ),
        shaping::mechanism_parameter(),
    ];
    parameters.extend(filter::parameters("egress"));
    Entry {
        name: NAME,
        layer: "switching",
        summary: "flips one bit of a packet; what checks checksums drops it",
        targets: rules::TARGETS.to_vec(),
        parameters,
        needs: shaping::NEEDS.to_vec(),
        mechanisms: shaping::MECHANISMS.to_vec(),
        recovery_path: shaping::RECOVERY,
        undo: UndoClass::Reversible,
        observed_effect: "the share of matching packets that was corrupted, with its interval; with \
                          netem, the packets that were led past it",
        example: "percent=2",
    }
}
