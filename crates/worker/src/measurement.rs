//! What a fault achieved, beside what was asked.

use std::fmt;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

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
    /// By everybody, on the host or in the cgroup.
    MemoryUsed,
    DiskHeld,
    /// Counts.
    InodesHeld,
    ProcessesHeld,
    DescriptorsHeld,
    PortsHeld,
    ConnectionsReset,
    PacketsMatched,
    /// Connections that were led through a proxy.
    ConnectionsProxied,
    /// Share of the connections that matched, 0 to 1.
    ShareProxied,
    /// Sessions that go on with servers which a load balancer was told to leave out.
    SessionsLeft,
    /// Share of new sessions that such servers got all the same, 0 to 1.
    ShareOfSessions,
    /// Share of the requests of a route that met what was put on it, 0 to 1.
    ShareMet,
    /// Bytes that came to a route while that was on it.
    BytesMet,
    /// Milliseconds between the clock as it was and as it is.
    ClockOffset,
}

impl Quantity {
    /// As the journal writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AddedDelay => "added-delay",
            Self::ShareDropped => "share-dropped",
            Self::ShareDuplicated => "share-duplicated",
            Self::ShareCorrupted => "share-corrupted",
            Self::ShareReordered => "share-reordered",
            Self::ShareRejected => "share-rejected",
            Self::ShareAnswered => "share-answered",
            Self::BytesPerSecond => "bytes-per-second",
            Self::CpuShare => "cpu-share",
            Self::MemoryHeld => "memory-held",
            Self::MemoryUsed => "memory-used",
            Self::DiskHeld => "disk-held",
            Self::InodesHeld => "inodes-held",
            Self::ProcessesHeld => "processes-held",
            Self::DescriptorsHeld => "descriptors-held",
            Self::PortsHeld => "ports-held",
            Self::ConnectionsReset => "connections-reset",
            Self::PacketsMatched => "packets-matched",
            Self::ConnectionsProxied => "connections-proxied",
            Self::ShareProxied => "share-proxied",
            Self::SessionsLeft => "sessions-left",
            Self::ShareOfSessions => "share-of-sessions",
            Self::ShareMet => "share-met",
            Self::BytesMet => "bytes-met",
            Self::ClockOffset => "clock-offset",
        }
    }

    /// The unit of its figures; `1` for shares and counts.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::AddedDelay | Self::ClockOffset => "ms",
            Self::BytesPerSecond => "bytes/s",
            Self::CpuShare => "cores",
            Self::MemoryHeld | Self::MemoryUsed | Self::DiskHeld | Self::BytesMet => "bytes",
            _ => "1",
        }
    }

    /// What a figure of it is said of, in words.
    fn subject(self) -> &'static str {
        match self {
            Self::AddedDelay => "added delay",
            Self::ShareDropped => "dropped",
            Self::ShareDuplicated => "duplicated",
            Self::ShareCorrupted => "corrupted",
            Self::ShareReordered => "reordered",
            Self::ShareRejected => "rejected",
            Self::ShareAnswered => "DNS messages changed",
            Self::BytesPerSecond => "rate",
            Self::CpuShare => "CPU",
            Self::MemoryHeld => "memory held",
            Self::MemoryUsed => "memory used",
            Self::DiskHeld => "disk held",
            Self::InodesHeld => "inodes held",
            Self::ProcessesHeld => "processes held",
            Self::DescriptorsHeld => "descriptors held",
            Self::PortsHeld => "ports held",
            Self::ConnectionsReset => "connections reset",
            Self::PacketsMatched => "packets matched",
            Self::ConnectionsProxied => "connections led through the proxy",
            Self::ShareProxied => "of the connections led through the proxy",
            Self::SessionsLeft => "sessions left",
            Self::ShareOfSessions => "of the new sessions on servers out of use",
            Self::ShareMet => "of the requests met it",
            Self::BytesMet => "passed it",
            Self::ClockOffset => "clock offset",
        }
    }

    fn is_share(self) -> bool {
        matches!(
            self,
            Self::ShareDropped
                | Self::ShareDuplicated
                | Self::ShareCorrupted
                | Self::ShareReordered
                | Self::ShareRejected
                | Self::ShareAnswered
                | Self::ShareProxied
                | Self::ShareOfSessions
                | Self::ShareMet
        )
    }

    /// One figure with its unit: `50.1 ms`, `29.8 %`, `64.0 MiB`.
    fn show(self, figure: f64) -> String {
        match self {
            _ if self.is_share() => format!("{:.2} %", figure * 100.0),
            Self::AddedDelay | Self::ClockOffset => format!("{figure:.2} ms"),
            Self::CpuShare => format!("{figure:.3} cores"),
            Self::MemoryHeld | Self::MemoryUsed | Self::DiskHeld | Self::BytesMet => bytes(figure),
            Self::BytesPerSecond => format!("{}/s", bytes(figure)),
            _ => format!("{figure:.0}"),
        }
    }
}

