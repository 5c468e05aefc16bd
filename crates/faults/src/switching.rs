//! Faults of the network between what is up: packets that come late, changed, or not at all.

pub mod bandwidth;
pub mod blackhole;
pub mod connection_reset;
pub mod corrupt;
mod dns;
pub mod dns_block;
pub mod dns_delay;
pub mod dns_error;
pub mod dns_spoof;
pub mod duplicate;
mod filter;
pub mod hosts;
pub mod interface_down;
pub mod latency;
pub mod loss;
mod netem;
pub mod partition;
pub(crate) mod place;
pub mod port_occupy;
mod queue;
pub mod reject;
pub mod reorder;
mod row;
mod rules;
mod shaping;
mod share;
