//! What a search or a certificate found, and what it cost.

use serde::{Deserialize, Serialize};

use super::question::{Normal, NormalIs};

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The target was tried, and proven to hold.
    Proven,
    /// A magnitude up to the target was tried, and proven to break the system.
    Disproven {
        at: f64,
    },
    /// The interval of the break point is as narrow as asked.
    Found,
    /// Up to the largest magnitude allowed the system holds.
    BeyondLargest,
    /// The lowest magnitude already breaks the system.
    BelowLowest,
    NotAnswered(Unanswered),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unanswered {
    BadEventsSpent,
    TrialsSpent,
    /// By what is believed now, no magnitude is within the risk allowed per trial.
    TooRisky,
    /// The system was not well again within the limit after a trial.
    NotRecovered,
}

/// A break point. An end that is absent is open: nothing is claimed on that side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Interval {
    pub low: Option<f64>,
    /// The median of the posterior; absent in a certificate, which does not estimate.
    pub value: Option<f64>,
    pub high: Option<f64>,
    /// Of both ends together; of the one end that a certificate has.
    pub confidence: f64,
}

/// How much can be added to today's normal before the objective is missed: between `low` and
/// `high`, in the dimension's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Headroom {
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// The same ends as multiples of normal; absent where normal is not above 0.
    pub times_low: Option<f64>,
    pub times_high: Option<f64>,
}

/// The boundary approached from above, from a broken system, beside the one from below.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hysteresis {
    /// At which magnitude the system is well again.
    pub from_above: Interval,
    /// By how much that is lower than the break point: at least, and at most.
    pub difference_low: f64,
    pub difference_high: Option<f64>,
    /// The two intervals do not overlap: the system remembers that it was broken.
    pub remembers: bool,
}

/// Where the break point lies with which probability, for a plot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Plotted {
    /// `(from, to, probability)`, from the lowest; cells between magnitudes.
    pub cells: Vec<(f64, f64, f64)>,
    pub below_lowest: f64,
    pub beyond_highest: f64,
}

/// The state of the answer; `end` is absent while there is more to try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answer {
    pub end: Option<End>,
    pub break_point: Interval,
    /// The highest magnitude at which a trial was proven to hold, below every break; at the
    /// confidence of that one trial.
    pub held: Option<f64>,
    pub headroom: Option<Headroom>,
    /// Absent before the boundary was approached from above.
    pub hysteresis: Option<Hysteresis>,
    pub trials: usize,
    /// In trials and recoveries, those before trials from above included.
    pub bad_events: u64,
    pub bad_events_max: u64,
    /// Whether the system was well again after the last trial, as far as is known.
    pub recovered: bool,
}

impl Headroom {
    pub(super) fn new(of: &Interval, normal: Normal) -> Self {
        let room = |end: f64| match normal.is {
            NormalIs::AddedTo => end,
            NormalIs::Replaced => end - normal.value,
        };
        let times = |end: f64| {
            let whole = match normal.is {
                NormalIs::AddedTo => normal.value + end,
                NormalIs::Replaced => end,
            };
            let ratio = whole / normal.value;
            (normal.value > 0.0 && ratio.is_finite()).then_some(ratio)
        };
        Self {
            low: of.low.map(room),
            high: of.high.map(room),
            times_low: of.low.and_then(times),
            times_high: of.high.and_then(times),
        }
    }
}

impl Hysteresis {
    /// `None` where the break point from below has an open end.
    pub(super) fn new(below: &Interval, above: Interval) -> Option<Self> {
        let (low, high) = (below.low?, below.high?);
        let difference_low = above.high.map_or(0.0, |high| (low - high).max(0.0));
        Some(Self {
            difference_low,
            difference_high: above.low.map(|low| (high - low).max(0.0)),
            remembers: above.high.is_some_and(|high| high <= low),
            from_above: above,
        })
    }
}
