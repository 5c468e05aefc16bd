use super::*;

fn drawn(distribution: Distribution, correlation: f64, count: usize) -> Vec<f64> {
    let mut spread = Spread::new(distribution);
    let mut random = Random::new(7);
    (0..count)
        .map(|_| spread.draw(100_000_000, 10_000_000, correlation, &mut random) as f64)
        .collect()
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

#[test]
fn uniform_delays_have_the_mean_and_a_deviation_of_jitter_over_root_three() {
    let (mean, deviation) = mean_and_deviation(&drawn(Distribution::Uniform, 0.0, 200_000));
    assert!((mean / 1e8 - 1.0).abs() < 1e-3, "{mean}");
    assert!(
        (deviation / (1e7 / 3_f64.sqrt()) - 1.0).abs() < 0.01,
        "{deviation}"
    );
}

#[test]
fn normal_delays_have_the_mean_and_the_deviation_asked_for() {
    let (mean, deviation) = mean_and_deviation(&drawn(Distribution::Normal, 0.0, 200_000));
    assert!((mean / 1e8 - 1.0).abs() < 1e-3, "{mean}");
    assert!((deviation / 1e7 - 1.0).abs() < 0.01, "{deviation}");
}

#[test]
fn pareto_delays_are_never_shorter_than_their_minimum() {
    let values = drawn(Distribution::Pareto, 0.0, 100_000);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let (mean, _) = mean_and_deviation(&values);
    assert!(
        (least / (1e8 - 2.0 / 3.0 * 1e7) - 1.0).abs() < 1e-4,
        "{least}"
    );
    assert!((mean / 1e8 - 1.0).abs() < 0.01, "{mean}");
}

#[test]
fn correlated_delays_follow_one_another_as_closely_as_asked() {
    let values = drawn(Distribution::Uniform, 0.6, 200_000);
    let (mean, deviation) = mean_and_deviation(&values);
    let lag: f64 = values
        .windows(2)
        .map(|pair| (pair[0] - mean) * (pair[1] - mean))
        .sum::<f64>()
        / values.len() as f64
        / deviation.powi(2);
    assert!((lag - 0.6).abs() < 0.01, "{lag}");
    // (1 − ρ)/(1 + ρ) of the variance is left.
    let expected = 1e7 / 3_f64.sqrt() * (0.4_f64 / 1.6).sqrt();
    assert!((deviation / expected - 1.0).abs() < 0.02, "{deviation}");
}

#[test]
fn a_delay_below_zero_is_zero() {
    let mut spread = Spread::new(Distribution::Normal);
    let mut random = Random::new(1);
    let zeros = (0..1000)
        .filter(|_| spread.draw(1000, 1_000_000, 0.0, &mut random) == 0)
        .count();
    assert!((400..600).contains(&zeros), "{zeros}");
}

#[test]
fn the_tables_are_those_of_iproute2() {
    let folders = [
        "/usr/lib/tc",
        "/usr/lib/x86_64-linux-gnu/tc",
        "/usr/share/tc",
    ];
    let Some(folder) = folders
        .iter()
        .find(|folder| std::path::Path::new(folder).join("normal.dist").exists())
    else {
        println!("skipped: iproute2's tables are not installed");
        return;
    };
    for (name, distribution) in [
        ("normal", Distribution::Normal),
        ("pareto", Distribution::Pareto),
        ("paretonormal", Distribution::ParetoNormal),
    ] {
        let text = std::fs::read_to_string(format!("{folder}/{name}.dist")).unwrap();
        let theirs: Vec<i16> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .flat_map(str::split_whitespace)
            .map(|word| word.parse().unwrap())
            .collect();
        let ours = netem_table(distribution);
        assert_eq!(theirs.len(), ours.len());
        for (at, (theirs, ours)) in theirs.iter().zip(&ours).enumerate() {
            let gap = (i32::from(*theirs) - i32::from(*ours)).abs();
            // Theirs is integrated in steps; the outermost entries show it.
            let allowed = if (16..4080).contains(&at) { 24 } else { 400 };
            assert!(gap <= allowed, "{name}[{at}]: theirs {theirs}, ours {ours}");
        }
    }
}
