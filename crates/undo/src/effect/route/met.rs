//! Whether anybody met a toxic, and by how much: what the proxy counts, since it is there.

use firedrill_worker::{Measurement, Quantity};

use crate::effect::Observed;
use crate::fault_proxy::{Arm, Arms, ControlApi, ProxyError, Requests, Streams, Toxic};

/// The counts when the toxic was just there.
#[derive(Debug)]
pub(super) struct Baseline {
    arms: Option<Arms>,
    streams: Option<Streams>,
}

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Below, a normal interval says too little of a mean.
const SAMPLES_MIN: u64 = 10;

/// How unlikely it has to be that a toxic for a share fell on none of so many streams.
const UNMET_MAX: f64 = 0.01;

impl Baseline {
    pub(super) fn of(api: &ControlApi, route: &str, toxic: &Toxic) -> Result<Self, ProxyError> {
        let (arms, streams) = look(api, route, toxic)?;
        Ok(Self { arms, streams })
    }

    pub(super) fn compare(
        &self,
        api: &ControlApi,
        route: &str,
        toxic: &Toxic,
        observed: &mut Observed,
    ) -> Result<(), ProxyError> {
        let (arms, streams) = look(api, route, toxic)?;
        match (&self.arms, arms, &self.streams, streams) {
            (Some(before), Some(now), _, _) => of_requests(before, &now, toxic, observed),
            (_, _, Some(before), Some(now)) => of_streams(before, &now, toxic, observed),
            _ => observed.idle.push(
                "nobody counts what passes the proxy (start a Toxiproxy with -proxy-metrics)"
                    .into(),
            ),
        }
        Ok(())
    }
}

/// Requests are counted where the toxic is on requests, streams where it is on streams.
fn look(
    api: &ControlApi,
    route: &str,
    toxic: &Toxic,
) -> Result<(Option<Arms>, Option<Streams>), ProxyError> {
    if is_on_requests(toxic) {
        return Ok((api.arms(route)?, None));
    }
    Ok((None, api.streams(route)?))
}

/// Toxics of streams have other names: `latency`, `reset_peer`.
fn is_on_requests(toxic: &Toxic) -> bool {
    toxic.kind.ends_with("_delay")
        || toxic.kind.ends_with("_abort")
        || toxic.kind.ends_with("_error")
        || toxic.kind == "http_reset"
}

fn of_requests(before: &Arms, now: &Arms, toxic: &Toxic, observed: &mut Observed) {
    let past = before.of(toxic.arm);
    let Some(since) = now.of(toxic.arm).since(&past) else {
        let idle = "the proxy's counts fell: it was started anew";
        observed.idle.push(idle.into());
        return;
    };
    let delay = toxic.kind.ends_with("_delay").then(|| delay_ms(toxic));
    let met = match delay {
        // A bucket is told by its longest.
        // Those that ended sooner ended because of it: their callers gave up.
        Some((delay, jitter)) => {
            slower_than((delay - jitter) / 1000.0, &since).saturating_add(since.by_faults)
        }
        None => since.by_faults,
    };
    if met == 0 {
        observed.idle.push(if since.total() == 0 {
            "no request has come to the route since".into()
        } else {
            format!("none of {} requests since met it", since.total())
        });
        return;
    }
    let is_for_all = !toxic.attributes.contains_key("path");
    let asked = is_for_all.then_some(toxic.toxicity);
    let total = since.total().max(met);
    observed
        .measured
        .extend(Measurement::share(Quantity::ShareMet, asked, met, total));
    let Some((delay, _)) = delay.filter(|_| is_for_all && toxic.toxicity == 1.0) else {
        return;
    };
    // The arm beside it, at the same time; else what the route was before.
    let other = match toxic.arm {
        Some(Arm::Experiment) => now.control.since(&before.control),
        Some(Arm::Control) => now.experiment.since(&before.experiment),
        None => Some(past),
    };
    let added = other.and_then(|other| added(delay, &other, &since));
    observed.measured.extend(added);
}

fn slower_than(seconds: f64, requests: &Requests) -> u64 {
    let slow = requests.times.iter().filter(|(end, _)| *end >= seconds);
    slow.map(|(_, count)| count).sum()
}

fn delay_ms(toxic: &Toxic) -> (f64, f64) {
    let of = |name| {
        toxic
            .attributes
            .get(name)
            .and_then(serde_json::Value::as_f64)
    };
    (of("latency").unwrap_or(0.0), of("jitter").unwrap_or(0.0))
}

/// The difference of two means of times in ms, with Welch's error.
fn added(asked: f64, without: &Requests, with: &Requests) -> Option<Measurement> {
    let ((less, error), (more, other)) = (mean_ms(without)?, mean_ms(with)?);
    let half = Z * (error + other).sqrt();
    let achieved = more - less;
    Some(Measurement {
        quantity: Quantity::AddedDelay,
        requested: Some(asked),
        achieved,
        low: achieved - half,
        high: achieved + half,
        samples: with.times.iter().map(|(_, count)| count).sum(),
    })
}

/// The mean, and the square of its error. A bucket stands for the middle of its times: it is 1/32 of
/// them wide.
fn mean_ms(requests: &Requests) -> Option<(f64, f64)> {
    const MIDDLE: f64 = 1000.0 * (1.0 - 1.0 / 64.0);
    let count: u64 = requests.times.iter().map(|(_, count)| count).sum();
    if count < SAMPLES_MIN {
        return None;
    }
    let n = count as f64;
    let sum = |of: &dyn Fn(f64) -> f64| -> f64 {
        let times = requests.times.iter();
        times
            .map(|(end, count)| of(end * MIDDLE) * *count as f64)
            .sum()
    };
    let mean = sum(&|time| time) / n;
    let spread = sum(&|time| (time - mean).powi(2));
    Some((mean, spread / (n - 1.0) / n))
}

