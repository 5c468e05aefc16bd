//! Which canaries the routes of a proxy suggest, the most telling first, in the manner of Monocle.
//!
//! For each route three experiments: its failure (weight 3), a delay that leaves its clients' time-out
//! just enough (2), and a delay beyond it (1). `criticality = share of the busiest route's requests ×
//! (1 + tries again)`, `score = criticality × weight`; where it would not be safe, or could not be
//! answered, the score is below zero, and it is not proposed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use firedrill_undo::ControlApi;
use firedrill_undo::fault_proxy::{Requests, Route};
use serde_json::{Value, json};

/// How long a proxy may take to say all it has.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where nobody says what the time-out of a route's clients is.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Of each arm: two of them are within what a proxy lets into arms.
const SHARE: f64 = 0.05;
/// Requests per arm after which one in a hundred worse is told from none.
const NEEDED: f64 = 4000.0;
/// A route that fails this often is not well.
const BAD_MAX: f64 = 0.01;
/// Longer than this nobody waits.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// A route as it was for a while.
#[derive(Debug, Clone)]
pub struct Seen {
    pub route: Route,
    /// What came in that time; none where the proxy counts no requests.
    pub requests: Option<Requests>,
    /// A place that is left alone, if there is one.
    pub out: Option<SocketAddr>,
}

/// What no proxy can see, by route.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Of its clients.
    pub timeouts: BTreeMap<String, Duration>,
    pub retries: BTreeMap<String, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Experiment {
    Failure,
    LateWithin(Duration),
    LateBeyond(Duration),
}

/// One canary, and why it is where it is.
#[derive(Debug, Clone)]
pub struct Proposal {
    pub route: String,
    pub experiment: Experiment,
    /// Above zero: to be run.
    pub score: f64,
    pub reason: String,
    /// A document for `firedrill canary`.
    pub document: Value,
}

/// Looks at every route for so long.
///
/// # Errors
/// When the proxy does not answer.
pub fn watch(
    api: SocketAddr,
    time: Duration,
    rest: impl FnOnce(Duration),
) -> Result<Vec<Seen>, String> {
    let before = look(api)?;
    rest(time);
    let now = look(api)?;
    let since = |route: &Route| {
        let of = |all: &[Seen]| {
            let found = all.iter().find(|one| one.route.name == route.name);
            found.and_then(|one| one.requests.clone())
        };
        of(&now)?.since(&of(&before)?)
    };
    let all = now.iter().map(|one| Seen {
        requests: since(&one.route),
        ..one.clone()
    });
    Ok(all.collect())
}

fn look(api: SocketAddr) -> Result<Vec<Seen>, String> {
    let api = ControlApi::at(api, PATIENCE);
    let told = |error: firedrill_undo::ProxyError| crate::chain(&error);
    let mut all = Vec::new();
    for route in api.routes().map_err(told)? {
        if !route.enabled {
            continue;
        }
        let counted = !matches!(route.protocol.as_str(), "tcp" | "udp");
        let requests = match counted {
            true => api.arms(&route.name).map_err(told)?,
            false => None,
        };
        let places = api.endpoints(&route.name).map_err(told)?;
        let failing = |place: &&firedrill_undo::fault_proxy::Endpoint| {
            place.ejected > 0.0 || place.healthy == Some(false) && !place.drained
        };
        all.push(Seen {
            requests: requests.map(|arms| arms.of(None)),
            out: places.iter().find(failing).map(|place| place.address),
            route,
        });
    }
    Ok(all)
}

/// Every experiment for every route, the highest score first.
#[must_use]
pub fn propose(seen: &[Seen], time: Duration, known: &Known, proxy: &str) -> Vec<Proposal> {
    let busiest = seen
        .iter()
        .filter_map(|one| one.requests.as_ref())
        .map(Requests::total)
        .max();
    let busiest = busiest.unwrap_or(0).max(1) as f64;
    let mut all: Vec<Proposal> = seen
        .iter()
        .flat_map(|one| of_route(one, time, busiest, known, proxy))
        .collect();
    // Stable, so that what is equal stays in the order of routes and weights.
    all.sort_by(|one, other| other.score.total_cmp(&one.score));
    all
}

