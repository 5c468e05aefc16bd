//! Means: of bounded observations, of sub-Gaussian ones, and of sums per user in two arms.

pub mod bounded;
pub mod difference;
pub mod sub_gaussian;

pub use bounded::BoundedMean;
pub use difference::MeanDifference;
pub use sub_gaussian::SubGaussianMean;