fn of_streams(before: &Streams, now: &Streams, toxic: &Toxic, observed: &mut Observed) {
    let way = usize::from(toxic.stream == "downstream");
    let of = |streams: &Streams| streams.received.get(way).copied().unwrap_or(0);
    let connections = match (before.connections, now.connections) {
        (Some(before), Some(now)) => now.checked_sub(before),
        _ => None,
    };
    let Some(bytes) = of(now).checked_sub(of(before)) else {
        let idle = "the proxy's counts fell: it was started anew";
        observed.idle.push(idle.into());
        return;
    };
    if bytes == 0 {
        let idle = "nothing has passed the route since";
        observed.idle.push(idle.into());
        return;
    }
    let unmet = (1.0 - toxic.toxicity).powf(connections.unwrap_or(0) as f64);
    if toxic.toxicity < 1.0 && unmet > UNMET_MAX {
        observed.idle.push(format!(
            "{} connections have come since: that it fell on one of them is not sure",
            connections.map_or_else(|| "uncounted".into(), |count| count.to_string())
        ));
        return;
    }
    let figure = Measurement::exact(Quantity::BytesMet, None, bytes as f64);
    observed.measured.push(figure);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn toxic(kind: &str, toxicity: f64, arm: Option<Arm>) -> Toxic {
        let attributes = json!({"latency": 100, "jitter": 10});
        Toxic {
            name: "one".into(),
            kind: kind.into(),
            stream: "downstream".into(),
            toxicity,
            arm,
            attributes: attributes.as_object().unwrap().clone(),
        }
    }

    fn requests(times: &[(f64, u64)], by_faults: u64) -> Requests {
        Requests {
            well: times.iter().map(|(_, count)| count).sum(),
            badly: 0,
            by_faults,
            times: times.to_vec(),
        }
    }

    fn seen(before: &Arms, now: &Arms, toxic: &Toxic) -> Observed {
        let mut observed = Observed::default();
        of_requests(before, now, toxic, &mut observed);
        observed
    }

    #[test]
    fn late_requests_are_those_that_took_the_delay_and_the_added_time_is_over_the_other_arm() {
        let now = Arms {
            none: requests(&[(0.2, 50)], 0),
            control: requests(&[(0.01, 100)], 0),
            experiment: requests(&[(0.01, 20), (0.11, 80)], 0),
            ..Arms::default()
        };
        let experiment = Some(Arm::Experiment);
        let one = seen(
            &Arms::default(),
            &now,
            &toxic("http_delay", 1.0, experiment),
        );
        assert_eq!(one.idle, Vec::<String>::new());
        let [share, added] = &one.measured[..] else {
            panic!("{one:?}");
        };
        assert_eq!((share.quantity, share.achieved), (Quantity::ShareMet, 0.8));
        // 80 ms in the mean, each bucket told by its middle.
        assert!(
            (added.achieved - 80.0 * 63.0 / 64.0).abs() < 0.01,
            "{added:?}"
        );
        assert!(added.low < added.achieved && added.achieved < added.high);
    }

    #[test]
    fn callers_that_gave_up_on_a_late_answer_have_met_it() {
        let before = Arms::default();
        let mut now = before.clone();
        // Ended after 50 ms of the 100 ms.
        now.none = Requests {
            badly: 7,
            well: 0,
            ..requests(&[(0.05, 7)], 7)
        };
        let gave_up = seen(&before, &now, &toxic("http_delay", 1.0, None));
        assert_eq!(gave_up.idle, Vec::<String>::new());
        let share = gave_up
            .measured
            .iter()
            .find(|one| one.quantity == Quantity::ShareMet);
        assert_eq!(share.map(|share| share.achieved), Some(1.0), "{gave_up:?}");
    }

    #[test]
    fn what_nobody_met_is_idle() {
        let before = Arms {
            none: requests(&[(0.01, 10)], 0),
            ..Arms::default()
        };
        let same = seen(&before, &before, &toxic("http_abort", 1.0, None));
        assert!(same.idle[0].contains("no request has come"), "{same:?}");
        let mut now = before.clone();
        now.none = requests(&[(0.01, 30)], 0);
        let past = seen(&before, &now, &toxic("http_abort", 1.0, None));
        assert!(past.idle[0].contains("none of 20"), "{past:?}");
        let late = seen(&before, &now, &toxic("http_delay", 1.0, None));
        assert!(late.idle[0].contains("none of 20"), "{late:?}");
        let anew = seen(&now, &before, &toxic("http_abort", 1.0, None));
        assert!(anew.idle[0].contains("anew"), "{anew:?}");
    }

    #[test]
    fn a_share_of_streams_is_met_when_that_cannot_be_chance() {
        let before = Streams::default();
        let after = |connections, bytes| Streams {
            connections,
            received: [0, bytes],
        };
        let idle = |now: Streams, share| {
            let mut observed = Observed::default();
            of_streams(&before, &now, &toxic("latency", share, None), &mut observed);
            !observed.idle.is_empty()
        };
        assert!(idle(after(Some(3), 0), 1.0));
        assert!(!idle(after(None, 9), 1.0));
        assert!(idle(after(None, 9), 0.5));
        // A first count is none at all.
        let before_counted = Streams {
            connections: Some(0),
            ..before
        };
        for (connections, share, expected) in [(6, 0.5, true), (7, 0.5, false)] {
            let mut observed = Observed::default();
            let now = after(Some(connections), 9);
            of_streams(
                &before_counted,
                &now,
                &toxic("latency", share, None),
                &mut observed,
            );
            assert_eq!(!observed.idle.is_empty(), expected, "{connections}");
        }
    }
}
