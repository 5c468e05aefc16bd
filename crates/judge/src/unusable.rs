//! What an estimator cannot be built from or fed with.

/// A value that no estimator can work with; nothing has been counted.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Unusable {
    #[error("an error rate of {0} is not usable: it must lie between 1e-300 and 1, like 0.05")]
    Alpha(f64),
    #[error("a probability of {0} is not usable here: it must lie strictly between 0 and 1")]
    Probability(f64),
    #[error("{0} arms are too few to compare: give at least two")]
    Arms(usize),
    #[error(
        "a weight of {0} is not usable: weights are positive, finite, and within a factor of 1e9 of each other"
    )]
    Weight(f64),
    #[error("there is no arm {arm}: the arms are numbered from 0 to {last}")]
    Arm { arm: usize, last: usize },
    #[error("{given} counts were given for {arms} arms: give one for each")]
    Counts { given: usize, arms: usize },
    #[error("{0} is not usable as a scale: it must be positive and finite")]
    Scale(f64),
    #[error("the range from {low} to {high} is not usable: it must be finite and not empty")]
    Range { low: f64, high: f64 },
    #[error(
        "the observation {value} is outside of the range from {low} to {high} that was promised"
    )]
    Outside { value: f64, low: f64, high: f64 },
    #[error("two streams that differ in what they measure cannot be merged")]
    Different,
}
