//! Turns answers about some names into errors.

use firedrill_undo::Primitive;
use firedrill_worker::queue::{DnsAction, DnsError as Code};
use serde_json::{Map, Value, json};

use super::dns::{self, Questions};
use super::row::row;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind};
use crate::fault::{CompileError, Disturbance, Kind, Site};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(DnsError::parse(arguments)?)),
};

const NAME: &str = "switching.dns-error";

const ERRORS: &str = "nxdomain, servfail, refused or timeout";

/// `switching.dns-error`
#[derive(Clone, Debug, PartialEq)]
pub struct DnsError {
    questions: Questions,
    action: DnsAction,
}

impl DnsError {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &dns::names(&["error"]));
        let questions = Questions::read(&mut read);
        let action = read.read("error", ERRORS, |value| {
            Some(match value.as_str()?.to_ascii_lowercase().as_str() {
                "nxdomain" => DnsAction::Error(Code::NxDomain),
                "servfail" => DnsAction::Error(Code::ServFail),
                "refused" => DnsAction::Error(Code::Refused),
                "timeout" => DnsAction::Timeout,
                _ => return None,
            })
        });
        read.finish()?;
        Ok(Self {
            questions,
            action: action.unwrap_or(DnsAction::Error(Code::NxDomain)),
        })
    }
}

impl Disturbance for DnsError {
    fn hosts(&self) -> Vec<String> {
        self.questions.filter.hosts().to_vec()
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        self.questions.compile(&self.action, site)
    }
}

fn entry() -> Entry {
    let error = row(
        "error",
        ParameterKind::Choice,
        ERRORS,
        Some(json!("nxdomain")),
        "what the answer becomes; timeout loses the answer, after the server has worked for it; a \
         question over TCP is lost instead",
    );
    dns::entry(
        NAME,
        "turns answers about names into errors",
        vec![error],
        "the share of DNS messages that was changed or lost; without one for its names it had no \
         effect",
        "name=db.internal error=servfail",
    )
}