fn of_route(
    seen: &Seen,
    time: Duration,
    busiest: f64,
    known: &Known,
    proxy: &str,
) -> Vec<Proposal> {
    let name = &seen.route.name;
    let given = known.timeouts.get(name).copied();
    let timeout = given.unwrap_or(TIMEOUT);
    let requests = seen.requests.clone().unwrap_or_default();
    let p99 = quantile(&requests, 0.99);
    // A tenth of the time-out is left for what varies.
    let within = timeout.mul_f64(0.9).saturating_sub(p99);
    let beyond = timeout.mul_f64(1.2);
    let retries = known.retries.get(name).copied().unwrap_or(0);
    let share = requests.total() as f64 / busiest;
    let unsafe_because = why_not(seen, &requests, time);
    let is_http = matches!(seen.route.protocol.as_str(), "http" | "http2");
    let mut experiments = Vec::new();
    if is_http {
        experiments.push((Experiment::Failure, 3.0));
    }
    if within >= Duration::from_millis(1) {
        experiments.push((Experiment::LateWithin(within), 2.0));
    }
    experiments.push((Experiment::LateBeyond(beyond), 1.0));
    let each = experiments.into_iter().map(|(experiment, weight)| {
        let criticality = share * (1.0 + f64::from(retries));
        let size = (criticality * weight).max(0.01);
        let traffic = format!(
            "{:.0} % of the busiest route's requests{}",
            share * 100.0,
            match retries {
                0 => String::new(),
                tries => format!(", each tried {tries} more"),
            }
        );
        let times = match (experiment, given) {
            (Experiment::Failure, _) => String::new(),
            (_, Some(_)) => format!("; time-out {}, p99 {}", in_ms(timeout), in_ms(p99)),
            (_, None) => format!(
                "; p99 {}, time-out not told: {} taken",
                in_ms(p99),
                in_ms(timeout)
            ),
        };
        Proposal {
            route: name.clone(),
            experiment,
            score: match unsafe_because {
                None => size,
                Some(_) => -size,
            },
            reason: match &unsafe_because {
                None => format!("{traffic}{times}"),
                Some(why) => format!("not now: {why}"),
            },
            document: document(seen, experiment, time, &requests, proxy),
        }
    });
    each.collect()
}

/// Why it would not be safe, or could not be answered.
fn why_not(seen: &Seen, requests: &Requests, time: Duration) -> Option<String> {
    let bad = requests.badly as f64 / requests.total().max(1) as f64;
    if seen.requests.is_none() {
        return Some("its requests are not counted; make the route with its protocol".into());
    }
    if requests.total() == 0 {
        return Some("no request came".into());
    }
    if let Some(place) = seen.out {
        return Some(format!("{place} is failing"));
    }
    if bad > BAD_MAX {
        return Some(format!("{:.1} % of its requests fail already", bad * 100.0));
    }
    if let Some(toxic) = seen.route.toxics.first() {
        return Some(format!("the toxic {} is on it", toxic.name));
    }
    if seen.route.split.is_some() {
        return Some("it is divided already".into());
    }
    let needed = needed(requests, time);
    (needed > LONGEST).then(|| {
        format!(
            "at {:.1} requests/s an answer takes {:.0} h",
            requests.total() as f64 / time.as_secs_f64().max(1e-3),
            needed.as_secs_f64() / 3600.0
        )
    })
}

/// How long both arms take to have enough requests.
fn needed(requests: &Requests, time: Duration) -> Duration {
    let rate = requests.total() as f64 / time.as_secs_f64().max(1e-3) * SHARE;
    Duration::try_from_secs_f64(NEEDED / rate.max(1e-9)).unwrap_or(Duration::MAX)
}

