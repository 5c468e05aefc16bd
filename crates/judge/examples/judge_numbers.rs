//! Random inputs with what the judge makes of them, for `compat/oracles/judge_numbers.py` to compare.
//!
//! One JSON object per line, from one seed.
#![expect(clippy::print_stdout, reason = "it exists to print")]

use firedrill_judge::excess::ExcessTest;
use firedrill_judge::kayenta::{Metric, rank};
use firedrill_judge::mean::BoundedMean;
use firedrill_judge::quantile::quantile_sequence;
use firedrill_judge::rate::RateLimit;
use firedrill_judge::share::{Outcomes, ShareSequence};
use firedrill_judge::{
    Alpha, CountTest, Narrowed, Probability, Shares, Unusable, latency_histogram, ratio_bounds,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const CASES: usize = 60;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut random = ChaCha8Rng::seed_from_u64(20_261_123);
    for _ in 0..CASES {
        for case in [
            counts(&mut random)?,
            excess(&mut random)?,
            share(&mut random)?,
            mean(&mut random)?,
            rate(&mut random)?,
            quantile(&mut random)?,
            ranks(&mut random),
            ratio(&mut random),
        ] {
            println!("{case}");
        }
    }
    Ok(())
}

fn below(random: &mut ChaCha8Rng, end: u64) -> u64 {
    (random.random::<f64>() * end as f64) as u64
}

/// Two or three arms, looked at after each of a few batches.
fn counts(random: &mut ChaCha8Rng) -> Result<Value, Unusable> {
    // In sixteenths: the oracle wants shares whose sum is exactly 1.
    let first = 4 + below(random, 5);
    let shares = match below(random, 2) {
        0 => vec![first, 16 - first],
        _ => vec![first, 4, 12 - first],
    };
    let shares: Vec<f64> = shares.iter().map(|s| *s as f64 / 16.0).collect();
    let k = [2.0, 10.0, 100.0, 1000.0][below(random, 4) as usize];
    let mut test = CountTest::with_concentration(Shares::new(&shares)?, k)?;
    let mut left = Narrowed::everything();
    let mut batches = Vec::new();
    for _ in 0..1 + below(random, 4) {
        let batch: Vec<u64> = shares
            .iter()
            .map(|s| 1 + below(random, (200.0 * s) as u64))
            .collect();
        test.batch(&batch)?;
        left.narrow(&test.log_rate_ratio(1, 0, Alpha::FIVE_PERCENT)?);
        batches.push(batch);
    }
    let share = test.share(0, Alpha::FIVE_PERCENT)?;
    let ratio = match left {
        Narrowed::To(interval) => json!([interval.low(), interval.high()]),
        Narrowed::Contradiction => Value::Null,
    };
    Ok(json!({
        "case": "counts", "shares": shares, "k": k, "batches": batches,
        "ln": test.evidence().ln(), "p": test.p_value(),
        "log_ratio": ratio, "share": [share.low(), share.high()],
    }))
}

fn excess(random: &mut ChaCha8Rng) -> Result<Value, Unusable> {
    let (ratio, k) = (
        0.5 + random.random::<f64>(),
        1.0 + 200.0 * random.random::<f64>(),
    );
    let (control, experiment) = (below(random, 300), below(random, 300));
    let mut test = ExcessTest::with_concentration(&Shares::new(&[3.0, 1.0])?, ratio, k)?;
    let ln = test.observe(control, experiment).ln();
    Ok(json!({
        "case": "excess", "ratio": ratio, "k": k, "control": control, "experiment": experiment, "ln": ln,
    }))
}

fn share(random: &mut ChaCha8Rng) -> Result<Value, Unusable> {
    let (good, bad) = (below(random, 3_000), below(random, 300));
    let tightest = 10.0 + 5_000.0 * random.random::<f64>();
    let alpha = Alpha::new(0.001 + 0.2 * random.random::<f64>())?;
    let mut sequence = ShareSequence::tightest_at(tightest, Alpha::FIVE_PERCENT);
    sequence.observe(Outcomes { good, bad });
    let interval = sequence.interval(alpha);
    Ok(json!({
        "case": "share", "good": good, "bad": bad, "tightest_at": tightest, "alpha": alpha.get(),
        "interval": [interval.low(), interval.high()],
    }))
}

fn mean(random: &mut ChaCha8Rng) -> Result<Value, Unusable> {
    let power = 1 + below(random, 5) as i32;
    let values: Vec<f64> = (0..1 + below(random, 400))
        .map(|_| 7.0 * random.random::<f64>().powi(power))
        .collect();
    let mut mean = BoundedMean::new(0.0, 7.0)?;
    for value in &values {
        mean.observe(*value)?;
    }
    let interval = mean.interval(Alpha::FIVE_PERCENT);
    Ok(json!({"case": "mean", "values": values, "interval": [interval.low(), interval.high()]}))
}

fn rate(random: &mut ChaCha8Rng) -> Result<Value, Unusable> {
    let (rate_max, events) = (0.01 + 2.0 * random.random::<f64>(), below(random, 300));
    let exposure = 300.0 * random.random::<f64>();
    let ln = RateLimit::new(rate_max)?.observe(events, exposure)?.ln();
    Ok(
        json!({"case": "rate", "rate_max": rate_max, "events": events, "exposure": exposure, "ln": ln}),
    )
}

fn quantile(random: &mut ChaCha8Rng) -> Result<Value, Box<dyn std::error::Error>> {
    let values: Vec<u64> = (0..1 + below(random, 2_000))
        .map(|_| 1 + below(random, 1_500))
        .collect();
    let p = 0.02 + 0.96 * random.random::<f64>();
    let mut histogram = latency_histogram()?;
    for value in &values {
        histogram.record(*value)?;
    }
    let interval = quantile_sequence(&histogram, Probability::new(p)?, Alpha::FIVE_PERCENT);
    let high = interval.high().is_finite().then_some(interval.high());
    Ok(json!({"case": "quantile", "values": values, "p": p, "interval": [interval.low(), high]}))
}

fn ranks(random: &mut ChaCha8Rng) -> Value {
    // Few different values: ties are where implementations differ.
    let different = 3 + below(random, 60);
    let shift = below(random, 10);
    let mut sample = |shift: u64| -> Vec<f64> {
        (0..3 + below(random, 60))
            .map(|_| (shift + below(random, different)) as f64 / 4.0)
            .collect()
    };
    let (experiment, control) = (sample(shift), sample(0));
    let result = Metric::default().classify(&control, &experiment);
    let shift = result
        .shift
        .map(|s| json!([s.estimate, s.interval.low(), s.interval.high()]));
    let (u, p) = rank::mann_whitney(&experiment, &control).unzip();
    json!({"case": "ranks", "experiment": experiment, "control": control, "u": u, "p": p, "shift": shift})
}

fn ratio(random: &mut ChaCha8Rng) -> Value {
    let n = 1 + below(random, 5_000);
    let good = below(random, n + 1);
    let bounds = ratio_bounds(good, n, 0.95);
    json!({"case": "ratio", "good": good, "n": n, "low": bounds.low, "high": bounds.high})
}
