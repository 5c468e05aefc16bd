//! Sources as arms of a canary: what each can tell, and whether two of them are two at all.

use std::time::Duration;

use super::{Counters, CountersCall, KpiSource, ProxyArm};

impl KpiSource {
    /// Whether it says how long requests took.
    #[must_use]
    pub fn has_latencies(&self) -> bool {
        match self {
            Self::Load(_) => true,
            Self::Counters(call) => match &call.from {
                Counters::Proxy { .. } => true,
                Counters::Prometheus { latency, .. } => latency.is_some(),
                Counters::Json { .. } => false,
            },
        }
    }

    /// Whether counts that stand still mean that nothing was to be counted. A proxy counts where it
    /// is asked, and an endpoint that tells its time is alive; what stands still elsewhere may be
    /// the sensor alone.
    #[must_use]
    pub fn shows_life(&self) -> bool {
        match self {
            Self::Load(_) => true,
            Self::Counters(call) => match &call.from {
                Counters::Proxy { .. } => true,
                Counters::Prometheus { .. } => false,
                Counters::Json { stamp, .. } => stamp.is_some(),
            },
        }
    }

    /// Between two readings; of a load, none.
    #[must_use]
    pub fn interval(&self) -> Duration {
        match self {
            Self::Load(_) => Duration::ZERO,
            Self::Counters(call) => call.interval,
        }
    }

    /// Whether requests may be counted by both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Load(one), Self::Load(other)) => {
                let same_request = (&one.method, &one.headers, &one.body)
                    == (&other.method, &other.headers, &other.body);
                is_same_place(&one.url, &other.url) && same_request
            }
            (Self::Counters(one), Self::Counters(other)) => count_the_same(one, other),
            _ => false,
        }
    }
}

fn count_the_same(one: &CountersCall, other: &CountersCall) -> bool {
    match (&one.from, &other.from) {
        (
            Counters::Proxy { url, proxy, arm },
            Counters::Proxy {
                url: other_url,
                proxy: other_proxy,
                arm: other_arm,
            },
        ) => {
            let is_one_arm = arm == other_arm || [arm, other_arm].contains(&&ProxyArm::All);
            is_same_place(url, other_url) && proxy == other_proxy && is_one_arm
        }
        (
            Counters::Prometheus { url, good, .. },
            Counters::Prometheus {
                url: other_url,
                good: other_good,
                ..
            },
        ) => is_same_place(url, other_url) && good == other_good,
        (
            Counters::Json {
                url, headers, good, ..
            },
            Counters::Json {
                url: other_url,
                headers: other_headers,
                good: other_good,
                ..
            },
        ) => {
            is_same_place(url, other_url)
                && headers == other_headers
                && good.iter().any(|path| other_good.contains(path))
        }
        _ => false,
    }
}

fn is_same_place(one: &str, other: &str) -> bool {
    one.trim().trim_end_matches('/') == other.trim().trim_end_matches('/')
}
