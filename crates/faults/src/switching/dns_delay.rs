//! Holds questions about some names back.

use std::time::Duration;

use firedrill_undo::Primitive;
use firedrill_worker::queue::DnsAction;
use serde_json::{Map, Value};

use super::dns::{self, Questions};
use super::row::required;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind};
use crate::fault::{CompileError, Disturbance, Kind, Site};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(DnsDelay::parse(arguments)?)),
};

const NAME: &str = "switching.dns-delay";

/// Longer, and every client has given up.
const LONGEST: Duration = Duration::from_secs(60);

/// `switching.dns-delay`
#[derive(Clone, Debug, PartialEq)]
pub struct DnsDelay {
    questions: Questions,
    delay: Duration,
}

impl DnsDelay {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &dns::names(&["delay"]));
        let questions = Questions::read(&mut read);
        let delay = read.duration("delay", LONGEST);
        let delay = read.require("delay", delay, "how long questions are held, such as 2s");
        read.finish()?;
        Ok(Self { questions, delay })
    }
}

impl Disturbance for DnsDelay {
    fn hosts(&self) -> Vec<String> {
        self.questions.filter.hosts().to_vec()
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        self.questions.compile(&DnsAction::Delay(self.delay), site)
    }
}

fn entry() -> Entry {
    let delay = required(
        "delay",
        ParameterKind::Duration,
        "above 0, at most 1m",
        "how long each question is held",
    );
    dns::entry(
        NAME,
        "holds questions about names back",
        vec![delay],
        "the share of DNS questions that was held; without one for its names it had no effect",
        "name=* delay=2s",
    )
}
