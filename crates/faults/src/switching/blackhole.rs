//! Drops packets without a word: the peer seems to be gone.

use firedrill_kernel::nftables::Action;
use firedrill_undo::Primitive;
use serde_json::{Map, Value};

use super::filter::{self, Filter};
use super::rules;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Blackhole::parse(arguments)?)),
};

const NAME: &str = "switching.blackhole";

/// `switching.blackhole`
#[derive(Clone, Debug, PartialEq)]
pub struct Blackhole {
    filter: Filter,
}

impl Blackhole {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &filter::names(&["percent"]));
        let filter = Filter::read_both_ways(&mut read);
        read.finish()?;
        Ok(Self { filter })
    }
}

impl Disturbance for Blackhole {
    fn hosts(&self) -> Vec<String> {
        self.filter.hosts().to_vec()
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        rules::compile(&self.filter, &[(None, Action::Drop)], site)
    }
}

fn entry() -> Entry {
    let mut parameters = vec![filter::percent_parameter()];
    parameters.extend(filter::parameters("both"));
    Entry {
        name: NAME,
        layer: "switching",
        summary: "drops every packet that matches, without a word",
        targets: rules::TARGETS.to_vec(),
        parameters,
        needs: rules::NEEDS.to_vec(),
        mechanisms: vec![rules::MECHANISM],
        recovery_path: rules::RECOVERY,
        undo: UndoClass::Reversible,
        observed_effect: "packets that the rules have dropped, as the kernel counts them",
        example: "address=192.0.2.0/24",
    }
}
