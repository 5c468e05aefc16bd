use std::time::Duration;

use serde_json::json;

/// Prints median, 99th percentile and maximum, by nearest rank.
pub(crate) fn print(metric: &str, mut samples: Vec<Duration>) {
    samples.sort_unstable();
    for (name, permille) in [("p50", 500), ("p99", 990), ("max", 1000)] {
        let rank = (samples.len() * permille).div_ceil(1000).max(1);
        let Some(sample) = samples.get(rank - 1) else {
            continue;
        };
        print_value(
            &format!("{metric}.{name}"),
            sample.as_secs_f64() * 1e3,
            "ms",
            samples.len(),
        );
    }
}

pub(crate) fn print_value(metric: &str, value: f64, unit: &str, tries: usize) {
    println!(
        "{}",
        json!({
            "bench": "undo",
            "metric": metric,
            "value": value,
            "unit": unit,
            "peer": null,
            "peer_value": null,
            "ratio": null,
            "tries": tries,
        })
    );
}
