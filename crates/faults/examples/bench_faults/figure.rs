use std::time::Duration;

use serde_json::{Value, json};

/// One figure, as every benchmark of the project prints it, and what else belongs to it.
pub(crate) struct Figure<'a> {
    pub(crate) bench: &'a str,
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) unit: &'a str,
    /// What was asked for, or another tool's figure in the same run.
    pub(crate) peer: Option<(&'a str, f64)>,
    /// More of it: tries, an interval, the goal.
    pub(crate) also: Value,
}

impl Figure<'_> {
    pub(crate) fn print(&self) {
        let mut object = json!({
            "bench": self.bench,
            "metric": self.metric,
            "value": self.value,
            "unit": self.unit,
            "peer": self.peer.map(|(name, _)| name),
            "peer_value": self.peer.map(|(_, value)| value),
            "ratio": self.peer.map(|(_, value)| self.value / value),
        });
        if let (Some(object), Some(also)) = (object.as_object_mut(), self.also.as_object()) {
            object.extend(also.clone());
        }
        println!("{object}");
    }
}

/// Prints median, 99th percentile and maximum of times.
pub(crate) fn print_times(bench: &str, metric: &str, samples: &[Duration]) {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        if let Some(sample) = quantile(&sorted, share) {
            Figure {
                bench,
                metric: format!("{metric}.{name}"),
                value: sample.as_secs_f64() * 1e3,
                unit: "ms",
                peer: None,
                also: json!({"tries": sorted.len(), "load": load()}),
            }
            .print();
        }
    }
}

/// A table of the manual, as Markdown.
pub(crate) struct Table<const N: usize>(pub(crate) [&'static str; N]);

impl<const N: usize> Table<N> {
    pub(crate) fn head(&self) {
        self.row(&self.0.map(str::to_owned));
        self.row(&self.0.map(|_| "---".to_owned()));
    }

    pub(crate) fn row(&self, cells: &[String; N]) {
        println!("| {} |", cells.join(" | "));
    }
}

/// Median and 99th percentile in milliseconds.
pub(crate) fn cell(samples: &[Duration]) -> String {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let at = |share| quantile(&sorted, share).map(|sample| sample.as_secs_f64() * 1e3);
    match (at(0.5), at(0.99)) {
        (Some(middle), Some(late)) => format!("{} / {}", in_short(middle), in_short(late)),
        _ => "–".into(),
    }
}

/// With two digits or, if it is larger, whole.
fn in_short(value: f64) -> String {
    let places = usize::from(value < 10.0) + usize::from(value < 1.0);
    format!("{value:.places$}")
}

/// How many tasks wanted a processor in the last minute: nobody measures alone.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next();
    first
        .filter(|word| !word.is_empty())
        .unwrap_or("–")
        .to_owned()
}

/// By nearest rank, of sorted samples.
pub(crate) fn quantile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let rank = (sorted.len() as f64 * share).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}
