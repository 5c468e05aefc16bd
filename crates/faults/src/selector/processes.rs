//! Which processes a fault hits.
//!
//! ```json
//! {"label": {"zone": "2"}, "percent": 50, "of": {"label": {"app": "shop"}}}
//! ```
//! `pid`, `pids`, `name`, `command`, `label` and `container` (as [`super::Containers`] read it) must
//! all hold; `count` or `percent` then chooses
//! among what matches, by the seed.
//!
//! `of` names the population that the blast radius counts. Without it, that is the services to
//! which the matching processes belong: everything healthy with the same labels `app` and `role`;
//! and for processes without the label `app`, just what matches.
//!
//! Never chosen, whatever matches: PID 1, kernel threads, Firedrill's own parts and the ancestors
//! of the caller, and what is stopped or frozen already.

use std::collections::{BTreeMap, BTreeSet};

use fancy_regex::Regex;
use firedrill_kernel::ProcessIdentity;
use serde::Serialize;
use serde_json::{Map, Value};

use super::candidate::{Candidate, Onlooker, SpareReason};
use super::{OWNER, Selection, SelectorError, containers};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::blast_radius::{Member, Refused, share};
use crate::target::{ProcessTarget, Target};

/// A choice of processes.
#[derive(Clone, Debug)]
pub struct Processes {
    criteria: Criteria,
    amount: Amount,
    population: Option<Criteria>,
}

/// One process that matches and is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spared {
    pub pid: u32,
    pub name: String,
    pub why: SpareReason,
}

#[derive(Clone, Debug, Default)]
struct Criteria {
    pids: Option<Vec<u32>>,
    name: Option<String>,
    command: Option<Regex>,
    labels: BTreeMap<String, String>,
    inside: Option<containers::Criteria>,
}

/// How many of those that match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Amount {
    All,
    Count(usize),
    Percent(f64),
}

const CRITERIA: [&str; 6] = ["pid", "pids", "name", "command", "label", "container"];

impl Processes {
    pub(super) fn parse(map: &Map<String, Value>) -> Result<Self, FaultError> {
        let known: Vec<&'static str> = CRITERIA
            .into_iter()
            .chain(["count", "percent", "of"])
            .collect();
        let mut read = Arguments::new(OWNER, map, &known);
        let criteria = Criteria::read(&mut read);
        let amount = amount(&mut read);
        let population = match read.get("of") {
            None => None,
            Some(Value::Object(of)) => match Criteria::parse(of) {
                Ok(criteria) => Some(criteria),
                Err(error) => {
                    read.mistake(error);
                    None
                }
            },
            Some(other) => {
                read.wrong(
                    "of",
                    other,
                    "an object such as {\"label\": {\"app\": \"shop\"}}",
                );
                None
            }
        };
        read.finish()?;
        Ok(Self {
            criteria,
            amount,
            population,
        })
    }

    /// Whether a property of processes is named, and not only the container they are in.
    pub(super) fn is_meant(map: &Map<String, Value>) -> bool {
        let mut own = CRITERIA.iter().filter(|name| **name != "container");
        own.any(|name| map.contains_key(*name))
    }

