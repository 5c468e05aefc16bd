//! Which containers a fault hits.
//!
//! ```json
//! {"container": "web"}
//! {"container": {"label": {"tier": "front"}, "engine": "podman"}, "percent": 50}
//! ```
//! A text is a name, or the beginning of an id where nothing has that name. Of an object, `name`,
//! `id`, `label`, `image` and `engine` must all hold; `count` or `percent` then chooses among what
//! matches, by the seed. `of`, written as `container` is, names the population that the blast
//! radius counts; without it, that is what matches.
//!
//! Never chosen: the container that Firedrill itself runs in, one that holds a part of Firedrill,
//! one that is paused already, and one whose processes are not seen from here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use firedrill_container::{Container, Engine, EngineError, Kind, Selector as Property, State};
use serde_json::{Map, Value};

use super::candidate::{Onlooker, SpareReason};
use super::processes::{Amount, amount, labels, rank};
use super::{OWNER, Selection, SelectorError, Spared, text};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::blast_radius::{Member, Refused};
use crate::target::{ContainerTarget, Target};

/// A choice of containers.
#[derive(Clone, Debug)]
pub struct Containers {
    criteria: Criteria,
    amount: Amount,
    population: Option<Criteria>,
}

/// What a container has to have.
#[derive(Clone, Debug, Default)]
pub(super) struct Criteria {
    /// A name, or else the beginning of an id.
    either: Option<String>,
    properties: Vec<Property>,
    engine: Option<Kind>,
}

/// A container that matches, with the engine that runs it.
struct Found {
    engine: Engine,
    container: Container,
}

const CRITERIA: [&str; 5] = ["name", "id", "label", "image", "engine"];

const EXPECTED: &str =
    "a name, the beginning of an id, or an object with name, id, label, image or engine";

impl Containers {
    pub(super) fn parse(map: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(OWNER, map, &["container", "count", "percent", "of"]);
        let criteria = Criteria::read(&mut read, "container").unwrap_or_default();
        let population = Criteria::read(&mut read, "of");
        let amount = amount(&mut read);
        read.finish()?;
        Ok(Self {
            criteria,
            amount,
            population,
        })
    }

    pub(super) fn select(&self, seed: u64) -> Result<Selection, SelectorError> {
        let mut matched: Vec<ContainerTarget> = Vec::new();
        let mut spared = Vec::new();
        let onlooker = Onlooker::here()?;
        for found in self.criteria.find()? {
            match look(&onlooker, &found)? {
                Look::May(target) if !matched.contains(&target) => matched.push(*target),
                Look::May(_) | Look::Ended => {}
                Look::Spared(one) => spared.push(one),
            }
        }
        if matched.is_empty() {
            let spared = spared.len();
            return Err(Refused::NothingMatches { spared }.into());
        }
        matched.sort_by(|a, b| a.reference.id.cmp(&b.reference.id));
        let member = |target: &ContainerTarget| Member::Container(target.reference.id.clone());
        let mut population: BTreeSet<Member> = matched.iter().map(member).collect();
        if let Some(named) = &self.population {
            population.extend(named.running()?);
        }
        let mut ranked: Vec<&ContainerTarget> = matched.iter().collect();
        ranked.sort_by_key(|target| (rank(seed, &target.process), target.process));
        let count = self.amount.of(matched.len());
        let mut chosen: Vec<ContainerTarget> = ranked.into_iter().take(count).cloned().collect();
        if chosen.is_empty() {
            let matched = matched.len();
            return Err(Refused::RoundsToNothing { matched }.into());
        }
        chosen.sort_by(|a, b| a.reference.id.cmp(&b.reference.id));
        let targets = |containers: Vec<ContainerTarget>| {
            let target = |container| Target::Container(Box::new(container));
            containers.into_iter().map(target).collect()
        };
        Ok(Selection {
            chosen: targets(chosen),
            matched: targets(matched),
            population,
            spared,
        })
    }

    pub(super) fn amount_max(&self) -> Option<usize> {
        self.amount.max()
    }
}

impl Criteria {
    /// `None` when absent or wrong, which is a mistake.
    pub(super) fn read(read: &mut Arguments<'_>, name: &'static str) -> Option<Self> {
        let value = read.get(name)?;
        if let Some(map) = value.as_object().filter(|map| !map.is_empty()) {
            return match Self::parse(map) {
                Ok(criteria) => Some(criteria),
                Err(error) => {
                    read.mistake(error);
                    None
                }
            };
        }
        let either = read.read(name, EXPECTED, text)?;
        Some(Self {
            either: Some(either),
            ..Self::default()
        })
    }

    fn parse(map: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new("container", map, &CRITERIA);
        let mut properties = Vec::new();
        properties.extend(
            read.read("name", "the whole name", text)
                .map(Property::Name),
        );
        properties.extend(
            read.read("id", "the beginning of an id", text)
                .map(Property::Id),
        );
        properties.extend(
            read.read("image", "an image such as nginx or nginx:1.27", text)
                .map(Property::Image),
        );
        let labels: BTreeMap<String, String> = read
            .read(
                "label",
                "an object of labels, such as {\"tier\": \"front\"}",
                labels,
            )
            .unwrap_or_default();
        properties.extend(labels.into_iter().map(|(key, value)| Property::Label {
            key,
            value: Some(value),
        }));
        let engine = read.read("engine", "docker or podman", |value| {
            match value.as_str()? {
                "docker" => Some(Kind::Docker),
                "podman" => Some(Kind::Podman),
                _ => None,
            }
        });
        read.finish()?;
        Ok(Self {
            either: None,
            properties,
            engine,
        })
    }