/// In the largest binary unit that leaves at least one before the point.
fn bytes(figure: f64) -> String {
    let mut figure = figure;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if figure < 1024.0 {
            return format!("{figure:.1} {unit}");
        }
        figure /= 1024.0;
    }
    format!("{figure:.1} TiB")
}

impl fmt::Display for Measurement {
    /// `added delay 50.10 ms (49.90 ms to 50.30 ms, asked 50.00 ms)`; an interval of no width is
    /// left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |figure| self.quantity.show(figure);
        write!(f, "{} {}", self.quantity.subject(), show(self.achieved))?;
        let mut aside = Vec::new();
        if show(self.low) != show(self.high) {
            aside.push(format!("{} to {}", show(self.low), show(self.high)));
        }
        if let Some(requested) = self.requested {
            aside.push(format!("asked {}", show(requested)));
        }
        if aside.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", aside.join(", "))
    }
}

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

impl Measurement {
    /// A figure that was counted or read, not sampled: its interval is itself.
    #[must_use]
    pub fn exact(quantity: Quantity, requested: Option<f64>, achieved: f64) -> Self {
        Self {
            quantity,
            requested,
            achieved,
            low: achieved,
            high: achieved,
            samples: 1,
        }
    }

    /// The mean of independent samples with Student's interval. `None` below two samples, which
    /// say nothing of their spread.
    #[must_use]
    pub fn mean(quantity: Quantity, requested: Option<f64>, samples: &[f64]) -> Option<Self> {
        if samples.len() < 2 {
            return None;
        }
        let n = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / n;
        let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
        let error = (squares / (n - 1.0) / n).sqrt();
        let t = StudentsT::new(0.0, 1.0, n - 1.0).map_or(Z, |t| t.inverse_cdf(0.975));
        Some(Self {
            quantity,
            requested,
            achieved: mean,
            low: mean - t * error,
            high: mean + t * error,
            samples: samples.len() as u64,
        })
    }

    /// The share of `hits` among `trials` with Wilson's interval (Wilson 1927), which holds at
    /// shares near 0 and 1 too. `None` without trials, or with more hits than trials.
    #[must_use]
    pub fn share(
        quantity: Quantity,
        requested: Option<f64>,
        hits: u64,
        trials: u64,
    ) -> Option<Self> {
        if trials == 0 || hits > trials {
            return None;
        }
        let n = trials as f64;
        let share = hits as f64 / n;
        let square = Z * Z;
        let middle = (share + square / (2.0 * n)) / (1.0 + square / n);
        let half =
            Z / (1.0 + square / n) * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
        Some(Self {
            quantity,
            requested,
            achieved: share,
            // At 0 and 1 the bound is the share itself, but for rounding.
            low: (middle - half).clamp(0.0, share),
            high: (middle + half).clamp(share, 1.0),
            samples: trials,
        })
    }
}

#[cfg(test)]
mod tests;
