//! Loses questions about some names: their servers never hear them.

use firedrill_undo::Primitive;
use firedrill_worker::queue::DnsAction;
use serde_json::{Map, Value};

use super::dns::{self, Questions};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::Entry;
use crate::fault::{CompileError, Disturbance, Kind, Site};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(DnsBlock::parse(arguments)?)),
};

const NAME: &str = "switching.dns-block";

/// `switching.dns-block`
#[derive(Clone, Debug, PartialEq)]
pub struct DnsBlock(Questions);

impl DnsBlock {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &dns::names(&[]));
        let questions = Questions::read(&mut read);
        read.finish()?;
        Ok(Self(questions))
    }
}

impl Disturbance for DnsBlock {
    fn hosts(&self) -> Vec<String> {
        self.0.filter.hosts().to_vec()
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        self.0.compile(&DnsAction::Block, site)
    }
}

fn entry() -> Entry {
    dns::entry(
        NAME,
        "loses questions about names, so that clients wait for their time-outs",
        Vec::new(),
        "the share of DNS questions that was lost; without one for its names it had no effect",
        "name=*.example.com",
    )
}
