//! Mixtures and boundaries that a sum crosses with at most the stated probability, ever.
//!
//! Of sums `S` with variance process `V` (Howard, Ramdas, McAuliffe & Sekhon,
//! "Time-uniform, nonparametric, nonasymptotic confidence sequences", Ann. Statist. 49, 2021),
//! and of whole distribution functions.

pub(crate) mod empirical;
pub(crate) mod gamma;
pub(crate) mod normal;
