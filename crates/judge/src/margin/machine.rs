//! The search as a state machine: entries of the journal in, the next step out.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::{Answer, End, Headroom, Hysteresis, Interval, Plotted, Unanswered};
use super::axis::Axis;
use super::belief::{Belief, Ends};
use super::question::{Aim, Question, Scale, Wrong};
use super::trial::{Approach, Ask, TrialRecord, Verdict};
use super::{choice, prior};

/// One dimension under trial. See [`crate::margin`] for what is searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Margin {
    question: Question,
    axis: Axis,
    below: Belief,
    /// The boundary from above, once the one from below is known.
    above: Option<Belief>,
    journal: Vec<Entry>,
    bad_events: u64,
    step: Step,
}

/// What happened, in order. A journal of these, and the question, are all of the state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    Trial(TrialRecord),
    Recovery(Recovery),
}

/// The pause after a trial, with its fault gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Recovery {
    /// Whether the KPI was back within the limit.
    pub recovered: bool,
    pub bad: u64,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Try(Ask),
    /// Wait until the KPI is back, at most so long.
    Recover {
        within: Duration,
    },
    Stop(End),
}

/// Why an entry does not belong here. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Refused {
    /// A trial where a recovery, or nothing, was asked for; or the other way round.
    NotNow { entry: usize },
    /// A magnitude that no trial of this question can have had.
    OffAxis { entry: usize, magnitude: f64 },
}

/// Trials from above, beyond which the hysteresis is left as it is.
const FROM_ABOVE_MAX: usize = 12;

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotNow { entry } => write!(
                f,
                "entry {entry} of the journal is not what was asked for at that point: it belongs to another search, or entries are missing"
            ),
            Refused::OffAxis { entry, magnitude } => write!(
                f,
                "entry {entry} of the journal tried {magnitude}, which this question would never try: its range or resolution was changed"
            ),
        }
    }
}

impl Margin {
    /// # Errors
    /// See [`Wrong`].
    pub fn new(question: Question) -> Result<Self, Wrong> {
        let axis = question.axis()?;
        let below = Belief::new(&prior::from_below(&question.aim, &axis));
        let mut margin = Self {
            step: Step::Stop(End::NotAnswered(Unanswered::TrialsSpent)),
            question,
            axis,
            below,
            above: None,
            journal: Vec::new(),
            bad_events: 0,
        };
        margin.step = margin.decide();
        Ok(margin)
    }

    /// Takes up an interrupted search: the same entries give the same state.
    ///
    /// # Errors
    /// The first entry that does not belong to this search.
    pub fn replay(&mut self, journal: &[Entry]) -> Result<(), Refused> {
        journal.iter().try_for_each(|entry| self.record(*entry))
    }

    #[must_use]
    pub fn step(&self) -> &Step {
        &self.step
    }

    #[must_use]
    pub fn question(&self) -> &Question {
        &self.question
    }

    #[must_use]
    pub fn journal(&self) -> &[Entry] {
        &self.journal
    }

    /// The chance that the next trial breaks the system, by what is believed now; absent when
    /// none is asked for. Of a trial from above, that the system is not well again.
    #[must_use]
    pub fn risk(&self) -> Option<f64> {
        let Step::Try(ask) = &self.step else {
            return None;
        };
        let at = self.axis.place(ask.magnitude)?;
        match (ask.approach, &self.above) {
            (Approach::Above { .. }, Some(above)) => Some(above.risk(at)),
            _ => Some(self.below.risk(at)),
        }
    }

    /// Takes what came of the step that was asked for.
    ///
    /// # Errors
    /// An entry that was not asked for; it changes nothing.
    pub fn record(&mut self, entry: Entry) -> Result<(), Refused> {
        let number = self.journal.len();
        match (&entry, &self.step) {
            (Entry::Trial(trial), Step::Try(_)) => {
                let at = self.axis.place(trial.magnitude).ok_or(Refused::OffAxis {
                    entry: number,
                    magnitude: trial.magnitude,
                })?;
                self.learn(at, trial);
            }
            (Entry::Recovery(recovery), Step::Recover { .. }) => {
                self.bad_events = self.bad_events.saturating_add(recovery.bad);
            }
            _ => return Err(Refused::NotNow { entry: number }),
        }
        self.journal.push(entry);
        self.look_from_above();
        self.step = self.decide();
        Ok(())
    }

