//! How large a difference is, and from which size on it counts.

use super::rank::standing;

/// What the size of a difference is measured by (Kayenta's `effectSize.measure`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// Mean of the experiment over mean of the control (`meanRatio`); no difference is 1.
    #[default]
    MeanRatio,
    /// The probability that a value of the experiment is the larger one, ties by half
    /// (`cles`: Vargha & Delaney, J. Educ. Behav. Stat. 25, 2000); no difference is ½.
    CommonLanguage,
}

/// The sizes from which on a difference counts (Kayenta's `effectSize`). One that is absent is
/// the measure's value for no difference.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Effect {
    pub measure: Measure,
    /// `allowedIncrease`: at least this makes a metric high.
    pub allowed_increase: Option<f64>,
    /// `allowedDecrease`: at most this makes a metric low.
    pub allowed_decrease: Option<f64>,
    /// `criticalIncrease`: at least this makes a high critical metric fail everything.
    pub critical_increase: Option<f64>,
    /// `criticalDecrease`: at most this makes a low critical metric fail everything.
    pub critical_decrease: Option<f64>,
}

impl Measure {
    pub(crate) fn none(self) -> f64 {
        match self {
            Self::MeanRatio => 1.0,
            Self::CommonLanguage => 0.5,
        }
    }

    /// `None` where it is not defined: for means of 0, or an empty sample. Then the size is
    /// not asked for. Both samples in rising order.
    pub(crate) fn of(self, experiment: &[f64], control: &[f64]) -> Option<f64> {
        if experiment.is_empty() || control.is_empty() {
            return None;
        }
        let size = match self {
            Self::MeanRatio => {
                let (above, below) = (mean(experiment), mean(control));
                if above == 0.0 || below == 0.0 {
                    return None;
                }
                above / below
            }
            Self::CommonLanguage => {
                let pairs = experiment.len() as f64 * control.len() as f64;
                let wins = standing(experiment, control, 0.0).map_or(0.0, |(w, _)| w);
                wins / pairs + 0.5
            }
        };
        size.is_finite().then_some(size)
    }
}

impl Effect {
    pub(crate) fn is_increase(&self, size: Option<f64>) -> bool {
        self.reaches(size, self.allowed_increase)
    }

    pub(crate) fn is_decrease(&self, size: Option<f64>) -> bool {
        self.falls_to(size, self.allowed_decrease)
    }

    pub(crate) fn is_critical_increase(&self, size: Option<f64>) -> bool {
        self.reaches(size, self.critical_increase)
    }

    pub(crate) fn is_critical_decrease(&self, size: Option<f64>) -> bool {
        self.falls_to(size, self.critical_decrease)
    }

    fn reaches(&self, size: Option<f64>, least: Option<f64>) -> bool {
        size.is_none_or(|size| size >= least.unwrap_or(self.measure.none()))
    }

    fn falls_to(&self, size: Option<f64>, most: Option<f64>) -> bool {
        size.is_none_or(|size| size <= most.unwrap_or(self.measure.none()))
    }
}

/// Each value divided first, so that the sum of huge ones stays finite.
fn mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    values.iter().map(|v| v / n).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_their_usual_values() {
        let (experiment, control) = ([1.0, 2.0, 3.0], [1.0, 1.0, 2.0, 4.0]);
        let ratio = Measure::MeanRatio.of(&experiment, &control).unwrap();
        assert!((ratio - 1.0).abs() < 1e-12);
        // Of 12 pairs the experiment wins 5 and ties 3: (5 + 1.5) / 12.
        let wins = Measure::CommonLanguage.of(&experiment, &control).unwrap();
        assert!((wins - 6.5 / 12.0).abs() < 1e-12, "{wins}");
        assert_eq!(Measure::MeanRatio.of(&[0.0], &[1.0]), None);
        assert_eq!(Measure::MeanRatio.of(&[], &[1.0]), None);
        assert_eq!(Measure::CommonLanguage.of(&[1.0], &[1.0]), Some(0.5));
    }
}
