//! A canary judge at a fixed horizon, with the fields and results of Kayenta's.
//!
//! Kayenta (Spinnaker, `NetflixACAJudge-v1.0`) is what most canaries are judged with today.
//! Documents written for it give the same classifications and scores here: two samples for each
//! metric, a Mann-Whitney interval for the shift between them ([`rank`]), an effect size
//! ([`effect`]), a class for each metric ([`metric`]), and a score from 0 to 100 ([`score`]).
//! Every field says which of Kayenta's it is.
//!
//! It holds its error rate for one metric when it is asked once, at the end. Looked at every
//! minute, or over several metrics, it raises more false alarms than that; who wants to look
//! uses the other tests of this crate. What it misses, and they do not, is in this crate's
//! benchmark and in the project's decision 0031.

pub mod effect;
pub mod metric;
mod prepare;
pub mod rank;
pub mod score;

pub use effect::{Effect, Measure};
pub use metric::{Class, Direction, Metric, MetricResult, Missing, Outliers};
pub use rank::Shift;
pub use score::{GroupScore, Score, ScoreClass, Scoring};

use crate::unusable::Unusable;

/// One metric with the values of both arms; NaN stands for a value that is missing.
#[derive(Debug, Clone)]
pub struct Samples<'a> {
    pub metric: &'a Metric,
    pub control: &'a [f64],
    pub experiment: &'a [f64],
}

/// Classifies each metric and scores them together.
///
/// # Errors
/// See [`Scoring::score`].
pub fn judge(
    samples: &[Samples<'_>],
    scoring: &Scoring,
) -> Result<(Vec<MetricResult>, Score), Unusable> {
    let results: Vec<_> = samples
        .iter()
        .map(|s| s.metric.classify(s.control, s.experiment))
        .collect();
    let graded: Vec<_> = samples.iter().map(|s| s.metric).zip(&results).collect();
    let score = scoring.score(&graded)?;
    Ok((results, score))
}

#[cfg(test)]
mod tests;