    /// What is known so far.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let break_point = self.break_point();
        let above = self.above.as_ref().map(|above| self.interval_above(above));
        let last = self.journal.last();
        Answer {
            end: match self.step {
                Step::Stop(end) => Some(end),
                Step::Try(_) | Step::Recover { .. } => self.found(),
            },
            headroom: self
                .question
                .normal
                .map(|normal| Headroom::new(&break_point, normal)),
            hysteresis: above.and_then(|above| Hysteresis::new(&break_point, above)),
            break_point,
            held: self.held().map(|at| self.axis.magnitude(at)),
            trials: self.trials().count(),
            bad_events: self.bad_events,
            bad_events_max: self.question.budget.bad_events_max,
            recovered: last.is_none_or(|e| matches!(e, Entry::Recovery(r) if r.recovered)),
        }
    }

    /// The posterior of the break point from below.
    #[must_use]
    pub fn plotted(&self) -> Plotted {
        let places = self.below.places();
        let cells = self.axis.cells();
        let ends = (0..cells).map(|at| (self.axis.magnitude(at), self.axis.magnitude(at + 1)));
        Plotted {
            cells: ends
                .zip(&places[1..])
                .map(|((from, to), weight)| (from, to, *weight))
                .collect(),
            below_lowest: places[0],
            beyond_highest: places[cells + 1],
        }
    }

    fn trials(&self) -> impl Iterator<Item = &TrialRecord> {
        self.journal.iter().filter_map(|entry| match entry {
            Entry::Trial(trial) => Some(trial),
            Entry::Recovery(_) => None,
        })
    }

    /// Trials from below, with their places.
    fn ascending(&self) -> impl Iterator<Item = (usize, &TrialRecord)> {
        self.trials()
            .filter(|trial| trial.approach == Approach::Below)
            .filter_map(|trial| Some((self.axis.place(trial.magnitude)?, trial)))
    }

    fn learn(&mut self, at: usize, trial: &TrialRecord) {
        self.bad_events = self.bad_events.saturating_add(trial.spent());
        let broken = trial.chance_broken(self.question.bad_rate_max, self.question.alpha);
        match (trial.approach, &mut self.above) {
            (Approach::Below, _) => self.below.observe(at, broken),
            (Approach::Above { .. }, Some(above)) => above.observe(at, broken),
            (Approach::Above { .. }, None) => {}
        }
    }

    /// Begins with the boundary from above as soon as both ends of the other are known.
    fn look_from_above(&mut self) {
        let Aim::Search { hysteresis, .. } = self.question.aim else {
            return;
        };
        let Some(End::Found) = self.found().filter(|_| hysteresis && self.above.is_none()) else {
            return;
        };
        if let Ends {
            low: Some(low),
            high: Some(high),
        } = self.ends()
        {
            self.above = Some(Belief::new(&prior::from_above(low, high, &self.axis)));
        }
    }

    fn decide(&self) -> Step {
        if let Some(Entry::Trial(_)) = self.journal.last() {
            return Step::Recover {
                within: self.question.recovery_within,
            };
        }
        let found = self.found();
        let next = self
            .above
            .as_ref()
            .and_then(|above| self.ask_from_above(above));
        match (found, self.obstacle(), next) {
            (Some(End::Found), None, Some(ask)) => Step::Try(ask),
            (Some(end), _, _) => Step::Stop(end),
            (None, Some(why), _) => Step::Stop(End::NotAnswered(why)),
            (None, None, _) => self.ask_from_below().map_or(
                Step::Stop(End::NotAnswered(Unanswered::TooRisky)),
                Step::Try,
            ),
        }
    }

    /// Why nothing more may be tried.
    fn obstacle(&self) -> Option<Unanswered> {
        let budget = &self.question.budget;
        if let Some(Entry::Recovery(Recovery {
            recovered: false, ..
        })) = self.journal.last()
        {
            return Some(Unanswered::NotRecovered);
        }
        if self.bad_events.saturating_add(budget.blind()) >= budget.bad_events_max {
            return Some(Unanswered::BadEventsSpent);
        }
        (self.trials().count() >= budget.trials_max as usize).then_some(Unanswered::TrialsSpent)
    }

    /// The answer to the question itself, as soon as there is one.
    fn found(&self) -> Option<End> {
        let highest = self.axis.cells();
        if let Aim::Certify { .. } = self.question.aim {
            if let Some(at) = self.lowest_break() {
                let at = self.axis.magnitude(at);
                return Some(End::Disproven { at });
            }
            return (self.held() == Some(highest)).then_some(End::Proven);
        }
        match self.ends() {
            Ends { low: Some(at), .. } if at == highest => Some(End::BeyondLargest),
            Ends { high: Some(0), .. } => Some(End::BelowLowest),
            Ends {
                low: Some(low),
                high: Some(high),
            } => {
                let (low, high) = (self.axis.magnitude(low), self.axis.magnitude(high));
                let is_narrow = self.axis.is_within_resolution(low, high);
                is_narrow.then_some(End::Found)
            }
            _ => None,
        }
    }

    fn lowest_break(&self) -> Option<usize> {
        let broken = self
            .ascending()
            .filter(|(_, t)| t.verdict == Verdict::Break);
        broken.map(|(at, _)| at).min()
    }

    /// The highest magnitude that was proven to hold, below every break.
    fn held(&self) -> Option<usize> {
        let broken = self.lowest_break().unwrap_or(usize::MAX);
        let held = self.ascending().filter(|(_, t)| t.verdict == Verdict::Hold);
        held.map(|(at, _)| at).filter(|at| *at < broken).max()
    }

    /// The credible interval, widened to magnitudes that were tried: between two of them
    /// nothing was seen, whatever a model thinks.
    fn ends(&self) -> Ends {
        let tried: Vec<usize> = self.ascending().map(|(at, _)| at).collect();
        widened(self.below.interval(self.question.alpha), &tried)
    }

    fn break_point(&self) -> Interval {
        let confidence = 1.0 - self.question.alpha;
        let magnitude = |at: usize| self.axis.magnitude(at);
        if let Aim::Certify { .. } = self.question.aim {
            let is_proven = self.found() == Some(End::Proven);
            return Interval {
                low: is_proven.then(|| magnitude(self.axis.cells())),
                value: None,
                high: self.lowest_break().map(magnitude),
                confidence,
            };
        }
        let ends = self.ends();
        Interval {
            low: ends.low.map(magnitude),
            value: self.below.median().map(|place| self.axis.between(place)),
            high: ends.high.map(magnitude),
            confidence,
        }
    }

    fn interval_above(&self, above: &Belief) -> Interval {
        let ends = self.ends_above(above);
        Interval {
            low: ends.low.map(|at| self.axis.magnitude(at)),
            value: above.median().map(|place| self.axis.between(place)),
            high: ends.high.map(|at| self.axis.magnitude(at)),
            confidence: 1.0 - self.question.alpha,
        }
    }

    fn ends_above(&self, above: &Belief) -> Ends {
        let mut tried = Vec::new();
        for trial in self.trials() {
            if let Approach::Above { from } = trial.approach {
                tried.extend(self.axis.place(trial.magnitude));
                tried.extend(self.axis.place(from));
            }
        }
        widened(above.interval(self.question.alpha), &tried)
    }

    fn ask_from_below(&self) -> Option<Ask> {
        let alpha = self.question.alpha;
        let at = match self.question.aim {
            Aim::Certify { risk_max, .. } => {
                let safe = choice::ascent(&self.below, risk_max, self.axis.cells());
                // The first trial is at the lowest magnitude, which the asker vouches for.
                if self.trials().next().is_none() {
                    0
                } else {
                    safe?
                }
            }
            Aim::Search { jump_max, .. } => choice::search(&self.below, self.limit(jump_max)),
        };
        let mut ask = self.ask(at, Approach::Below);
        if let Aim::Certify { .. } = self.question.aim {
            // Any of the trials may disprove: their chances of error sum to alpha. One
            // magnitude alone can prove, so its trials share one test.
            let number = self.trials().count() as f64 + 1.0;
            ask.alpha_break = alpha / (number * (number + 1.0));
            ask.carried = self.carried(at);
        }
        Some(ask)
    }

    fn ask_from_above(&self, above: &Belief) -> Option<Ask> {
        let Ends {
            low: Some(low),
            high: Some(high),
        } = self.ends()
        else {
            return None;
        };
        let ends = self.ends_above(above);
        let is_narrow = ends.low.zip(ends.high).is_some_and(|(low, high)| {
            let (low, high) = (self.axis.magnitude(low), self.axis.magnitude(high));
            self.axis.is_within_resolution(low, high)
        });
        let is_same = ends.low.is_some_and(|at| at >= low);
        let is_below = ends.high == Some(0);
        let tried = self.trials().filter(|t| t.approach != Approach::Below);
        if is_narrow || is_same || is_below || high == 0 || tried.count() >= FROM_ABOVE_MAX {
            return None;
        }
        let from = self.axis.magnitude(high);
        let at = choice::search(above, high - 1);
        Some(self.ask(at, Approach::Above { from }))
    }

    fn ask(&self, at: usize, approach: Approach) -> Ask {
        let question = &self.question;
        let left = question
            .budget
            .bad_events_max
            .saturating_sub(self.bad_events);
        Ask {
            magnitude: self.axis.magnitude(at),
            approach,
            dwell: question.dwell,
            // What is not seen yet when it ends is spent all the same.
            bad_events_max: question
                .budget
                .bad_events_per_trial_max
                .min(left)
                .saturating_sub(question.budget.unseen_max),
            bad_rate_max: question.bad_rate_max,
            alpha_break: question.alpha,
            alpha_hold: question.alpha,
            carried: (0, 0),
        }
    }

    fn carried(&self, at: usize) -> (u64, u64) {
        let same = self.ascending().filter(|(place, _)| *place == at);
        same.fold((0, 0), |(bad, good), (_, trial)| {
            (
                u64::saturating_add(bad, trial.bad),
                u64::saturating_add(good, trial.good.unwrap_or(0)),
            )
        })
    }

    /// The highest magnitude that one jump from the highest held one reaches; the lowest of
    /// all before anything was seen to hold.
    fn limit(&self, jump_max: f64) -> usize {
        let held = self.ascending().filter(|(_, t)| t.verdict == Verdict::Hold);
        let Some(held) = held.map(|(at, _)| at).max() else {
            return 0;
        };
        let held = self.axis.magnitude(held);
        self.axis.at_most(match self.question.scale {
            Scale::Linear => held + jump_max,
            Scale::Log => held * jump_max,
        })
    }
}

fn widened(ends: Ends, tried: &[usize]) -> Ends {
    let tried = || tried.iter().copied();
    Ends {
        low: ends
            .low
            .and_then(|low| tried().filter(|at| *at <= low).max()),
        high: ends
            .high
            .and_then(|high| tried().filter(|at| *at >= high).min()),
    }
}
