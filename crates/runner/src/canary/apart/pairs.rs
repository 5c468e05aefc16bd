//! Which windows of two streams may be compared.
//!
//! Counters are read at moments of their own, and may be behind. Whether the experiment's answers
//! are too few is asked of counts, so what is given of the control is never of a longer time than
//! what is given of the experiment: a difference that is the sensors' is never harm.

use std::collections::VecDeque;
use std::time::Duration;

use firedrill_experiment::call::KpiSource;
use firedrill_judge::Window;
use firedrill_judge::canary::Before;

/// How far the counts at a window's ends may be from those of that moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slack {
    /// What came so long before may not be in it.
    behind: Duration,
    /// What came so long after may be in it.
    ahead: Duration,
}

impl Slack {
    /// A window's end is at most a quarter of the interval from the reading.
    pub(super) fn of(source: &KpiSource) -> Self {
        let quarter = source.interval() / 4;
        Self {
            behind: source.lag() + quarter,
            ahead: quarter,
        }
    }

    fn sum(self) -> Duration {
        self.behind + self.ahead
    }
}

/// Control and experiment, in this order.
#[derive(Debug)]
pub(super) struct Pairs {
    waiting: [VecDeque<Window>; 2],
    slack: [Slack; 2],
    /// Of the experiment: counts that stand still say that nothing came.
    shows_life: bool,
    /// Only what came after.
    since: Duration,
    /// Of the experiment, since then: where its first window began, and its last one ended.
    covered: Option<(Duration, Duration)>,
    requests: [u64; 2],
    lengths: [Duration; 2],
}

impl Pairs {
    pub(super) fn new(slack: [Slack; 2], shows_life: bool) -> Self {
        Self {
            waiting: Default::default(),
            slack,
            shows_life,
            since: Duration::ZERO,
            covered: None,
            requests: [0; 2],
            lengths: [Duration::ZERO; 2],
        }
    }

    pub(super) fn add(&mut self, arm: usize, window: Window) {
        if let Some(waiting) = self.waiting.get_mut(arm) {
            waiting.push_back(window);
        }
    }

    /// What can be compared now and could not before.
    pub(super) fn take(&mut self) -> Option<[Vec<Window>; 2]> {
        self.forget_earlier();
        let experiment = self.of_experiment();
        if let (Some(first), Some(last)) = (experiment.first(), experiment.last()) {
            let (begins, _) = self.covered.unwrap_or((first.start, first.start));
            self.covered = Some((begins, end(last)));
        }
        let control = self.of_control();
        if control.is_empty() && experiment.is_empty() {
            return None;
        }
        let taken = [control, experiment];
        for (at, windows) in taken.iter().enumerate() {
            for window in windows {
                self.requests[at] = self.requests[at].saturating_add(requests(window));
                self.lengths[at] += window.length;
            }
        }
        Some(taken)
    }

    /// Ends what was before, and says in which proportion it came.
    pub(super) fn turn(&mut self, now: Duration) -> Before {
        let [control, experiment] = self.lengths;
        let [of_control, of_experiment] = self.slack.map(Slack::sum);
        let before = Before {
            requests: self.requests,
            seconds: [
                control.saturating_sub(of_control).as_secs_f64(),
                (experiment + of_experiment).as_secs_f64(),
            ],
        };
        self.since = now;
        self.covered = None;
        self.requests = [0; 2];
        self.lengths = [Duration::ZERO; 2];
        before
    }

    fn forget_earlier(&mut self) {
        for (waiting, slack) in self.waiting.iter_mut().zip(self.slack) {
            let from = match self.since {
                // Nothing was before the first reading.
                Duration::ZERO => Duration::ZERO,
                since => since + slack.behind,
            };
            while waiting.front().is_some_and(|window| window.start < from) {
                waiting.pop_front();
            }
        }
    }

    /// All that is there; but where a sensor may be stuck, nothing after the last that moved.
    fn of_experiment(&mut self) -> Vec<Window> {
        let waiting = &mut self.waiting[1];
        let count = match self.shows_life {
            true => waiting.len(),
            false => {
                let moved = waiting.iter().rposition(|window| requests(window) > 0);
                moved.map_or(0, |at| at + 1)
            }
        };
        waiting.drain(..count).collect()
    }

    /// Within what is covered of the experiment.
    fn of_control(&mut self) -> Vec<Window> {
        let Some((begins, ends)) = self.covered else {
            return Vec::new();
        };
        let [own, other] = self.slack;
        let from = begins + other.ahead + own.behind;
        let to = ends.saturating_sub(other.behind + own.ahead);
        let waiting = &mut self.waiting[0];
        while waiting.front().is_some_and(|window| window.start < from) {
            waiting.pop_front();
        }
        let count = waiting.partition_point(|window| end(window) <= to);
        waiting.drain(..count).collect()
    }
}

fn end(window: &Window) -> Duration {
    window.start + window.length
}

fn requests(window: &Window) -> u64 {
    window.good + window.degraded + window.bad
}

#[cfg(test)]
mod tests;
