//! What is told of the turns: each figure beside the peer's, and the one by the other.

use std::time::Duration;

use serde::Serialize;

use super::stand::Who;

/// One turn of one proxy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) requests_per_second: f64,
    pub(super) bytes_per_second: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    /// Of the proxy, user and kernel.
    pub(super) cpu: Duration,
    /// Of its processor, whoever used it: the kernel's own workers, and everybody else.
    pub(super) busy: Duration,
    pub(super) requests: f64,
    pub(super) resident: u64,
}

/// One figure beside the peer's.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) bench: String,
    pub(super) metric: &'static str,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    pub(super) peer: String,
    pub(super) peer_value: f64,
    /// Ours by theirs; none where they cannot be told from nothing.
    pub(super) ratio: Option<f64>,
}

type Metric = (&'static str, &'static str, fn(&Turn) -> f64);

const METRICS: &[Metric] = &[
    ("requests", "1/s", |t| t.requests_per_second),
    ("throughput", "MB/s", |t| t.bytes_per_second / 1e6),
    ("CPU of a request", "µs", |t| of_each(t.cpu, t)),
    ("busy processor of a request", "µs", |t| of_each(t.busy, t)),
    ("p50", "µs", p50),
    ("p99", "µs", |t| t.p99.as_secs_f64() * 1e6),
    ("resident memory", "MiB", |t| {
        t.resident as f64 / 1_048_576.0
    }),
];

fn p50(turn: &Turn) -> f64 {
    turn.p50.as_secs_f64() * 1e6
}

/// Microseconds.
fn of_each(time: Duration, turn: &Turn) -> f64 {
    time.as_secs_f64() * 1e6 / turn.requests
}

/// Ours beside each of the others, and what a proxy adds to the time of a request beside what
/// another adds.
pub(super) fn rows(bench: &str, fronts: &[Who], turns: &[Vec<Turn>]) -> Vec<Row> {
    let mut rows = Vec::new();
    let direct = fronts.iter().position(|who| *who == Who::Direct);
    let direct = direct.map(|at| &turns[at]);
    for (who, theirs) in fronts.iter().zip(turns).skip(1) {
        let row = |metric, unit, ours: Vec<f64>, theirs: Vec<f64>| Row {
            bench: bench.into(),
            metric,
            value: median(ours.iter().copied()),
            unit,
            peer: who.to_string(),
            peer_value: median(theirs.iter().copied()),
            // Each round is a pair: what the machine did meanwhile fell on both.
            ratio: Some(median(ours.iter().zip(&theirs).map(|(o, t)| o / t))),
        };
        for (metric, unit, figure) in METRICS {
            let each = |turns: &[Turn]| turns.iter().map(figure).collect();
            let row = row(metric, unit, each(&turns[0]), each(theirs));
            // Nobody uses no processor and no memory: there is nothing to compare with.
            if row.ratio.is_some_and(f64::is_finite) {
                rows.push(row);
            }
        }
        if *who == Who::Direct {
            continue;
        }
        if let Some(direct) = direct {
            let added = |turns: &[Turn]| {
                let pairs = turns.iter().zip(direct);
                pairs
                    .map(|(with, without)| p50(with) - p50(without))
                    .collect()
            };
            let (ours, theirs) = (added(&turns[0]), added(theirs));
            let mut row = row("p50 beyond direct", "µs", ours, theirs);
            let noise = spread(direct);
            if row.value <= noise || row.peer_value <= noise {
                row.ratio = None;
            }
            rows.push(row);
        }
    }
    rows
}

/// By how much the p50 differed between rounds, in microseconds: what is less says nothing. Of one
/// round nobody knows.
fn spread(turns: &[Turn]) -> f64 {
    if turns.len() < 2 {
        return f64::INFINITY;
    }
    let most = turns.iter().map(p50).fold(f64::NEG_INFINITY, f64::max);
    let least = turns.iter().map(p50).fold(f64::INFINITY, f64::min);
    most - least
}

pub(super) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

pub(super) fn print(row: &Row, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(row)?);
        return Ok(());
    }
    let Row {
        bench,
        metric,
        value,
        unit,
        peer,
        peer_value,
        ratio,
    } = row;
    let ratio = match ratio {
        Some(ratio) => format!("ratio {ratio:.2}"),
        None => "no ratio, direct itself differs by as much".into(),
    };
    println!("{bench}: {metric} {value:.1} {unit}; {peer} {peer_value:.1}; {ratio}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(p50: u64) -> Turn {
        Turn {
            requests_per_second: 1.0,
            bytes_per_second: 0.0,
            p50: Duration::from_micros(p50),
            p99: Duration::from_micros(p50),
            cpu: Duration::from_micros(10),
            busy: Duration::from_micros(20),
            requests: 2.0,
            resident: 0,
        }
    }

    fn beyond_direct(ours: [u64; 3], theirs: [u64; 3], direct: [u64; 3]) -> Row {
        let fronts = [Who::Firedrill, Who::Haproxy, Who::Direct];
        let turns = [ours, theirs, direct].map(|each| each.map(turn).to_vec());
        let rows = rows("x", &fronts, &turns);
        let beyond = |row: &Row| row.metric == "p50 beyond direct";
        assert_eq!(rows.iter().filter(|row| beyond(row)).count(), 1);
        rows.into_iter().find(beyond).unwrap()
    }

    #[test]
    fn what_is_beyond_direct_has_a_ratio_only_beyond_the_noise() {
        let row = beyond_direct([150, 160, 170], [200, 210, 220], [100, 110, 120]);
        assert_eq!((row.value, row.peer_value), (50.0, 100.0));
        assert_eq!(row.ratio, Some(0.5));
        let noisy = beyond_direct([150, 160, 170], [200, 210, 220], [100, 110, 160]);
        assert_eq!(noisy.ratio, None);
        let quicker = beyond_direct([90, 100, 110], [200, 210, 220], [100, 110, 120]);
        assert_eq!(quicker.ratio, None);
    }

    #[test]
    fn a_processor_is_busy_with_more_than_the_proxy() {
        let fronts = [Who::Firedrill, Who::Haproxy];
        let rows = rows("x", &fronts, &[vec![turn(1)], vec![turn(1)]]);
        let value = |metric| rows.iter().find(|row| row.metric == metric).unwrap().value;
        assert_eq!(value("CPU of a request"), 5.0);
        assert_eq!(value("busy processor of a request"), 10.0);
    }
}
