//! What a fault achieved, beside what was asked.

use serde::{Deserialize, Serialize};

/// One achieved figure with its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub quantity: Quantity,
    /// What was asked for, in the quantity's unit; absent where nothing was.
    pub requested: Option<f64>,
    pub achieved: f64,
    pub low: f64,
    pub high: f64,
    /// Observations behind it: packets, samples, files.
    pub samples: u64,
}

/// What was measured, and in which unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Milliseconds added to a packet.
    AddedDelay,
    /// Share of packets, 0 to 1.
    ShareDropped,
    ShareDuplicated,
    ShareCorrupted,
    ShareReordered,
    ShareRejected,
    /// Share of matching DNS messages that were answered wrongly or not at all, 0 to 1.
    ShareAnswered,
    BytesPerSecond,
    /// Of one core: 1 is a whole core.
    CpuShare,
    /// Bytes.
    MemoryHeld,
    DiskHeld,
    /// Counts.
    InodesHeld,
    ProcessesHeld,
    DescriptorsHeld,
    PortsHeld,
    ConnectionsReset,
    PacketsMatched,
    /// Milliseconds between the clock as it was and as it is.
    ClockOffset,
}
