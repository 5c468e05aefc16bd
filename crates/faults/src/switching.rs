//! Faults of the network between what is up: packets that come late, changed, or not at all.

pub mod blackhole;
pub mod bandwidth;
pub mod corrupt;
pub mod duplicate;
mod filter;
pub mod latency;
pub mod loss;
mod place;
mod netem;
mod rules;
pub mod reject;
pub mod reorder;
mod shaping;
