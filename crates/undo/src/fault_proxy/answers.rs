//! What a fault proxy says, as far as it is asked for here.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A route: where it listens, where it leads, and what is on it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Route {
    pub name: String,
    pub listen: String,
    pub upstream: String,
    pub enabled: bool,
    /// `tcp` where nothing is said, as in a Toxiproxy.
    #[serde(default = "tcp")]
    pub protocol: String,
    #[serde(default)]
    pub toxics: Vec<Toxic>,
    #[serde(default)]
    pub split: Option<Split>,
}

fn tcp() -> String {
    "tcp".into()
}

/// A toxic, as both sides write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Toxic {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// `upstream` or `downstream`.
    pub stream: String,
    /// The share that it falls on, 0 to 1.
    pub toxicity: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Arm>,
    #[serde(default)]
    pub attributes: Map<String, Value>,
}

/// One of the two shares of a route that is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    Control,
    Experiment,
}

/// How a route is divided into arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Of each arm, above 0 to 0.5.
    pub share: f64,
    /// `connection`, `client`, `header:NAME` or `cookie:NAME`.
    pub by: String,
    pub name: String,
    /// Splits of several routes that name the same draw put the same user into the same arm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<String>,
    /// Whether users are counted besides requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<CountUsers>,
}

/// How users are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountUsers {
    /// Milliseconds that a user is watched at most, before it counts.
    pub epoch: u64,
}

/// What requests got since their route was enabled, arm by arm.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Arms {
    pub none: Requests,
    pub control: Requests,
    pub experiment: Requests,
    /// None where they are not counted.
    #[serde(default)]
    pub users: Option<Users>,
}

/// The users of both arms since the arms have the faults that they have, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Users {
    /// Another number is another count, which began at zero.
    pub run: u64,
    pub control: Met,
    pub experiment: Met,
    /// Users that there is room for.
    pub most: u64,
    /// Answers to users for whom there was no room.
    pub left_out: u64,
}

/// How many users met no bad answer, and how many did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Met {
    pub well: u64,
    pub badly: u64,
}

/// Raw counts of requests that have their answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Requests {
    pub well: u64,
    pub badly: u64,
    /// Of either, those whose answer was a fault's.
    pub by_faults: u64,
    /// `(seconds that the longest of a bucket took, how many)`, shortest first.
    pub times: Vec<(f64, u64)>,
}

/// A place that a route leads to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Endpoint {
    pub address: SocketAddr,
    #[serde(default)]
    pub zone: Option<String>,
    pub drained: bool,
    /// What its checks say; none before the first.
    pub healthy: Option<bool>,
    /// Seconds that it is still left alone.
    pub ejected: f64,
}

/// What passed through a route since it was enabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Connections ever accepted; none where that is not counted, as in a Toxiproxy.
    pub connections: Option<u64>,
    /// Bytes that came from clients, and from the upstream.
    pub received: [u64; 2],
}

impl Requests {
    #[must_use]
    pub fn total(&self) -> u64 {
        self.well.saturating_add(self.badly)
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut times = std::collections::BTreeMap::new();
        for (end, count) in self.times.iter().chain(&other.times) {
            // Ends are not negative, so their bits have their order.
            *times.entry(end.to_bits()).or_insert(0_u64) += count;
        }
        Self {
            well: self.well.saturating_add(other.well),
            badly: self.badly.saturating_add(other.badly),
            by_faults: self.by_faults.saturating_add(other.by_faults),
            times: times
                .into_iter()
                .map(|(bits, count)| (f64::from_bits(bits), count))
                .collect(),
        }
    }

    /// What came since an earlier look; none if anything has become fewer, as after a restart.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let mut times = self.times.clone();
        for (end, before) in &earlier.times {
            let bucket = times.iter_mut().find(|(other, _)| other == end)?;
            bucket.1 = bucket.1.checked_sub(*before)?;
        }
        times.retain(|(_, count)| *count > 0);
        Some(Self {
            well: self.well.checked_sub(earlier.well)?,
            badly: self.badly.checked_sub(earlier.badly)?,
            by_faults: self.by_faults.checked_sub(earlier.by_faults)?,
            times,
        })
    }
}

impl Met {
    /// What came since an earlier look; none if anything has become fewer.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Self> {
        Some(Self {
            well: self.well.checked_sub(earlier.well)?,
            badly: self.badly.checked_sub(earlier.badly)?,
        })
    }
}

