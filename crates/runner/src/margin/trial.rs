//! One trial: a magnitude is put in place, watched, and taken back as soon as its answer is clear.

use std::time::Duration;

use firedrill_engine::effect::FaultReport;
use firedrill_experiment::journal::Interruption;
use firedrill_experiment::journal::margin::{Stopped, TrialReport};
use firedrill_judge::margin::{Approach, Ask, Trial, TrialRecord, Verdict};
use firedrill_judge::{Window, sequential::BadRateTest};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::stream::{Seen, on_time};
use super::{Notice, Search};
use crate::provider::{Canceller, canceller};

/// How often a trial is made that says nothing, before that is the answer.
const TRIES: usize = 4;

/// A magnitude in place.
struct InPlace {
    since: Duration,
    canceller: Canceller,
    task: JoinHandle<FaultReport>,
}

/// A trial that says nothing, and why; and what it cost all the same.
struct Void {
    why: Stopped,
    bad: u64,
}

/// What else ends a trial.
enum Ended {
    Void(Void),
    Stopped(Stopped),
}

impl From<Stopped> for Ended {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl Search<'_> {
    /// The trial that was asked for; one that says nothing is made again, a few times.
    pub(super) async fn trial(&mut self, number: usize, ask: &Ask) -> Result<TrialReport, Stopped> {
        let mut spent = 0;
        for _ in 1..TRIES {
            match self.try_once(number, ask, spent).await {
                Ok(report) => return Ok(report),
                Err(Ended::Stopped(stopped)) => return Err(stopped),
                Err(Ended::Void(Void { why, bad })) => {
                    self.look(Notice::Void(&why));
                    let recovery = self.recover(self.asked.question.recovery_within).await?;
                    if !recovery.recovered {
                        return Err(why);
                    }
                    spent += bad + recovery.bad;
                }
            }
        }
        match self.try_once(number, ask, spent).await {
            Ok(report) => Ok(report),
            Err(Ended::Stopped(why) | Ended::Void(Void { why, .. })) => Err(why),
        }
    }

    async fn try_once(
        &mut self,
        number: usize,
        ask: &Ask,
        spent: u64,
    ) -> Result<TrialReport, Ended> {
        let mut trial = Trial::new(ask);
        trial.observe_before(spent);
        if let Approach::Above { from } = ask.approach
            && let Some(record) = self.break_first(from, ask, &mut trial).await?
        {
            let at = seconds(self.began.elapsed());
            return Ok(TrialReport {
                number,
                trial: record,
                applied: at,
                reverted: at,
                mechanism: String::new(),
                achieved: None,
            });
        }
        let mut place = self.put(ask.magnitude, &mut trial).await?;
        let since = place.since;
        let watched = self.watch(&mut place, &mut trial).await;
        let report = place.take_back().await?;
        check(&report)?;
        let (record, windows) = watched?;
        let void = |why| {
            let bad = record.bad + record.bad_before - spent.min(record.bad_before);
            Ended::Void(Void { why, bad })
        };
        on_time(&windows, record.verdict).map_err(void)?;
        if !report.observed {
            let achieved = report.achieved.unwrap_or_else(|| "nothing".into());
            return Err(void(Stopped::NoEffect(format!(
                "at {} the fault had no effect that was seen ({achieved}), so nothing was learned",
                self.asked.unit.show(ask.magnitude)
            ))));
        }
        Ok(TrialReport {
            number,
            trial: record,
            applied: seconds(since),
            reverted: seconds(self.began.elapsed()),
            mechanism: report.mechanism,
            achieved: report.achieved,
        })
    }

    /// The system is brought to break, from where the magnitude is approached. The record, where
    /// that alone spent what the trial may.
    async fn break_first(
        &mut self,
        from: f64,
        ask: &Ask,
        trial: &mut Trial,
    ) -> Result<Option<TrialRecord>, Stopped> {
        let place = self.put(from, trial).await?;
        let mut breaks = BadRateTest::new(ask.bad_rate_max, ask.alpha_break);
        let mut ended = Ok(None);
        let until = place.since + ask.dwell.max + self.asked.kpi.tells_late_by();
        while self.began.elapsed() < until {
            let seen = match self.stream.next(&mut self.cancel).await {
                Ok(seen) => seen,
                Err(stopped) => {
                    ended = Err(stopped);
                    break;
                }
            };
            let counted = self.stream.counts(&seen.window);
            if trial.observe_before(counted.bad) {
                ended = Ok(Some(trial.ended(Verdict::NotYet)));
                break;
            }
            if self.is_of(&seen, &place) && breaks.observe(counted.bad, counted.good) {
                break;
            }
        }
        let report = place.take_back().await?;
        check(&report)?;
        ended
    }

