//! How much of one dimension a system bears: the core of `firedrill margin`.
//!
//! A magnitude (added latency, load, share of lost packets) is put on a system, and a KPI says
//! whether the system bore it. [`Margin`] says which magnitude to try next, when to wait for
//! recovery and when to stop; it knows neither clock nor chance, and the same journal of
//! trials gives the same state.
//!
//! # The break point
//! For one trial, the crossing is the magnitude at which the true bad rate, in the trial's
//! steady state, rises through the threshold. The break point is the median of the crossings
//! over trials: the magnitude at which a trial of unlimited length breaks as often as it
//! holds. Where trials do not differ, it is the one magnitude at which the true value of the
//! KPI crosses the threshold, however steep or flat the KPI rises there. Where the system
//! drifts, it is the break point at the time of the last trial. Magnitudes are approached from
//! below, from a system that has recovered, unless the word is of "from above".
//!
//! Assumption: more of the dimension is never better for the KPI.
//!
//! # Map
//! - [`question`]: what is asked, within which limits;
//! - [`trial`]: one magnitude, judged while it is in place, cut short once the answer is clear;
//! - [`belief`]: the posterior over break point, spread and drift; `prior.rs` is its start;
//! - `choice.rs`: which magnitudes are safe enough, and which of them teaches most;
//! - [`machine`]: the search as a state machine, and its journal;
//! - [`foresight`]: what the answer will take, if all goes well;
//! - [`answer`]: what was found, with its interval, headroom and cost.
//!
//! Deliberately absent: carrying a trial out, and reading numbers of the system.

pub mod answer;
mod axis;
pub mod belief;
mod choice;
pub mod foresight;
pub mod machine;
mod prior;
pub mod question;
pub mod trial;

pub use answer::{Answer, End, Headroom, Hysteresis, Interval, Plotted, Unanswered};
pub use foresight::{Foreseen, foresee};
pub use machine::{Entry, Margin, Recovery, Refused, Step};
pub use question::{Aim, Budget, Dwell, Normal, NormalIs, Question, Scale, Target, Wrong};
pub use trial::{Approach, Ask, Trial, TrialRecord, Verdict};
