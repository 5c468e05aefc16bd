//! One trial: a magnitude in place, judged while it is, and ended as soon as that is clear.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::question::Dwell;
use crate::binomial::incomplete_beta;
use crate::sequential::BadRateTest;

/// What came of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The bad rate is proven to be within the threshold.
    Hold,
    /// It is proven to be above.
    Break,
    /// Neither was proven by the end of the trial.
    NotYet,
}

/// From which side a magnitude is approached. Breakers, caches and autoscalers remember.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approach {
    /// From a system that has recovered.
    Below,
    /// `from` is put in place first, until the system breaks; then the magnitude itself,
    /// without a pause for recovery, and only then does the trial begin.
    Above { from: f64 },
}

/// A trial to carry out, with its limits.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ask {
    pub magnitude: f64,
    pub approach: Approach,
    pub dwell: Dwell,
    /// With this many bad events, those before the trial included, it ends.
    pub bad_events_max: u64,
    pub bad_rate_max: f64,
    /// The chance to call a system broken that is not.
    pub alpha_break: f64,
    /// The chance to say that a system holds that does not.
    pub alpha_hold: f64,
    /// Bad and good requests of earlier trials that go on proving the same "holds".
    pub carried: (u64, u64),
}

/// A trial that has ended, as the journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrialRecord {
    pub magnitude: f64,
    pub approach: Approach,
    pub verdict: Verdict,
    /// Bad requests of the trial itself.
    pub bad: u64,
    /// Absent where another test than [`Trial`] gave the verdict, which then counts alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<u64>,
    /// Bad requests while the system was brought above, before the trial itself.
    #[serde(default, skip_serializing_if = "is_none")]
    pub bad_before: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Judges the trial that was asked for.
///
/// Both sides are [`BadRateTest`]s, "at most the threshold is bad" and its mirror image, so it
/// may be looked at after every request: a system that holds is called broken with
/// probability at most `alpha_break`, and the other way round at most `alpha_hold`.
#[derive(Debug, Clone)]
pub struct Trial {
    ask: Ask,
    bad: u64,
    good: u64,
    bad_before: u64,
    breaks: BadRateTest,
    holds: BadRateTest,
}

impl Trial {
    #[must_use]
    pub fn new(ask: &Ask) -> Self {
        let mut holds = BadRateTest::new(1.0 - ask.bad_rate_max, ask.alpha_hold);
        let (bad, good) = ask.carried;
        holds.observe(good, bad);
        Self {
            bad: 0,
            good: 0,
            bad_before: 0,
            breaks: BadRateTest::new(ask.bad_rate_max, ask.alpha_break),
            holds,
            ask: ask.clone(),
        }
    }

    /// Bad requests while the system is brought above; true once the cap is reached, and
    /// the trial is to be ended without an answer.
    pub fn observe_before(&mut self, bad: u64) -> bool {
        self.bad_before = self.bad_before.saturating_add(bad);
        self.is_capped()
    }

    /// Takes the requests since the last look; `elapsed` is the time since the magnitude is
    /// in place. The record, once the trial is to be ended.
    pub fn observe(&mut self, elapsed: Duration, bad: u64, good: u64) -> Option<TrialRecord> {
        self.bad = self.bad.saturating_add(bad);
        self.good = self.good.saturating_add(good);
        let is_broken = self.breaks.observe(bad, good);
        let holds = self.holds.observe(good, bad);
        let verdict = if is_broken {
            Verdict::Break
        } else if holds && elapsed >= self.ask.dwell.min {
            Verdict::Hold
        } else if self.is_capped() || elapsed >= self.ask.dwell.max {
            Verdict::NotYet
        } else {
            return None;
        };
        Some(self.ended(verdict))
    }

    /// The record of a trial that is ended from outside; without an answer, it is
    /// [`Verdict::NotYet`].
    #[must_use]
    pub fn ended(&self, verdict: Verdict) -> TrialRecord {
        TrialRecord {
            magnitude: self.ask.magnitude,
            approach: self.ask.approach,
            verdict,
            bad: self.bad,
            good: Some(self.good),
            bad_before: self.bad_before,
        }
    }

    fn is_capped(&self) -> bool {
        self.bad.saturating_add(self.bad_before) >= self.ask.bad_events_max
    }
}

impl TrialRecord {
    pub(super) fn spent(&self) -> u64 {
        self.bad.saturating_add(self.bad_before)
    }

