//! In which proportion two arms got answers before the fault, where nobody here divides the traffic.

use crate::bounds::ratio_bounds;
use crate::counts::Shares;
use crate::level::Alpha;
use crate::unusable::Unusable;

/// Answers of control and experiment, and in how many seconds they came.
///
/// Where counters are behind, the control's seconds are the fewest in which its answers may have
/// come and the experiment's the most: what is expected of the experiment is then not too much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Before {
    pub requests: [u64; 2],
    pub seconds: [f64; 2],
}

impl Before {
    /// The least share of all answers that the experiment gets while both go on as before, and the
    /// rest: the lower bound of Clopper and Pearson on its share of the counts, brought from their
    /// seconds to the same time.
    ///
    /// # Errors
    /// An arm without answers, or without seconds.
    pub(super) fn shares(&self, alpha: Alpha) -> Result<Shares, Unusable> {
        let [control, experiment] = self.requests;
        let all = control.saturating_add(experiment);
        let share = ratio_bounds(experiment, all, 1.0 - alpha.get()).low;
        let [of_control, of_experiment] = self.seconds;
        Shares::new(&[(1.0 - share) / of_control, share / of_experiment])
    }
}
