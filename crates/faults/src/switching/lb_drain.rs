//! Has a load balancer leave servers out.

use firedrill_undo::haproxy::{Balanced, Server};
use firedrill_undo::{HaproxyError, OutOfUse, Primitive};
use serde_json::{Map, Value};

use super::balancer::{self, Balancer, NAMES, Pattern, several};
use super::row::required;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind};
use crate::fault::{CompileError, Disturbance, Kind, Site};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(LbDrain::parse(arguments)?)),
};

const NAME: &str = "switching.lb-drain";

const BACKENDS: &str = "the name of a backend";

/// `switching.lb-drain`
#[derive(Clone, Debug, PartialEq)]
pub struct LbDrain {
    balancer: Balancer,
    backend: String,
    servers: Vec<Pattern>,
}

impl LbDrain {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let known = [&Balancer::KNOWN[..], &["backend", "server"]].concat();
        let mut read = Arguments::new(NAME, arguments, &known);
        let balancer = Balancer::parse(&mut read, OutOfUse::Drain, false);
        let backend = read.read("backend", BACKENDS, |value| {
            let name = value.as_str()?;
            Server::is_name(name).then(|| name.to_owned())
        });
        let backend = read.require("backend", backend, BACKENDS);
        let servers = read.read("server", NAMES, Pattern::list);
        let servers = read.require("server", servers, "which of its servers");
        read.finish()?;
        Ok(Self {
            balancer,
            backend,
            servers,
        })
    }

    fn choose<'a>(&self, all: &'a [Balanced]) -> Result<Vec<&'a Balanced>, HaproxyError> {
        let own: Vec<&Balanced> = all
            .iter()
            .filter(|one| one.server.backend == self.backend)
            .collect();
        if own.is_empty() {
            return Err(HaproxyError::NoBackend {
                backend: self.backend.clone(),
                present: several(all.iter().map(|one| one.server.backend.as_str())),
            });
        }
        let is_meant = |one: &&Balanced| Pattern::any(&self.servers, &one.server.name);
        let chosen: Vec<&Balanced> = own.iter().copied().filter(is_meant).collect();
        if chosen.is_empty() {
            return Err(HaproxyError::NothingMatches {
                place: format!("backend {}", self.backend),
                wanted: Pattern::in_words(&self.servers),
                present: several(own.iter().map(|one| one.server.name.as_str())),
            });
        }
        Ok(chosen)
    }
}

impl Disturbance for LbDrain {
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, _site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        self.balancer.take_out(|all| self.choose(all))
    }
}

fn entry() -> Entry {
    let own = [
        required("backend", ParameterKind::Text, BACKENDS, "whose servers"),
        required(
            "server",
            ParameterKind::List,
            NAMES,
            "which are left out; what is out of use already stays as it is",
        ),
    ];
    balancer::entry(
        (
            NAME,
            "has a load balancer (HAProxy) send servers no new sessions",
            "backend=web server=web-1",
        ),
        own.into(),
        Balancer::parameters("drain", false),
    )
}
