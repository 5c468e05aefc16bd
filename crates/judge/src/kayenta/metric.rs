//! One metric: what is asked of it, and its class.

use super::effect::Effect;
use super::prepare::prepared;
use super::rank::{Shift, shift};

/// What is asked of one metric (Kayenta's `analysisConfigurations.canary`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metric {
    pub name: String,
    /// `groups`; one that is in none does not count for the score, unless it is critical.
    pub groups: Vec<String>,
    /// `direction`
    pub direction: Direction,
    /// `nanStrategy`
    pub missing: Missing,
    /// `outliers.strategy` and `outliers.outlierFactor`
    pub outliers: Outliers,
    /// `critical`: if it fails, everything fails.
    pub critical: bool,
    /// `mustHaveData`: without data it fails, instead of not counting.
    pub must_have_data: bool,
    /// `effectSize`
    pub effect: Effect,
}

/// Which changes are failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    Increase,
    Decrease,
    #[default]
    Either,
}

/// What a missing value (NaN) means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    #[default]
    Remove,
    /// It is 0: nothing happened.
    Replace,
}

/// What is done to values far away from the others.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Outliers {
    #[default]
    Keep,
    /// Those beyond `factor` interquartile ranges from the quartiles, and beyond the first and
    /// last percentile. Kayenta's factor is 3.
    Remove { factor: f64 },
}

/// Kayenta's classifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Pass,
    High,
    Low,
    Nodata,
    NodataFailMetric,
    /// The samples cannot be ranked: one value in each. Kayenta fails there too.
    Error,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MetricResult {
    pub class: Class,
    /// Whether this fails everything.
    pub critical: bool,
    /// The size of the difference in the metric's measure; absent where it is not defined.
    pub effect: Option<f64>,
    /// Absent where nothing had to be compared.
    pub shift: Option<Shift>,
}

const CONFIDENCE: f64 = 0.98;
/// A shift counts from this part of its estimate on.
const TOLERANCE: f64 = 0.25;
/// Two constants are spread by this part of themselves, so that they can be ranked.
const SPREAD: f64 = 1e-5;

impl Metric {
    /// Compares the two samples. NaN stands for a missing value.
    #[must_use]
    pub fn classify(&self, control: &[f64], experiment: &[f64]) -> MetricResult {
        let control = prepared(control, self.missing, self.outliers);
        let experiment = prepared(experiment, self.missing, self.outliers);
        if control.is_empty() || experiment.is_empty() {
            return self.without_data();
        }
        if control == experiment || is_one_value(&control, &experiment) {
            return MetricResult::pass();
        }
        let (control, experiment) = told_apart(control, experiment);
        let Some(shift) = shift(&experiment, &control, CONFIDENCE) else {
            return MetricResult {
                class: Class::Error,
                ..MetricResult::pass()
            };
        };
        self.graded(shift, self.effect.measure.of(&experiment, &control))
    }

    fn without_data(&self) -> MetricResult {
        let (class, critical) = match (self.missing, self.must_have_data && !self.critical) {
            (Missing::Replace, _) => (Class::Pass, false),
            (Missing::Remove, true) => (Class::NodataFailMetric, false),
            (Missing::Remove, false) => (Class::Nodata, self.critical),
        };
        MetricResult {
            class,
            critical,
            ..MetricResult::pass()
        }
    }

    fn graded(&self, shift: Shift, effect: Option<f64>) -> MetricResult {
        let band = TOLERANCE * shift.estimate.abs();
        let is_high = self.direction != Direction::Decrease
            && shift.interval.low() > band
            && self.effect.is_increase(effect);
        let is_low = self.direction != Direction::Increase
            && shift.interval.high() < -band
            && self.effect.is_decrease(effect);
        let (class, is_grave) = if is_high {
            (Class::High, self.effect.is_critical_increase(effect))
        } else if is_low {
            (Class::Low, self.effect.is_critical_decrease(effect))
        } else {
            (Class::Pass, false)
        };
        MetricResult {
            class,
            critical: self.critical && is_grave,
            effect,
            shift: Some(shift),
        }
    }
}

impl MetricResult {
    fn pass() -> Self {
        Self {
            class: Class::Pass,
            critical: false,
            effect: None,
            shift: None,
        }
    }
}

fn is_one_value(one: &[f64], two: &[f64]) -> bool {
    let mut all = one.iter().chain(two);
    let first = all.next();
    all.all(|v| Some(v) == first)
}

/// Two samples of one value each cannot be ranked. Kayenta adds Gaussian noise of 10⁻⁵ of the
/// value; here it is the same noise without chance, spread evenly over its distribution.
fn told_apart(control: Vec<f64>, experiment: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
    let is_constant = |values: &[f64]| values.first() == values.last();
    if !is_constant(&control) || !is_constant(&experiment) {
        return (control, experiment);
    }
    (spread(&control), spread(&experiment))
}

fn spread(values: &[f64]) -> Vec<f64> {
    let n = values.len() as f64;
    let scores = (0..values.len()).map(|i| {
        let below = (i as f64 + 0.5) / n;
        -std::f64::consts::SQRT_2 * statrs::function::erf::erfc_inv(2.0 * below)
    });
    values
        .iter()
        .zip(scores)
        .map(|(value, score)| value + value.abs() * SPREAD * score)
        .collect()
}
