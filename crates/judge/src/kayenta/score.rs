//! The score of all metrics together, from 0 to 100.

use std::collections::BTreeMap;

use super::metric::{Class, Metric, MetricResult};
use crate::unusable::Unusable;

/// Kayenta's `classifier.groupWeights` and `scoreThresholds`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoring {
    /// In percent, by group. Groups that are not named share what is left of 100.
    pub group_weights: BTreeMap<String, f64>,
    /// `scoreThresholds.pass`
    pub pass: f64,
    /// `scoreThresholds.marginal`
    pub marginal: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// 0 to 100, in steps of 0.01.
    pub score: f64,
    pub class: ScoreClass,
    /// Why it is 0 whatever the groups say.
    pub failed_by: Option<Failure>,
    /// By name.
    pub groups: Vec<GroupScore>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreClass {
    Pass,
    Marginal,
    Fail,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The critical metric of this name.
    Critical(String),
    /// Half of the metrics, or more, had no data.
    TooLittleData,
}

#[derive(Debug, Clone, PartialEq)]
pub struct GroupScore {
    pub name: String,
    /// The percentage of its metrics that pass; absent when none had data.
    pub score: Option<f64>,
    /// In percent.
    pub weight: f64,
}

impl Scoring {
    /// `100 pass / (pass + high + low + nodata-fail)` for each group, weighted; a group
    /// without data counts 100. A critical failure, or no data for half of the metrics, is 0.
    ///
    /// # Errors
    /// A weight that is not between 0 and 100, or weights of more than 100 together.
    pub fn score(&self, graded: &[(&Metric, &MetricResult)]) -> Result<Score, Unusable> {
        let groups = self.groups(graded)?;
        let failed_by = failure(graded);
        let score = if failed_by.is_some() {
            0.0
        } else {
            summary(&groups)
        };
        Ok(Score {
            score,
            class: self.class(score),
            failed_by,
            groups,
        })
    }

    fn class(&self, score: f64) -> ScoreClass {
        if score >= self.pass {
            ScoreClass::Pass
        } else if score >= self.marginal {
            ScoreClass::Marginal
        } else {
            ScoreClass::Fail
        }
    }

    fn groups(&self, graded: &[(&Metric, &MetricResult)]) -> Result<Vec<GroupScore>, Unusable> {
        let weights = self.group_weights.values();
        if let Some(bad) = weights.clone().find(|w| !(0.0..=100.0).contains(*w)) {
            return Err(Unusable::Weight(*bad));
        }
        let named: f64 = weights.sum();
        if named > 100.0 + 1e-9 {
            return Err(Unusable::Weight(named));
        }
        let mut classes: BTreeMap<&str, Vec<Class>> = BTreeMap::new();
        for (metric, result) in graded {
            for group in &metric.groups {
                classes.entry(group).or_default().push(result.class);
            }
        }
        let unnamed = classes
            .keys()
            .filter(|g| !self.group_weights.contains_key(**g));
        let each = (100.0 - named).max(0.0) / (unnamed.count().max(1) as f64);
        let scored = classes.iter().map(|(name, classes)| GroupScore {
            name: (*name).to_owned(),
            score: share_that_passes(classes),
            weight: self.group_weights.get(*name).copied().unwrap_or(each),
        });
        Ok(scored.collect())
    }
}

fn share_that_passes(classes: &[Class]) -> Option<f64> {
    let counts = |class: &&Class| !matches!(class, Class::Nodata | Class::Error);
    let total = classes.iter().filter(counts).count();
    let pass = classes.iter().filter(|c| **c == Class::Pass).count();
    (total > 0).then(|| 100.0 * pass as f64 / total as f64)
}

fn summary(groups: &[GroupScore]) -> f64 {
    let sum: f64 = groups
        .iter()
        .map(|group| group.score.unwrap_or(100.0) * (group.weight / 100.0))
        .sum();
    (sum * 100.0).round() / 100.0
}

fn failure(graded: &[(&Metric, &MetricResult)]) -> Option<Failure> {
    let critical =
        |(_, result): &&(&Metric, &MetricResult)| result.critical && result.class != Class::Pass;
    if let Some((metric, _)) = graded.iter().find(critical) {
        return Some(Failure::Critical(metric.name.clone()));
    }
    let without = graded
        .iter()
        .filter(|(_, result)| result.class == Class::Nodata)
        .count();
    (without > 0 && 2 * without >= graded.len()).then_some(Failure::TooLittleData)
}
