//! Has a load balancer leave out every server of a zone.

use firedrill_kernel::nftables::Prefix;
use firedrill_undo::haproxy::Balanced;
use firedrill_undo::{HaproxyError, OutOfUse, Primitive};
use serde_json::{Map, Value};

use super::balancer::{self, Balancer, NAMES, Pattern, several, within};
use super::filter;
use super::row::row;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind};
use crate::fault::{CompileError, Disturbance, Kind, Site};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(ZoneEvacuate::parse(arguments)?)),
};

const NAME: &str = "switching.zone-evacuate";

const NETWORKS: &str = "an address, a prefix such as 10.0.0.0/8, or a list of them";

/// `switching.zone-evacuate`
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneEvacuate {
    balancer: Balancer,
    zone: Zone,
    /// Empty: all.
    backends: Vec<Pattern>,
}

/// What the servers of a zone have in common.
#[derive(Clone, Debug, PartialEq)]
enum Zone {
    Names(Vec<Pattern>),
    Networks(Vec<Prefix>),
}

impl ZoneEvacuate {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let known = [&Balancer::KNOWN[..], &["zone", "network", "backend"]].concat();
        let mut read = Arguments::new(NAME, arguments, &known);
        let balancer = Balancer::parse(&mut read, OutOfUse::Maint, true);
        let names = read.read("zone", NAMES, Pattern::list);
        let networks = read.read("network", NETWORKS, |value| {
            filter::list(value, |one| one.as_str()?.trim().parse().ok())
        });
        let backends = read.read("backend", NAMES, Pattern::list);
        match (read.get("zone").is_some(), read.get("network").is_some()) {
            (true, true) => read.mistake(FaultError::Exclusive {
                owner: NAME,
                first: "zone",
                second: "network",
            }),
            (false, false) => read.mistake(FaultError::Missing {
                owner: NAME,
                name: "zone",
                what: "the names of its servers, or their `network`",
            }),
            _ => {}
        }
        read.finish()?;
        Ok(Self {
            balancer,
            zone: match networks {
                Some(networks) => Zone::Networks(networks),
                None => Zone::Names(names.unwrap_or_default()),
            },
            backends: backends.unwrap_or_default(),
        })
    }

    fn choose<'a>(&self, all: &'a [Balanced]) -> Result<Vec<&'a Balanced>, HaproxyError> {
        let is_asked = |one: &&Balanced| {
            self.backends.is_empty() || Pattern::any(&self.backends, &one.server.backend)
        };
        let asked: Vec<&Balanced> = all.iter().filter(is_asked).collect();
        let is_in_zone = |one: &&Balanced| match &self.zone {
            Zone::Names(names) => Pattern::any(names, &one.server.name),
            Zone::Networks(networks) => within(networks, one.address),
        };
        let chosen: Vec<&Balanced> = asked.iter().copied().filter(is_in_zone).collect();
        if !chosen.is_empty() {
            return Ok(chosen);
        }
        let names: Vec<String> = asked.iter().map(|one| one.server.to_string()).collect();
        Err(HaproxyError::NothingMatches {
            place: if self.backends.is_empty() {
                "any backend".into()
            } else {
                format!("backend {}", Pattern::in_words(&self.backends))
            },
            wanted: match &self.zone {
                Zone::Names(names) => format!("named {}", Pattern::in_words(names)),
                Zone::Networks(networks) => {
                    let texts: Vec<String> = networks.iter().map(ToString::to_string).collect();
                    format!("in {}", texts.join(", "))
                }
            },
            present: several(names.iter().map(String::as_str)),
        })
    }
}

impl Disturbance for ZoneEvacuate {
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, _site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        self.balancer.take_out(|all| self.choose(all))
    }
}

fn entry() -> Entry {
    let own = [
        row(
            "zone",
            ParameterKind::List,
            NAMES,
            None,
            "names of the zone's servers, in every backend; or else `network`",
        ),
        row(
            "network",
            ParameterKind::List,
            NETWORKS,
            None,
            "addresses of the zone's servers",
        ),
        row(
            "backend",
            ParameterKind::List,
            NAMES,
            None,
            "only in these backends",
        ),
    ];
    balancer::entry(
        (
            NAME,
            "has a load balancer (HAProxy) leave out every server of a zone, and ends their sessions",
            "zone=*-a",
        ),
        own.into(),
        Balancer::parameters("maint", true),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<ZoneEvacuate, FaultError> {
        ZoneEvacuate::parse(value.as_object().unwrap())
    }

    #[test]
    fn a_zone_is_told_by_names_or_by_addresses_and_not_by_both() {
        assert!(parse(json!({"zone": "*-a"})).is_ok());
        assert!(parse(json!({"network": ["10.1.0.0/16", "fd00::/8"]})).is_ok());
        let none = parse(json!({})).unwrap_err();
        assert!(none.to_string().contains("or their `network`"), "{none}");
        let both = parse(json!({"zone": "*-a", "network": "10.1.0.0/16"})).unwrap_err();
        assert!(matches!(both, FaultError::Exclusive { .. }), "{both}");
    }

    #[test]
    fn without_a_haproxy_it_is_refused() {
        let nowhere = json!({"zone": "*-a", "socket": "/does/not/exist"});
        let error = parse(nowhere).unwrap().compile(&Site::of(&[])).unwrap_err();
        assert!(error.to_string().contains("no HAProxy"), "{error}");
    }
}