    /// The full ids of the running containers that match.
    pub(super) fn ids(&self) -> Result<Vec<String>, SelectorError> {
        let found = self.find()?;
        Ok(found.into_iter().map(|found| found.container.id).collect())
    }

    /// Those with processes. An engine that does not answer is an error when no other does, or
    /// when it is the one asked for.
    fn find(&self) -> Result<Vec<Found>, SelectorError> {
        let mut all = Vec::new();
        let mut answered = false;
        let mut failed: Option<EngineError> = None;
        for engine in Engine::found() {
            match self.ask(&engine) {
                Ok(None) => {}
                Ok(Some(containers)) => {
                    answered = true;
                    all.extend(containers);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match (answered, failed) {
            (false, Some(error)) => return Err(SelectorError::Engine(error)),
            (false, None) => return Err(SelectorError::NoEngine),
            (true, _) => {}
        }
        if let Some(either) = &self.either {
            let named = Property::Name(either.clone());
            let begins = Property::Id(either.clone());
            let has_name = all.iter().any(|found| named.matches(&found.container));
            let wanted = if has_name { named } else { begins };
            all.retain(|found| wanted.matches(&found.container));
        }
        Ok(all)
    }

    /// `None` when it is not the engine asked for.
    fn ask(&self, engine: &Engine) -> Result<Option<Vec<Found>>, EngineError> {
        let kind = engine.version()?.kind;
        if self.engine.is_some_and(|wanted| wanted != kind) {
            return Ok(None);
        }
        let engine = Engine::at(kind, engine.socket.clone());
        let containers = engine.select(false, &self.properties)?;
        let found = |container| Found {
            engine: engine.clone(),
            container,
        };
        Ok(Some(containers.into_iter().map(found).collect()))
    }

    /// The healthy ones of a population.
    fn running(&self) -> Result<Vec<Member>, SelectorError> {
        let all = self.find()?.into_iter().map(|found| found.container);
        Ok(all
            .filter(|container| container.state == State::Running)
            .map(|container| Member::Container(container.id))
            .collect())
    }
}

/// A container, looked at more closely.
enum Look {
    May(Box<ContainerTarget>),
    Spared(Spared),
    /// Between the list and the look.
    Ended,
}

fn look(onlooker: &Onlooker, found: &Found) -> Result<Look, SelectorError> {
    let details = match found.engine.inspect(&found.container.id) {
        Ok(details) => details,
        Err(error) if error.is_gone() => return Ok(Look::Ended),
        Err(error) => return Err(SelectorError::Engine(error)),
    };
    let (Some(pid), name) = (details.pid, details.name.clone()) else {
        return Ok(Look::Ended);
    };
    let spared = |why| Ok(Look::Spared(Spared { pid, name, why }));
    if is_own(&details.id) {
        return spared(SpareReason::OwnContainer);
    }
    if details.paused || details.frozen == Some(true) {
        return spared(SpareReason::AlreadyFrozen);
    }
    if onlooker.has_part_in(&details.id)? {
        return spared(SpareReason::OwnPart);
    }
    match ContainerTarget::of(&found.engine, details)? {
        Some(target) => Ok(Look::May(Box::new(target))),
        None => spared(SpareReason::OutOfSight),
    }
}

/// Whether this process runs in that container: its cgroup says so, or, where a cgroup namespace
/// hides that, the files that engines mount into each container.
fn is_own(id: &str) -> bool {
    let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    cgroup.contains(id) || is_mounted_into(&mounts, id)
}

/// Fields 4 and 5 of proc_pid_mountinfo(5): the directory of the origin, and the mount point.
fn is_mounted_into(mounts: &str, id: &str) -> bool {
    const GIVEN: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(3);
        let origin = fields.next().unwrap_or_default();
        let point = fields.next().unwrap_or_default();
        GIVEN.contains(&point) && origin.contains(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(clippy::needless_pass_by_value, reason = "json! at the call sites")]
    fn parse(value: Value) -> Result<Containers, FaultError> {
        Containers::parse(value.as_object().unwrap())
    }

    #[test]
    fn a_text_is_a_name_or_an_id_and_an_object_is_its_properties() {
        let one = parse(json!({"container": "web", "count": 1})).unwrap();
        assert_eq!(one.criteria.either.as_deref(), Some("web"));
        assert_eq!(one.amount_max(), Some(1));
        let many = parse(json!({"container": {
            "name": "web", "id": "01", "label": {"a": "b", "c": 1},
            "image": "nginx", "engine": "podman"}, "percent": 50, "of": {"image": "nginx"}}))
        .unwrap();
        assert_eq!(many.criteria.properties.len(), 5);
        assert_eq!(many.criteria.engine, Some(Kind::Podman));
        assert_eq!(many.population.unwrap().properties.len(), 1);
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let error = parse(json!({
            "container": {"nam": "web", "engine": "lxc", "label": {}},
            "count": 0, "percent": 50, "off": {}}))
        .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("did you mean \"name\"?"), "{text}");
        assert!(text.contains("docker or podman"), "{text}");
        assert!(text.contains("label") && text.contains("count"), "{text}");
        for empty in [json!(""), json!({}), json!([]), json!(true)] {
            assert!(parse(json!({"container": empty})).is_err(), "{empty}");
        }
    }

    #[test]
    fn a_container_knows_itself_by_the_files_that_were_mounted_into_it() {
        let inside = "640 632 254:1 /var/lib/docker/containers/0123ab/hostname /etc/hostname rw - ext4 /dev/a rw";
        let host = "97 29 0:52 / /var/lib/docker/containers/0123ab/mounts/shm rw - tmpfs shm rw";
        assert!(is_mounted_into(inside, "0123ab"));
        assert!(!is_mounted_into(inside, "4567cd"));
        assert!(!is_mounted_into(host, "0123ab"));
    }
}
