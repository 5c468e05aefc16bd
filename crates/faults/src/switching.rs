//! Faults of the network between what is up: packets that come late, changed, or not at all.

pub mod bandwidth;
pub mod blackhole;
pub mod corrupt;
pub mod duplicate;
mod filter;
pub mod latency;
pub mod loss;
mod netem;
mod place;
pub mod reject;
pub mod reorder;
mod rules;
mod shaping;