    /// The probability that the trial's true bad rate is above the threshold `b`, from its
    /// own requests, where both sides were equally likely before.
    ///
    /// The prior of the rate is `Beta(1, m)` with `m = ln 2 / -ln(1-b)`, whose median is `b`;
    /// its density has no step at `b`, so a rate near the threshold is evidence for neither
    /// side. Then `P = I_{1-b}(m + good, 1 + bad)`. A stopping rule does not change it.
    pub(super) fn chance_broken(&self, bad_rate_max: f64, alpha: f64) -> f64 {
        let chance = match (self.good, self.verdict) {
            (None, Verdict::Hold) => alpha,
            (None, Verdict::Break) => 1.0 - alpha,
            (None, Verdict::NotYet) => 0.5,
            (Some(good), _) => {
                let m = std::f64::consts::LN_2 / -(-bad_rate_max).ln_1p();
                let (bad, good) = (self.bad.min(COUNT_MAX), good.min(COUNT_MAX));
                incomplete_beta(m + good as f64, 1.0 + bad as f64, 1.0 - bad_rate_max)
            }
        };
        if chance.is_nan() {
            return 0.5;
        }
        chance.clamp(SURE, 1.0 - SURE)
    }
}

/// More requests than this say nothing more about one side of a threshold.
const COUNT_MAX: u64 = 100_000_000;
/// No trial is surer than this: it may have met an incident of its own.
const SURE: f64 = 1e-4;

#[cfg(test)]
mod tests {
    use super::*;

    fn ask() -> Ask {
        Ask {
            magnitude: 1.0,
            approach: Approach::Below,
            dwell: Dwell {
                min: Duration::from_secs(2),
                max: Duration::from_secs(10),
            },
            bad_events_max: 5,
            bad_rate_max: 0.01,
            alpha_break: 0.05,
            alpha_hold: 0.05,
            carried: (0, 0),
        }
    }

    fn record(verdict: Verdict, bad: u64, good: Option<u64>) -> TrialRecord {
        TrialRecord {
            good,
            bad,
            ..Trial::new(&ask()).ended(verdict)
        }
    }

    /// From scipy.stats.beta.sf(b, 1 + bad, m + good), 1.17.1.
    #[test]
    fn the_chance_of_a_broken_trial_agrees_with_scipy() {
        for (b, bad, good, expected) in [
            (0.01, 0, 0, 0.5),
            (0.01, 0, 380, 0.010973469260316232),
            (0.01, 2, 1, 0.9642337737727471),
            (0.01, 20, 1980, 0.49775859928118676),
            (0.3, 7, 10, 0.8204967341255791),
            (0.001, 1, 5000, 0.0224915309080394),
        ] {
            let chance = record(Verdict::NotYet, bad, Some(good)).chance_broken(b, 0.05);
            assert!((chance - expected).abs() < 1e-9, "{bad} {good}: {chance}");
        }
        let judged = |verdict| record(verdict, 3, None).chance_broken(0.01, 0.05);
        assert_eq!(judged(Verdict::Break), 0.95);
        assert_eq!(judged(Verdict::Hold), 0.05);
        assert_eq!(judged(Verdict::NotYet), 0.5);
        let huge = record(Verdict::Break, u64::MAX, Some(u64::MAX)).chance_broken(0.01, 0.05);
        assert!(huge > 0.99, "{huge}");
    }

    #[test]
    fn a_trial_ends_when_its_answer_is_clear_and_not_before() {
        let seconds = Duration::from_secs;
        let mut broken = Trial::new(&ask());
        assert_eq!(broken.observe(seconds(0), 1, 1), None);
        let verdict = broken.observe(seconds(0), 2, 0).map(|r| (r.verdict, r.bad));
        assert_eq!(verdict, Some((Verdict::Break, 3)));

        let mut holds = Trial::new(&ask());
        assert_eq!(
            holds.observe(seconds(1), 0, 5_000),
            None,
            "effects may build up"
        );
        let verdict = holds.observe(seconds(2), 0, 0).map(|r| (r.verdict, r.good));
        assert_eq!(verdict, Some((Verdict::Hold, Some(5_000))));

        let mut unclear = Trial::new(&ask());
        assert_eq!(unclear.observe(seconds(9), 1, 100), None);
        let verdict = unclear.observe(seconds(10), 0, 0).map(|r| r.verdict);
        assert_eq!(verdict, Some(Verdict::NotYet));
    }

    #[test]
    fn a_trial_ends_at_its_cap_what_came_before_it_included() {
        let mut capped = Trial::new(&ask());
        assert!(!capped.observe_before(3));
        assert_eq!(capped.observe(Duration::ZERO, 1, 60), None);
        let record = capped.observe(Duration::ZERO, 1, 60).unwrap();
        assert_eq!((record.verdict, record.spent()), (Verdict::NotYet, 5));
        assert!(Trial::new(&ask()).observe_before(5));
    }

    #[test]
    fn earlier_requests_go_on_proving_that_it_holds() {
        let held_after = |carried| {
            let mut trial = Trial::new(&Ask { carried, ..ask() });
            let at = Duration::from_secs(3);
            (1..1_000).find(|_| trial.observe(at, 0, 1).is_some())
        };
        assert_eq!(held_after((0, 0)), Some(377));
        assert_eq!(held_after((0, 300)), Some(77));
    }
}
