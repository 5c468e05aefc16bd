//! Decides what a stream of requests proves about an objective, and how sure that is.
//!
//! Map:
//! - [`tally`]: counted windows, and their sum over one phase;
//! - [`verdict`]: [`judge`], one objective against one tally;
//! - [`bounds`]: exact confidence bounds for a ratio and for a quantile;
//! - [`worst`]: the worst window of a phase;
//! - [`sequential`]: proof of harm that may be looked for after every window;
//! - [`recovery`]: when the system was well again;
//! - [`traffic`]: how many requests an answer takes;
//! - [`margin`]: how much of one dimension a system bears.
//!
//! [`judge`] is a judgement at a fixed horizon: it holds its stated confidence when it is
//! asked once, at the end of a phase. Whoever looks continuously asks [`HarmWatch`], whose
//! bound is valid at every look.
//!
//! Deliberately absent: I/O, clocks, randomness, and any notion of a drill's verdict (that
//! combines phases, faults and recovery, and belongs to the engine).

mod binomial;
pub mod bounds;
pub mod margin;
pub mod recovery;
pub mod sequential;
pub mod tally;
pub mod traffic;
pub mod verdict;
mod words;
pub mod worst;

pub use bounds::{Estimate, QuantileEstimate, quantile_bounds, ratio_bounds};
pub use recovery::recovered;
pub use sequential::{BadRateTest, Harm, HarmWatch};
pub use tally::{Counts, Tally, Window, latency_histogram};
pub use traffic::{requests_needed, requests_needed_for};
pub use verdict::{Degraded, Judgement, Objective, Outcome, judge};
pub use worst::{WorstWindow, worst_window};