fn quantile(requests: &Requests, share: f64) -> Duration {
    let all: u64 = requests.times.iter().map(|(_, count)| count).sum();
    let rank = ((all as f64 * share).ceil() as u64).max(1);
    let mut seen = 0;
    let found = requests.times.iter().find(|(_, count)| {
        seen += count;
        seen >= rank
    });
    let seconds = found.map_or(0.0, |(end, _)| *end);
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn document(
    seen: &Seen,
    experiment: Experiment,
    time: Duration,
    requests: &Requests,
    proxy: &str,
) -> Value {
    let route = &seen.route.name;
    let arguments = json!({"proxy": proxy, "route": route, "arm": "experiment"});
    let mut arguments = arguments.as_object().cloned().unwrap_or_default();
    let (fault, title) = match experiment {
        Experiment::Failure => {
            arguments.insert("status".into(), json!(503));
            ("application.http-error", format!("{route} fails"))
        }
        Experiment::LateWithin(delay) | Experiment::LateBeyond(delay) => {
            let delay = format!("{}ms", delay.as_millis());
            let title = format!("{route} answers {delay} later");
            arguments.insert("delay".into(), json!(delay));
            ("application.latency", title)
        }
    };
    let max = needed(requests, time)
        .mul_f64(1.5)
        .clamp(Duration::from_secs(300), LONGEST * 2)
        .as_secs();
    json!({
        "title": title,
        "description": "Proposed by `firedrill canary propose`, from what its proxy had counted.",
        "tags": ["canary"],
        "blast-radius": {"targets-max": 1, "duration-max": format!("{}s", max + 60)},
        "method": [{
            "type": "action",
            "name": title,
            "provider": {
                "type": "fault", "name": fault, "target": {"host": true},
                "duration": format!("{max}s"), "arguments": arguments,
            },
        }],
        "canary": {
            "split": {"share": SHARE, "by": "connection"},
            "kpis": [{"name": route, "success-ratio": {"tolerance": 0.01}}],
            "baseline": "30s",
            "duration": {"min": "60s", "max": format!("{max}s")},
        },
    })
}

impl std::fmt::Display for Experiment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failure => f.write_str("failure"),
            Self::LateWithin(delay) => write!(f, "late by {}, within", in_ms(*delay)),
            Self::LateBeyond(delay) => write!(f, "late by {}, beyond", in_ms(*delay)),
        }
    }
}

fn in_ms(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use firedrill_experiment::document::{Experiment as Document, Strictness};

    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    fn seen(name: &str, well: u64, badly: u64) -> Seen {
        let route = json!({
            "name": name, "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2", "enabled": true,
            "protocol": "http",
        });
        Seen {
            route: serde_json::from_value(route).unwrap(),
            requests: Some(Requests {
                well,
                badly,
                by_faults: 0,
                times: vec![(0.04, well + badly)],
            }),
            out: None,
        }
    }

    #[test]
    fn more_traffic_more_tries_and_failure_come_first_and_what_is_not_well_last() {
        let mut known = Known::default();
        known
            .timeouts
            .insert("payments".into(), Duration::from_millis(250));
        known.retries.insert("web".into(), 1);
        let all = [
            seen("payments", 1000, 0),
            seen("web", 1000, 0),
            seen("mail", 900, 100),
        ];
        let all = propose(&all, TIME, &known, "http://127.0.0.1:8474");
        let first: Vec<_> = all
            .iter()
            .take(3)
            .map(|one| (one.route.as_str(), one.experiment))
            .collect();
        assert_eq!(first[0], ("web", Experiment::Failure));
        assert_eq!(first[1].0, "web");
        assert_eq!(first[2], ("payments", Experiment::Failure));
        let near = Experiment::LateWithin(Duration::from_millis(185));
        assert!(
            all.iter()
                .any(|one| one.route == "payments" && one.experiment == near)
        );
        for one in &all {
            assert_eq!(one.score < 0.0, one.route == "mail", "{one:?}");
            Document::from_value(one.document.clone(), Strictness::Strict).unwrap();
        }
        assert!(
            all.last()
                .unwrap()
                .reason
                .contains("10.0 % of its requests fail")
        );
    }

    #[test]
    fn what_cannot_be_counted_or_answered_is_told() {
        let mut bytes = seen("raw", 0, 0);
        bytes.requests = None;
        let reasons: Vec<String> = [bytes, seen("idle", 0, 0), seen("slow", 1, 0)]
            .iter()
            .map(|one| why_not(one, &one.requests.clone().unwrap_or_default(), TIME).unwrap())
            .collect();
        assert!(reasons[0].contains("not counted"), "{reasons:?}");
        assert!(reasons[1].contains("no request"), "{reasons:?}");
        assert!(reasons[2].contains("an answer takes"), "{reasons:?}");
    }
}
