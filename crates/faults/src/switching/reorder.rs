//! Lets some packets go ahead of the others, which are delayed.

use std::time::Duration;

use firedrill_worker::queue::shape::{Reorder as Ahead, Shape};
use serde_json::{Map, Value, json};

use super::filter::{self, Filter};
use super::row::row;
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

const NAME: &str = "switching.reorder";

const OWN: [&str; 5] = ["percent", "correlation", "delay", "gap", "mechanism"];

const LONGEST: Duration = Duration::from_secs(60);

const DELAY: Duration = Duration::from_millis(10);

fn parse(arguments: &Map<String, Value>) -> Result<Shaping, FaultError> {
    let mut read = Arguments::new(NAME, arguments, &filter::names(&OWN));
    let share = share::read(&mut read, "how many packets go ahead");
    let delay = read.duration("delay", LONGEST);
    let gap = read.whole("gap", 1..=1_000_000, "a whole number from 1 to 1000000");
    let mechanism = shaping::mechanism(&mut read);
    let filter = Filter::read(&mut read);
    read.finish()?;
    Ok(Shaping {
        filter,
        mechanism,
        shape: Shape {
            delay: delay.unwrap_or(DELAY),
            reorder: Some(Ahead {
                share,
                gap: gap.and_then(|gap| u32::try_from(gap).ok()).unwrap_or(1),
            }),
            ..Shape::default()
        },
    })
}

fn entry() -> Entry {
    let mut parameters = share::parameters("how many packets go ahead of the delayed ones");
    parameters.extend([
        row(
            "delay",
            ParameterKind::Duration,
            "above 0, at most 1m",
            Some(json!("10ms")),
            "of the packets that do not go ahead",
        ),
        row(
            "gap",
            ParameterKind::Number,
            "1 to 1000000",
            Some(json!(1)),
            "only every so-manieth packet may go ahead",
        ),
    ]);
    shaping::entry(Told {
        name: NAME,
        summary: "lets some packets go ahead of the others, which are delayed",
        parameters,
        observed_effect: "the share of matching packets that went ahead, with its interval; with \
                          netem, the packets that were led past it",
        example: "percent=25 delay=20ms",
    })
}
