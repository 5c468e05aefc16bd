//! Decides what a stream of requests proves about an objective, and how sure that is.
//!
//! Map, of what is asked of one phase:
//! - [`sensor`]: from readings of counters to windows, and whether the sensor is to be believed;
//! - [`tally`]: counted windows, and their sum over one phase;
//! - [`verdict`]: [`judge`], one objective against one tally;
//! - [`bounds`]: exact confidence bounds for a ratio and for a quantile;
//! - [`worst`]: the worst window of a phase;
//! - [`sequential`]: proof of harm that may be looked for after every window;
//! - [`recovery`]: when the system was well again;
//! - [`traffic`]: how many requests an answer takes;
//! - [`kayenta`]: two samples of each metric, and a score.
//!
//! Of what may be asked of a stream, or of two, at any time:
//! - [`threshold`]: one stream against a threshold: holds, broken, not yet;
//! - [`counts`]: events of two or more arms, and the ratio of their rates; [`users`] for events
//!   that come in clusters;
//! - [`excess`]: whether one arm has more events than it may;
//! - [`allocation`]: whether the traffic was split as asked;
//! - [`share`]: the share of good ones in one stream, and in two;
//! - [`mean`]: means, and their difference between two arms;
//! - [`rate`]: whether events are more frequent than they may be;
//! - [`order`]: which arm's values are larger, pair by pair;
//! - [`quantile`]: a quantile, and how far it moved;
//! - [`distribution`]: whether two distributions differ anywhere, and which is the slower;
//! - [`several`]: which claims may be made together;
//! - [`evidence`], [`interval`], [`level`]: what all of these speak in.
//!
//! Of two arms, of which one has a fault: [`canary`].
//!
//! Of many phases: [`margin`], how much of one dimension a system bears.
//!
//! [`judge`] is a judgement at a fixed horizon: it holds its stated confidence when it is
//! asked once, at the end of a phase. Everything of the second list, and [`HarmWatch`], is
//! valid at every look.
//!
//! Deliberately absent: I/O, clocks, randomness, and any notion of a drill's verdict (that
//! combines phases, faults and recovery, and belongs to the engine).

pub mod allocation;
mod binomial;
mod boundary;
pub mod bounds;
pub mod canary;
pub mod counts;
mod dirichlet;
pub mod distribution;
pub mod evidence;
pub mod excess;
pub mod interval;
pub mod kayenta;
pub mod level;
pub mod margin;
pub mod mean;
pub mod order;
pub mod quantile;
pub mod rate;
pub mod recovery;
pub mod sensor;
pub mod sequential;
pub mod several;
pub mod share;
pub mod tally;
pub mod threshold;
pub mod traffic;
mod unusable;
pub mod users;
pub mod verdict;
pub mod words;
pub mod worst;

pub use allocation::{Allocation, AllocationCheck};
pub use bounds::{Estimate, QuantileEstimate, quantile_bounds, ratio_bounds};
pub use counts::{CountTest, Shares};
pub use evidence::Evidence;
pub use interval::{Interval, Narrowed};
pub use level::{Alpha, Probability};
pub use recovery::recovered;
pub use sequential::{BadRateTest, BadRateWatch, Harm, HarmWatch};
pub use tally::{Counts, Tally, Window, latency_histogram};
pub use traffic::{requests_needed, requests_needed_for};
pub use unusable::Unusable;
pub use verdict::{Degraded, Judgement, Objective, Outcome, judge};
pub use worst::{WorstWindow, worst_window};