    pub(super) fn select(&self, seed: u64) -> Result<Selection, SelectorError> {
        let onlooker = Onlooker::here()?;
        let mut matched = Vec::new();
        let mut spared = Vec::new();
        let mut services = BTreeSet::new();
        let criteria = self.criteria.looked_up()?;
        for candidate in Candidate::all()? {
            if !criteria.matches(&candidate)? {
                continue;
            }
            match onlooker.spares(&candidate) {
                Some(why) => spared.push(Spared {
                    pid: candidate.pid(),
                    name: candidate.name().to_owned(),
                    why,
                }),
                None => {
                    services.extend(candidate.service());
                    matched.push(candidate.into_target()?);
                }
            }
        }
        self.refuse_missing_pids(&matched, &spared)?;
        if matched.is_empty() {
            let spared = spared.len();
            return Err(Refused::NothingMatches { spared }.into());
        }
        let mut population: BTreeSet<Member> = matched.iter().map(member).collect();
        match &self.population {
            Some(named) => {
                let named = named.looked_up()?;
                population.extend(healthy(&onlooker, |found| named.matches(found))?);
            }
            None if services.is_empty() => {}
            None => population.extend(healthy(&onlooker, |found| {
                Ok(found
                    .service()
                    .is_some_and(|service| services.contains(&service)))
            })?),
        }
        let chosen = self.choose(&matched, seed);
        if chosen.is_empty() {
            let matched = matched.len();
            return Err(Refused::RoundsToNothing { matched }.into());
        }
        let targets = |processes: Vec<ProcessTarget>| processes.into_iter().map(Target::Process);
        Ok(Selection {
            chosen: targets(chosen).collect(),
            matched: targets(matched).collect(),
            population,
            spared,
        })
    }

    pub(super) fn amount_max(&self) -> Option<usize> {
        self.amount.max()
    }

    fn choose(&self, matched: &[ProcessTarget], seed: u64) -> Vec<ProcessTarget> {
        let count = self.amount.of(matched.len());
        let mut ranked: Vec<&ProcessTarget> = matched.iter().collect();
        ranked.sort_by_key(|target| (rank(seed, &target.identity), target.identity));
        let mut chosen: Vec<ProcessTarget> = ranked.into_iter().take(count).cloned().collect();
        chosen.sort_by_key(|target| target.identity);
        chosen
    }

    /// A pid that was named must be hit: to hit the others only is not what was asked.
    fn refuse_missing_pids(
        &self,
        matched: &[ProcessTarget],
        spared: &[Spared],
    ) -> Result<(), Refused> {
        for pid in self.criteria.pids.iter().flatten() {
            if let Some(spared) = spared.iter().find(|spared| spared.pid == *pid) {
                return Err(Refused::NamedButSpared {
                    spared: spared.clone(),
                });
            }
            if !matched.iter().any(|target| target.identity.pid == *pid) {
                return Err(Refused::NamedButGone { pid: *pid });
            }
        }
        Ok(())
    }
}

impl Amount {
    /// Of this many that match.
    pub(super) fn of(self, matched: usize) -> usize {
        match self {
            Self::All => matched,
            Self::Count(count) => count.min(matched),
            Self::Percent(percent) => share(matched, percent),
        }
    }

    /// The most that it can be, where that is said.
    pub(super) fn max(self) -> Option<usize> {
        match self {
            Self::Count(count) => Some(count),
            Self::All | Self::Percent(_) => None,
        }
    }
}

/// Criteria, with the containers that they name looked up.
struct LookedUp<'a> {
    criteria: &'a Criteria,
    inside: Option<Vec<String>>,
}

impl LookedUp<'_> {
    fn matches(&self, candidate: &Candidate) -> Result<bool, SelectorError> {
        if !self.criteria.matches(candidate)? {
            return Ok(false);
        }
        match &self.inside {
            None => Ok(true),
            Some(ids) => Ok(candidate.is_inside_any(ids)?),
        }
    }
}

