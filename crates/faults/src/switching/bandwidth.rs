//! Lets only so many bytes a second through.

use firedrill_worker::queue::shape::{Rate, Shape};
use serde_json::{Map, Value, json};

use super::filter::{self, Filter};
use super::row::{required, row};
use super::shaping::{self, Shaping, Told};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind};
use crate::fault::Kind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(parse(arguments)?)),
};

const NAME: &str = "switching.bandwidth";

const OWN: [&str; 5] = ["rate", "burst", "overhead", "percent", "mechanism"];

const OVERHEAD: &str = "a whole number, -256 to 256";

fn parse(arguments: &Map<String, Value>) -> Result<Shaping, FaultError> {
    let mut read = Arguments::new(NAME, arguments, &filter::names(&OWN));
    let rate = read.size("rate");
    let rate = read.require("rate", rate, "bytes per second, such as 1MiB");
    let burst = read.size("burst");
    let overhead = read.read("overhead", OVERHEAD, |value| {
        let bytes = i32::try_from(value.as_i64()?).ok()?;
        (-256..=256).contains(&bytes).then_some(bytes)
    });
    let mechanism = shaping::mechanism(&mut read);
    let filter = Filter::read_with_percent(&mut read);
    read.finish()?;
    Ok(Shaping {
        filter,
        mechanism,
        shape: Shape {
            rate: Some(Rate {
                bytes_per_second: rate,
                packet_overhead: overhead.unwrap_or(0),
                burst: burst.unwrap_or(0),
            }),
            ..Shape::default()
        },
    })
}

fn entry() -> Entry {
    let parameters = vec![
        required(
            "rate",
            ParameterKind::Size,
            "above 0",
            "bytes per second that pass, for all matching packets together",
        ),
        row(
            "burst",
            ParameterKind::Size,
            "above 0; nfqueue only, which auto then takes",
            None,
            "bytes that an idle link may send at once",
        ),
        row(
            "overhead",
            ParameterKind::Number,
            OVERHEAD,
            Some(json!(0)),
            "bytes counted on top of every packet: 14 for Ethernet",
        ),
        filter::percent_parameter(),
    ];
    shaping::entry(Told {
        name: NAME,
        summary: "lets only so many bytes a second through",
        parameters,
        observed_effect: "bytes per second that passed while there were more, with its interval; \
                          with netem, the packets that were led into it",
        example: "rate=1MiB",
    })
}
