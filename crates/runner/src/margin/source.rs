//! Who says whether a magnitude is borne, and what that one can tell: the load generator, which
//! knows its own rate and tells a window when its last request has ended; or counters of live
//! traffic, which are read every so often and may be older than the reading.

use std::time::Duration;

use firedrill_experiment::call::{self, Counters, KpiSource};
use firedrill_experiment::document::{Expected, Experiment, Kpi, Margin, NormalFrom};
use firedrill_experiment::scope::Scope;
use firedrill_experiment::units::format_duration;
use firedrill_judge::margin::Question;
use firedrill_judge::{Degraded, Objective};

use crate::kpi::tells_after;

/// The KPI, and what is well of it.
#[derive(Debug, Clone)]
pub struct Watched {
    pub name: String,
    pub source: KpiSource,
    pub objective: Objective,
    pub count_degraded_as: Degraded,
    settles: Duration,
}

impl Watched {
    /// The margin's KPI; or the reasons why nobody can tell of it.
    pub(super) fn of(
        experiment: &Experiment,
        margin: &Margin,
        scope: &Scope,
        reasons: &mut Vec<String>,
    ) -> Option<Self> {
        let kpi = experiment.kpis.get(margin.kpi)?;
        let mut source = match call::resolve_kpi(&kpi.provider, scope) {
            Ok(source) => source,
            Err(error) => {
                reasons.push(format!("KPI `{}`: {error}", kpi.name));
                return None;
            }
        };
        let objective = objective(kpi);
        let settles = match &mut source {
            // Its requests are counted by when they began.
            KpiSource::Load(_) => Duration::ZERO,
            KpiSource::Counters(call) => {
                call.latency_limits = objective.latency.map(|(_, max)| max).into_iter().collect();
                experiment.expect.transition
            }
        };
        let measured = margin.normal.map(|normal| normal.from);
        if let Some(NormalFrom::Latency(_)) = measured
            && !has_latencies(&source)
        {
            reasons.push(format!(
                "KPI `{}`: a quantile of its latency is to be normal today, and its source counts no latencies; write what is normal as a magnitude, or use `load`, `proxy`, or `prometheus` with `latency`",
                kpi.name
            ));
        }
        Some(Self {
            name: kpi.name.clone(),
            source,
            objective,
            count_degraded_as: match experiment.expect.during {
                Expected::Degrade => Degraded::Good,
                Expected::Continue | Expected::Stop { .. } => Degraded::Bad,
            },
            settles,
        })
    }

    /// Whether others count, in their own time.
    #[must_use]
    pub fn is_counted_elsewhere(&self) -> bool {
        matches!(self.source, KpiSource::Counters(_))
    }

    /// What is counted so soon after the fault is in place is of requests from before it.
    pub(crate) fn settles(&self) -> Duration {
        self.settles
    }

    /// Where the requests go, or their counters are read.
    #[must_use]
    pub fn url(&self) -> &str {
        match &self.source {
            KpiSource::Load(call) => &call.url,
            KpiSource::Counters(call) => match &call.from {
                Counters::Proxy { url, .. }
                | Counters::Prometheus { url, .. }
                | Counters::Json { url, .. } => url,
            },
        }
    }

    /// How much longer than a trial itself its fault is in place, so that the source can tell.
    pub(super) fn tells_late_by(&self) -> Duration {
        self.settles + tells_after(&self.source)
    }

    /// How much longer it may be silent where a reading was missed.
    pub(super) fn misses(&self) -> Duration {
        match &self.source {
            KpiSource::Load(_) => Duration::ZERO,
            KpiSource::Counters(call) => call.silence_max + call.timeout,
        }
    }

    /// The most bad requests between one and its being seen, where so many come in a second. A
    /// generator's own are counted with its windows, as they end.
    #[must_use]
    pub fn unseen(&self, rate: f64) -> u64 {
        let blind = match &self.source {
            KpiSource::Load(_) => return 0,
            KpiSource::Counters(_) => self.source.reaction().unwrap_or_default(),
        };
        (rate * blind.as_secs_f64()).ceil() as u64
    }

    /// The most bad requests from a fault's beginning until a count of it alone is told.
    #[must_use]
    pub fn before(&self, rate: f64) -> u64 {
        (rate * self.tells_late_by().as_secs_f64()).ceil() as u64
    }

    /// Has the budget keep back what a trial may spend unseen, where so many requests come.
    pub(super) fn keep_back(&self, question: &mut Question, rate: f64) {
        question.budget.unseen_max = self.unseen(rate);
        question.budget.before_max = self.before(rate);
    }

    /// Why no trial could begin: all that it may spend could be gone before anybody sees it.
    pub(super) fn too_blind(&self, question: &Question, rate: f64) -> Option<String> {
        let KpiSource::Counters(call) = &self.source else {
            return None;
        };
        let budget = &question.budget;
        let most = budget.bad_events_per_trial_max.min(budget.bad_events_max);
        let (unseen, before) = (self.unseen(rate), self.before(rate));
        let to_break = question.requests_to_break();
        let needed = unseen + before + to_break;
        (needed > most).then(|| {
            format!(
                "a trial may spend {most} bad requests, and may need {needed} where it breaks: at {rate:.0} requests/s {before} until KPI `{}` tells of it alone ({:.1} s), {to_break} that show it, and {unseen} until they are seen ({:.1} s at the latest); make `bad-events-per-trial` larger, or `interval` ({}), `silence-max` ({}), `timeout` ({}) and `scrape` ({}) shorter",
                self.name,
                self.tells_late_by().as_secs_f64(),
                self.source.reaction().unwrap_or_default().as_secs_f64(),
                format_duration(call.interval),
                format_duration(call.silence_max),
                format_duration(call.timeout),
                format_duration(call.scrape),
            )
        })
    }

    /// A trial that could never be said to hold answers nothing.
    pub(super) fn too_slow(&self, question: &Question, rate: f64) -> Option<String> {
        let needed = question.requests_to_hold();
        let seen = rate * question.dwell.max.as_secs_f64();
        (seen < needed as f64).then(|| {
            let more = match &self.source {
                KpiSource::Load(_) => "send",
                KpiSource::Counters(_) => "have",
            };
            format!(
                "KPI `{}` cannot answer: the longest trial sees about {seen:.0} requests, and to say that a magnitude is borne takes {needed} at the least; make `dwell.max` {:.0} s longer, or {more} more than {}/s",
                self.name,
                ((needed as f64 - seen) / rate.max(1e-9)).ceil(),
                (rate * 10.0).round() / 10.0,
            )
        })
    }
}

fn has_latencies(source: &KpiSource) -> bool {
    match source {
        KpiSource::Load(_) => true,
        KpiSource::Counters(call) => match &call.from {
            Counters::Proxy { .. } => true,
            Counters::Prometheus { latency, .. } => latency.is_some(),
            Counters::Json { .. } => false,
        },
    }
}

/// Worst windows are for drills that last: a trial ends when it is clear.
fn objective(kpi: &Kpi) -> Objective {
    Objective {
        success_ratio_min: kpi.objective.success_ratio_min,
        success_ratio_max: None,
        latency: kpi.objective.latency,
        worst_window: None,
        bad_max: None,
    }
}
