//! What a canary saw: both arms, and the effect.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Two arms, of which one had the fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CanaryRecord {
    #[serde(flatten)]
    pub divided: DividedRecord,
    /// The fault's own route, where the arms of another are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<BehindRecord>,
    /// Where users are counted: seconds that one is watched at most, before it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<f64>,
    /// `live` or `synthetic`.
    pub traffic: String,
    /// Of all KPIs together.
    pub confidence: f64,
    /// Both arms before the fault.
    pub baseline: ArmsRecord,
    /// With it.
    pub arms: ArmsRecord,
    pub kpis: Vec<CanaryKpiRecord>,
    /// Seconds since the fault was in place until nothing more was asked.
    pub lasted: f64,
    /// Worst case from a request's answer to its being judged, in milliseconds.
    pub reaction_ms: f64,
    pub series: Vec<ArmsPoint>,
}

/// Who divided the traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DividedRecord {
    /// A proxy did.
    Split {
        /// Its HTTP interface, and the route.
        proxy: String,
        route: String,
        /// Of the traffic, that each arm was.
        share: f64,
        by: String,
    },
    /// Others did.
    Apart { sources: SourcesRecord },
}

/// Where the counts of each arm are from, in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourcesRecord {
    pub control: String,
    pub experiment: String,
}

/// A route behind, divided by the same draw, and the requests that came to it since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BehindRecord {
    pub route: String,
    pub by: String,
    pub control: u64,
    pub experiment: u64,
    /// In neither arm: of others, or of whom services do not say.
    pub none: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmsRecord {
    pub control: ArmRecord,
    pub experiment: ArmRecord,
}

/// Raw counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmRecord {
    pub good: u64,
    pub bad: u64,
    /// `(seconds that the longest of a bucket took, how many)`.
    pub times: Vec<(f64, u64)>,
    /// Where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<ArmUsers>,
}

/// Users, each of them once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmUsers {
    /// No bad answer came to them.
    pub good: u64,
    pub bad: u64,
}

/// One look: seconds since the drill's start, and what each arm did since the look before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ArmsPoint {
    pub at: f64,
    /// Good ones and bad ones.
    pub control: (u64, u64),
    pub experiment: (u64, u64),
}

/// The experiment's less the control's: shares or seconds. An end that is not known is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CanaryKpiRecord {
    pub name: String,
    pub measure: Compared,
    /// How much worse it may be.
    pub tolerance: f64,
    pub control: Option<f64>,
    pub experiment: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub standing: CanaryStanding,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    SuccessRatio,
    /// The share of users to whom no bad answer came.
    UserRatio,
    /// This quantile.
    Latency(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CanaryStanding {
    Harmed,
    Harmless,
    NotYet,
}

impl ArmRecord {
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.good.saturating_add(self.bad)
    }
}

impl ArmUsers {
    #[must_use]
    pub fn all(&self) -> u64 {
        self.good.saturating_add(self.bad)
    }
}

impl CanaryKpiRecord {
    /// `−0.021 (95 %: −0.034 to −0.009)`, `+80 ms (95 %: 62 ms to 99 ms)`.
    #[must_use]
    pub fn effect(&self, confidence: f64) -> String {
        let end = |end: Option<f64>| end.map_or_else(|| "open".into(), |end| self.signed(end));
        let difference = match (self.control, self.experiment) {
            (Some(control), Some(experiment)) => self.signed(experiment - control),
            _ => "unknown".into(),
        };
        format!(
            "{difference} ({:.0} %: {} to {})",
            confidence * 100.0,
            end(self.low),
            end(self.high)
        )
    }

    /// A figure of this KPI.
    #[must_use]
    pub fn show(&self, figure: f64) -> String {
        match self.measure {
            Compared::SuccessRatio | Compared::UserRatio => format!("{figure:.4}"),
            Compared::Latency(_) => time(figure),
        }
    }

    /// `success ratio`, `share of users without a bad answer`, `p95`.
    #[must_use]
    pub fn measured(&self) -> String {
        match self.measure {
            Compared::SuccessRatio => "success ratio".into(),
            Compared::UserRatio => "share of users without a bad answer".into(),
            Compared::Latency(quantile) => format!("p{}", (quantile * 1e4).round() / 100.0),
        }
    }

    fn signed(&self, figure: f64) -> String {
        let sign = match figure {
            figure if figure < 0.0 => "−",
            figure if figure > 0.0 => "+",
            _ => "",
        };
        let size = figure.abs();
        match self.measure {
            Compared::SuccessRatio | Compared::UserRatio => format!("{sign}{size:.3}"),
            Compared::Latency(_) => format!("{sign}{}", time(size)),
        }
    }
}

fn time(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    match time.as_secs_f64() {
        long if long >= 10.0 => format!("{long:.1} s"),
        short if short < 0.01 => format!("{:.2} ms", short * 1e3),
        some => format!("{:.0} ms", some * 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_is_told_with_its_interval() {
        let kpi = CanaryKpiRecord {
            name: "checkouts".into(),
            measure: Compared::SuccessRatio,
            tolerance: 0.01,
            control: Some(0.999),
            experiment: Some(0.978),
            low: Some(-0.034),
            high: Some(-0.009),
            standing: CanaryStanding::Harmed,
        };
        assert_eq!(kpi.effect(0.95), "−0.021 (95 %: −0.034 to −0.009)");
        let late = CanaryKpiRecord {
            measure: Compared::Latency(0.95),
            control: Some(0.02),
            experiment: Some(0.1),
            low: Some(0.0),
            high: None,
            ..kpi
        };
        assert_eq!(late.effect(0.9), "+80 ms (90 %: 0.00 ms to open)");
        assert_eq!(late.measured(), "p95");
    }
}