    /// Puts the magnitude in place. Bad requests meanwhile are of the trial's cost.
    async fn put(&mut self, magnitude: f64, trial: &mut Trial) -> Result<InPlace, Stopped> {
        let call = self.asked.fault_at(magnitude);
        let (canceller, cancel) = canceller();
        let (tell, mut applied) = oneshot::channel();
        let (faults, began) = (self.faults.clone(), self.began);
        let mut task = tokio::spawn(async move {
            let tell = move || {
                // Nobody waits any more when the search was stopped.
                let _gone = tell.send(());
            };
            faults.run(&call, cancel, began, tell).await
        });
        loop {
            tokio::select! {
                biased;
                word = &mut applied => {
                    if word.is_err() {
                        let report = joined(task.await)?;
                        check(&report)?;
                        return Err(Stopped::Failed("the fault ended before it began".into()));
                    }
                    let since = self.began.elapsed();
                    return Ok(InPlace { since, canceller, task });
                }
                seen = self.stream.next(&mut self.cancel) => match seen {
                    Ok(seen) => {
                        trial.observe_before(self.stream.counts(&seen.window).bad);
                    }
                    Err(stopped) => {
                        canceller.cancel(Interruption::cancelled("the search was stopped"));
                        let report = joined((&mut task).await)?;
                        // That it never began is what was asked for; that it is gone, is not sure.
                        check_gone(&report)?;
                        return Err(stopped);
                    }
                },
            }
        }
    }

    /// Whether all of it is of this magnitude.
    fn is_of(&self, seen: &Seen, place: &InPlace) -> bool {
        seen.since >= place.since + self.asked.kpi.settles()
    }

    /// Until the answer is clear, with the windows that gave it.
    async fn watch(
        &mut self,
        place: &mut InPlace,
        trial: &mut Trial,
    ) -> Result<(TrialRecord, Vec<Window>), Stopped> {
        let mut windows = Vec::new();
        let mut first = None;
        loop {
            if place.task.is_finished() {
                // Its time was over before anything was clear.
                return Ok((trial.ended(Verdict::NotYet), windows));
            }
            let seen = self.stream.next(&mut self.cancel).await?;
            let counted = self.stream.counts(&seen.window);
            if !self.is_of(&seen, place) {
                if !trial.observe_before(counted.bad) {
                    continue;
                }
                if self.asked.kpi.is_counted_elsewhere() {
                    // Only a trial that breaks ends so, and as one that is not clear it would have
                    // the search believe that it may hold.
                    return Err(Stopped::Traffic(format!(
                        "a trial spent what it may before KPI `{}` told of it alone; a larger budget, or a shorter `interval`, goes on",
                        self.asked.kpi.name
                    )));
                }
                return Ok((trial.ended(Verdict::NotYet), windows));
            }
            // How long it was watched is what was told of it, and not what time it is.
            let began = match self.asked.kpi.is_counted_elsewhere() {
                true => *first.get_or_insert(seen.since),
                false => place.since,
            };
            let elapsed = seen.until.saturating_sub(began);
            windows.push(seen.window);
            if let Some(record) = trial.observe(elapsed, counted.bad, counted.good) {
                return Ok((record, windows));
            }
        }
    }
}

impl InPlace {
    async fn take_back(self) -> Result<FaultReport, Stopped> {
        self.canceller
            .cancel(Interruption::cancelled("its answer is clear"));
        joined(self.task.await)
    }
}

fn joined(ended: Result<FaultReport, tokio::task::JoinError>) -> Result<FaultReport, Stopped> {
    ended.map_err(|error| Stopped::Failed(format!("the fault's task ended: {error}")))
}

/// That it was made, and is gone.
fn check(report: &FaultReport) -> Result<(), Stopped> {
    if let Some(why) = &report.refused {
        return Err(Stopped::Refused(why.clone()));
    }
    check_gone(report)
}

fn check_gone(report: &FaultReport) -> Result<(), Stopped> {
    if !report.residue.is_empty() {
        return Err(Stopped::Residue(report.residue.join("; ")));
    }
    Ok(())
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}
