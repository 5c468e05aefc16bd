//! Sends packets twice.

use firedrill_worker::queue::shape::Shape;
use serde_json::{Map, Value};

use super::filter::{self, Filter};
use super::shaping::{self, Shaping, Told};
use super::share;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::Entry;
use crate::fault::Kind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(parse(arguments)?)),
};

const NAME: &str = "switching.duplicate";

const OWN: [&str; 3] = ["percent", "correlation", "mechanism"];

fn parse(arguments: &Map<String, Value>) -> Result<Shaping, FaultError> {
    let mut read = Arguments::new(NAME, arguments, &filter::names(&OWN));
    let share = share::read(&mut read, "how many packets are duplicated");
    let mechanism = shaping::mechanism(&mut read);
    let filter = Filter::read(&mut read);
    read.finish()?;
    Ok(Shaping {
        filter,
        mechanism,
        shape: Shape {
            duplicate: share,
            ..Shape::default()
        },
    })
}

fn entry() -> Entry {
    shaping::entry(Told {
        name: NAME,
        summary: "sends packets twice",
        parameters: share::parameters("how many packets are duplicated"),
        observed_effect: "the share of matching packets that was duplicated, with its interval; with \
                          netem, the packets that were led past it",
        example: "percent=2",
    })
}