impl Arms {
    /// The requests of this arm; of all together where none is named.
    #[must_use]
    pub fn of(&self, arm: Option<Arm>) -> Requests {
        match arm {
            Some(Arm::Control) => self.control.clone(),
            Some(Arm::Experiment) => self.experiment.clone(),
            None => self.none.and(&self.control).and(&self.experiment),
        }
    }
}

impl Endpoint {
    /// Whether traffic goes elsewhere because of it.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.drained || self.ejected > 0.0 || self.healthy == Some(false)
    }
}

impl Streams {
    /// From Prometheus' text; none where bytes of this route are not counted.
    pub(super) fn read(text: &str, route: &str) -> Option<Self> {
        let route = route
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let own = format!("proxy=\"{route}\"");
        let mut streams = Self::default();
        let mut counted = false;
        for line in text.lines() {
            let Some((name, rest)) = line.split_once('{') else {
                continue;
            };
            let Some((labels, value)) = rest.rsplit_once("} ") else {
                continue;
            };
            let is_own = labels.split(',').any(|label| label == own);
            // Toxiproxy writes large counts as 1.5e+06.
            let Some(value) = value.trim().parse::<f64>().ok().filter(|_| is_own) else {
                continue;
            };
            let value = value as u64;
            match name {
                "toxiproxy_proxy_received_bytes_total" => {
                    counted = true;
                    let way = usize::from(labels.contains("direction=\"downstream\""));
                    if let Some(sum) = streams.received.get_mut(way) {
                        *sum += value;
                    }
                }
                "firedrill_proxy_connections_total" => streams.connections = Some(value),
                _ => {}
            }
        }
        counted.then_some(streams)
    }
}

/// What an error says, as far as it says it to people.
pub(super) fn words(body: &[u8]) -> String {
    const MOST: usize = 300;
    let said: Option<Value> = serde_json::from_slice(body).ok();
    let error = said.as_ref().and_then(|said| said["error"].as_str());
    let text = error.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MOST).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(well: u64, times: &[(f64, u64)]) -> Requests {
        Requests {
            well,
            times: times.to_vec(),
            ..Requests::default()
        }
    }

    #[test]
    fn a_difference_is_what_came_between_and_never_of_counts_that_fell() {
        let before = requests(5, &[(0.001, 4), (0.1, 1)]);
        let after = requests(9, &[(0.001, 6), (0.05, 2), (0.1, 1)]);
        assert_eq!(
            after.since(&before),
            Some(requests(4, &[(0.001, 2), (0.05, 2)]))
        );
        assert_eq!(before.since(&after), None);
        assert_eq!(requests(9, &[(0.001, 9)]).since(&before), None);
        let both = before.and(&after);
        assert_eq!(both, requests(14, &[(0.001, 10), (0.05, 2), (0.1, 2)]));
    }

    #[test]
    fn streams_are_read_from_the_text_of_either_proxy() {
        let ours = "toxiproxy_proxy_received_bytes_total{direction=\"downstream\",listener=\"127.0.0.1:1\",proxy=\"shop\",upstream=\"127.0.0.1:2\"} 70\n\
                    toxiproxy_proxy_received_bytes_total{direction=\"upstream\",listener=\"x\",proxy=\"shop\",upstream=\"y\"} 7\n\
                    toxiproxy_proxy_received_bytes_total{direction=\"upstream\",listener=\"x\",proxy=\"shop2\",upstream=\"y\"} 9\n\
                    firedrill_proxy_connections_total{listener=\"x\",proxy=\"shop\",upstream=\"y\"} 3\n";
        let read = Streams::read(ours, "shop").unwrap();
        assert_eq!((read.received, read.connections), ([7, 70], Some(3)));
        let theirs = "toxiproxy_proxy_received_bytes_total{direction=\"downstream\",listener=\"x\",proxy=\"shop\",upstream=\"y\"} 1.5e+06\n";
        let read = Streams::read(theirs, "shop").unwrap();
        assert_eq!((read.received, read.connections), ([0, 1_500_000], None));
        assert_eq!(Streams::read(ours, "other"), None);
    }

    #[test]
    fn errors_are_words() {
        assert_eq!(
            words(b"{\"error\":\"proxy not found\",\"status\":404}\n"),
            "proxy not found"
        );
        assert_eq!(words(b"<h1>\r\nno</h1>"), "<h1>  no</h1>");
    }
}