impl Criteria {
    fn looked_up(&self) -> Result<LookedUp<'_>, SelectorError> {
        let inside = self.inside.as_ref().map(containers::Criteria::ids);
        Ok(LookedUp {
            criteria: self,
            inside: inside.transpose()?,
        })
    }

    fn parse(map: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(OWNER, map, &CRITERIA);
        let criteria = Self::read(&mut read);
        read.finish()?;
        Ok(criteria)
    }

    fn read(read: &mut Arguments<'_>) -> Self {
        if CRITERIA.iter().all(|name| read.get(name).is_none()) {
            read.mistake(FaultError::Missing {
                owner: OWNER,
                name: "a criterion",
                what: "one of pid, pids, name, command, label, container",
            });
        }
        let one = read.read("pid", "a process id", process_id);
        let many = read.read("pids", "a list of process ids", |value| {
            let pids: Option<Vec<u32>> = value.as_array()?.iter().map(process_id).collect();
            pids.filter(|pids| !pids.is_empty())
        });
        let name = read.read("name", "the name of a program", |value| {
            value
                .as_str()
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
        });
        let command = read.read("command", "a regular expression", |value| {
            Regex::new(value.as_str().filter(|pattern| !pattern.is_empty())?).ok()
        });
        let labels = read.read(
            "label",
            "an object of labels, such as {\"zone\": \"2\"}",
            labels,
        );
        let inside = containers::Criteria::read(read, "container");
        let pids = match (one, many) {
            (None, many) => many,
            (Some(one), many) => Some(many.into_iter().flatten().chain([one]).collect()),
        };
        Self {
            pids,
            name,
            command,
            labels: labels.unwrap_or_default(),
            inside,
        }
    }

    fn matches(&self, candidate: &Candidate) -> Result<bool, SelectorError> {
        if self
            .pids
            .as_ref()
            .is_some_and(|pids| !pids.contains(&candidate.pid()))
        {
            return Ok(false);
        }
        if self
            .name
            .as_ref()
            .is_some_and(|name| !candidate.is_called(name))
        {
            return Ok(false);
        }
        if let Some(pattern) = &self.command {
            let matches =
                pattern
                    .is_match(candidate.command())
                    .map_err(|error| SelectorError::Pattern {
                        pattern: pattern.as_str().to_owned(),
                        pid: candidate.pid(),
                        why: error.to_string(),
                    })?;
            if !matches {
                return Ok(false);
            }
        }
        Ok(self.labels.is_empty() || candidate.has_labels(&self.labels))
    }
}

/// Reads `count` and `percent`.
pub(super) fn amount(read: &mut Arguments<'_>) -> Amount {
    let count = read.read("count", "a whole number from 1", |value| {
        usize::try_from(value.as_u64()?)
            .ok()
            .filter(|count| *count > 0)
    });
    let percent = read.read("percent", "a number above 0, at most 100", |value| {
        value
            .as_f64()
            .filter(|percent| *percent > 0.0 && *percent <= 100.0)
    });
    if count.is_some() && percent.is_some() {
        read.mistake(FaultError::Exclusive {
            owner: OWNER,
            first: "count",
            second: "percent",
        });
    }
    match (count, percent) {
        (Some(count), _) => Amount::Count(count),
        (None, Some(percent)) => Amount::Percent(percent),
        (None, None) => Amount::All,
    }
}

fn member(process: &ProcessTarget) -> Member {
    Member::Process(process.identity)
}

/// The processes that belong, and may be hit.
fn healthy(
    onlooker: &Onlooker,
    belongs: impl Fn(&Candidate) -> Result<bool, SelectorError>,
) -> Result<Vec<Member>, SelectorError> {
    let mut found = Vec::new();
    for candidate in Candidate::all()? {
        if belongs(&candidate)? && onlooker.spares(&candidate).is_none() {
            found.push(member(&candidate.into_target()?));
        }
    }
    Ok(found)
}

fn process_id(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok().filter(|pid| *pid > 0)
}

pub(super) fn labels(value: &Value) -> Option<BTreeMap<String, String>> {
    let labels: Option<BTreeMap<String, String>> = value
        .as_object()?
        .iter()
        .map(|(key, value)| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                _ => return None,
            };
            Some((key.clone(), text))
        })
        .collect();
    labels.filter(|labels| !labels.is_empty())
}

/// A process's place in the order of choice: splitmix64 (Steele, Lea, Flood 2014) over the seed
/// and its identity.
pub(super) fn rank(seed: u64, identity: &ProcessIdentity) -> u64 {
    let mix = |state: u64| {
        let z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    mix(mix(mix(seed) ^ u64::from(identity.pid)) ^ identity.start)
}

#[cfg(test)]
mod tests;
