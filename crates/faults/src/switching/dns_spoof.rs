//! Answers questions about some names with other addresses.

use std::net::IpAddr;

use firedrill_undo::Primitive;
use firedrill_worker::queue::DnsAction;
use serde_json::{Map, Value, json};

use super::dns::{self, Questions};
use super::filter;
use super::row::{required, row};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind};
use crate::fault::{CompileError, Disturbance, Kind, Site};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(DnsSpoof::parse(arguments)?)),
};

const NAME: &str = "switching.dns-spoof";

const ANSWERS: &str = "1 to 16 addresses, as a list or alone";

/// As many as fit into a datagram of 512 bytes with room to spare.
const MOST: usize = 16;

const TTL: &str = "a whole number of seconds, at most 3600";

/// `switching.dns-spoof`
#[derive(Clone, Debug, PartialEq)]
pub struct DnsSpoof {
    questions: Questions,
    answers: Vec<IpAddr>,
    ttl: u32,
}

impl DnsSpoof {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &dns::names(&["answer", "ttl"]));
        let questions = Questions::read(&mut read);
        let answers = read.read("answer", ANSWERS, |value| {
            let found = filter::list(value, |one| one.as_str()?.trim().parse().ok())?;
            (found.len() <= MOST).then_some(found)
        });
        let answers = read.require("answer", answers, "the addresses to answer with");
        let ttl = read.whole("ttl", 0..=3600, TTL);
        read.finish()?;
        Ok(Self {
            questions,
            answers,
            ttl: ttl.and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or(0),
        })
    }
}

impl Disturbance for DnsSpoof {
    fn hosts(&self) -> Vec<String> {
        self.questions.filter.hosts().to_vec()
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        let v4 = self.answers.iter().filter_map(|answer| match answer {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        });
        let v6 = self.answers.iter().filter_map(|answer| match answer {
            IpAddr::V6(address) => Some(*address),
            IpAddr::V4(_) => None,
        });
        let action = DnsAction::Spoof {
            v4: v4.collect(),
            v6: v6.collect(),
            ttl: self.ttl,
        };
        self.questions.compile(&action, site)
    }
}

fn entry() -> Entry {
    let own = vec![
        required(
            "answer",
            ParameterKind::List,
            ANSWERS,
            "questions for A get the IPv4 ones, for AAAA the IPv6 ones, others an empty answer; a \
             question over TCP is lost instead",
        ),
        row(
            "ttl",
            ParameterKind::Number,
            TTL,
            Some(json!(0)),
            "how long clients may keep the answer: above 0 it outlives the fault in their caches",
        ),
    ];
    dns::entry(
        NAME,
        "answers questions about names with other addresses",
        own,
        "the share of DNS messages that was changed; without one for its names it had no effect",
        "name=db.internal answer=192.0.2.1",
    )
}
