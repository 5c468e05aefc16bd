//! A canary, carried out: a route of a proxy is divided, or others divide the traffic; one arm gets a
//! fault, and both are compared at every look until something is proven or time is up. Fault and
//! split are the guardian's to undo.
//!
//! - [`ask`]: the question, from the document;
//! - `apart`: arms with sources of their own, divided by others;
//! - `sensors`: what both kinds of arms tell;
//! - [`propose`]: which canaries the routes of a proxy suggest;
//! - `behind`: the fault's own route, where that is not the one that is compared;
//! - `hours`: when it may run;
//! - `sense`: what the proxy counted since the last look, and whether it may be believed;
//! - `users`: the same of users;
//! - `told`: what came of it, in words.

mod apart;
pub mod ask;
mod behind;
mod hours;
pub mod propose;
mod sense;
mod sensors;
mod told;
mod users;

use std::time::Duration;

use firedrill_engine::effect::{FaultReport, Signal};
use firedrill_experiment::journal::{ArmsPoint, CanaryRecord, Interruption, Verdict};
use firedrill_judge::Alpha;
use firedrill_judge::canary::{Before, Canary, Standing, are_even};
use firedrill_load::LoadHandle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::fault::Faults;
use crate::provider::{Canceller, canceller};
use apart::Apart;
use ask::{Arms, Asked, Shares};
use behind::Behind;
use sense::Sense;
use sensors::{OfRoute, Sensors};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(250);
/// How unlikely a mismatch of the arms has to be before it is one.
const MISMATCH_ALPHA: f64 = 0.001;
/// So long without a single request of the control, and nobody knows what is compared.
const STILL_MAX: Duration = Duration::from_secs(15);

/// For whoever looks on.
#[derive(Debug)]
pub enum Notice<'a> {
    Divided,
    /// Others divide; both arms are watched.
    Watched,
    /// Both arms are alike so far, whatever each got.
    Alike {
        counted: [u64; 2],
    },
    /// Both arms are alike so far, and got as much as each other. Users, where they are asked about; requests otherwise.
    Even {
        counted: [u64; 2],
    },
    InPlace,
    Looked {
        counted: [u64; 2],
        record: &'a CanaryRecord,
    },
    Stopped(&'a str),
}

/// What came of a canary.
#[derive(Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    /// Sentences; the first is the headline.
    pub reasons: Vec<String>,
    pub record: CanaryRecord,
    /// None where it never came to that.
    pub fault: Option<FaultReport>,
    pub residue: Vec<String>,
    pub took: Duration,
}

/// Why it ends: a verdict and its reasons.
#[derive(Debug)]
struct End {
    verdict: Verdict,
    why: String,
}

/// Divides, compares, and leaves everything as it was.
pub async fn hold(
    asked: Asked,
    faults: Faults,
    signals: mpsc::UnboundedReceiver<Signal>,
    look: impl FnMut(Duration, Notice<'_>),
) -> Outcome {
    let mut look = look;
    let mut course = Course {
        record: told::blank(&asked),
        asked,
        faults,
        signals,
        look: &mut look,
        began: Instant::now(),
        fault: None,
        residue: Vec::new(),
    };
    let end = course.run().await;
    course.faults.finish().await;
    course.outcome(end)
}

struct Course<'a> {
    asked: Asked,
    faults: Faults,
    signals: mpsc::UnboundedReceiver<Signal>,
    look: &'a mut dyn FnMut(Duration, Notice<'_>),
    began: Instant,
    record: CanaryRecord,
    fault: Option<FaultReport>,
    residue: Vec<String>,
}

/// The fault, held by a task of its own.
struct InPlace {
    since: Instant,
    canceller: Canceller,
    task: JoinHandle<FaultReport>,
}

impl Course<'_> {
    async fn run(&mut self) -> End {
        if let Err(end) = self.may_begin() {
            return end;
        }
        let load = match self.load() {
            Ok(load) => load,
            Err(end) => return end,
        };
        let end = match self.asked.arms.clone() {
            Arms::Route(shares) => self.divided(&shares).await,
            Arms::Apart(sources) => match Apart::begin(&self.asked, &sources).await {
                Ok(apart) => {
                    (self.look)(self.began.elapsed(), Notice::Watched);
                    self.compare(Sensors::Apart(Box::new(apart))).await
                }
                Err(why) => inconclusive(why),
            },
        };
        if let Some(load) = load {
            let _ = load.halt().await;
        }
        end
    }

    /// With a route that is divided as long as this takes.
    async fn divided(&mut self, shares: &Shares) -> End {
        let id = match self.faults.put(shares.splits()).await {
            Ok(id) => id,
            Err(why) => return refused(why),
        };
        (self.look)(self.began.elapsed(), Notice::Divided);
        let sensors = Behind::begin(shares).and_then(|behind| {
            let sense = Sense::begin(shares)?;
            Ok(Sensors::Route(Box::new(OfRoute { sense, behind })))
        });
        let end = match sensors {
            Ok(sensors) => self.compare(sensors).await,
            Err(why) => inconclusive(why),
        };
        // At once, whatever the fault's end may still take.
        self.residue.extend(self.faults.take_back(id).await);
        end
    }

    fn may_begin(&self) -> Result<(), End> {
        if let Some(window) = &self.asked.window
            && let Err(why) = window.is_open(&jiff::Timestamp::now())
        {
            return Err(refused(why));
        }
        let Arms::Route(shares) = &self.asked.arms else {
            return Ok(());
        };
        match tokio::task::block_in_place(|| sense::failover(shares)) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(refused(format!("a failover is in progress: {why}"))),
            Err(why) => Err(refused(why)),
        }
    }

    fn load(&self) -> Result<Option<LoadHandle>, End> {
        let Some(call) = &self.asked.load else {
            return Ok(None);
        };
        // What clients see is told by the arms; nobody reads the windows.
        let (windows, _unread) = mpsc::unbounded_channel();
        firedrill_load::start(&crate::kpi::load_config(call, self.asked.seed), windows)
            .map(Some)
            .map_err(|error| refused(format!("the load cannot begin: {error}")))
    }

    /// Until the end; the fault is gone then.
    async fn compare(&mut self, mut sensors: Sensors) -> End {
        let before = match self.baseline(&mut sensors).await {
            Ok(before) => before,
            Err(end) => return end,
        };
        let place = match self.put().await {
            Ok(place) => place,
            Err(end) => return end,
        };
        sensors.begin_anew();
        (self.look)(self.began.elapsed(), Notice::InPlace);
        let end = match self.watch(&mut sensors, before, &place).await {
            Ok(end) | Err(end) => end,
        };
        self.record.lasted = place.since.elapsed().as_secs_f64();
        // What cannot be read any more was told already.
        let _kept = self.look_behind(&sensors);
        (self.look)(self.began.elapsed(), Notice::Stopped(&end.why));
        place
            .canceller
            .cancel(Interruption::cancelled("the canary has its answer"));
        match place.task.await {
            Ok(report) => self.fault = Some(report),
            Err(error) => self
                .residue
                .push(format!("the fault's task ended: {error}")),
        }
        let end = self.with_effect(end);
        match sensors.doubt(end.verdict) {
            Some(why) => inconclusive(why),
            None => end,
        }
    }

    /// Both arms without the fault: they have to be alike, and even where they were divided evenly.
    /// Where they were not, how much each got.
    async fn baseline(&mut self, sensors: &mut Sensors) -> Result<Option<Before>, End> {
        let mut canary = self.canary()?;
        let until = Instant::now() + self.asked.baseline;
        while Instant::now() < until {
            self.rest(EVERY.min(until - Instant::now())).await?;
            let Some(point) = self.next(sensors, &mut canary)? else {
                continue;
            };
            sensors.add_to(&mut self.record.baseline);
            self.record.series.push(point);
            if canary
                .judged()
                .iter()
                .any(|kpi| kpi.standing == Standing::Harmed)
            {
                let why = "the arms differ before anything was broken".to_owned();
                let verdict = Verdict::UnhealthyBefore;
                return Err(End { verdict, why });
            }
        }
        let counted = canary.counted();
        if counted.contains(&0) {
            let [control, experiment] = counted;
            let why = match &self.asked.arms {
                Arms::Route(shares) => {
                    format!("nobody is divided by {}, or too few come", shares.by)
                }
                Arms::Apart(_) => "nobody comes, or the source does not count them".into(),
            };
            return Err(inconclusive(format!(
                "no {} came into an arm before the fault (control {control}, experiment {experiment}): {why}",
                told::one(&canary)
            )));
        }
        if let Sensors::Apart(apart) = sensors {
            (self.look)(self.began.elapsed(), Notice::Alike { counted });
            return Ok(Some(apart.turn()));
        }
        let alpha = Alpha::new(MISMATCH_ALPHA).map_err(|error| failed(&error))?;
        if !are_even(counted, alpha).map_err(|error| failed(&error))? {
            let [control, experiment] = counted;
            return Err(inconclusive(format!(
                "the traffic was not divided evenly (control {control}, experiment {experiment} {}s), so the arms cannot be compared",
                told::one(&canary)
            )));
        }
        self.look_behind(sensors).map_err(inconclusive)?;
        if let Some(why) = self.record.behind.as_ref().and_then(behind::why_not) {
            return Err(inconclusive(why));
        }
        (self.look)(self.began.elapsed(), Notice::Even { counted });
        Ok(None)
    }

    fn look_behind(&mut self, sensors: &Sensors) -> Result<(), String> {
        if let (Sensors::Route(route), Arms::Route(shares)) = (sensors, &self.asked.arms)
            && let Some(behind) = &route.behind
        {
            self.record.behind = Some(behind.look(shares)?);
        }
        Ok(())
    }

    async fn put(&mut self) -> Result<InPlace, End> {
        let (canceller, cancel) = canceller();
        let (placed, is_placed) = tokio::sync::oneshot::channel();
        let (faults, call, began) = (self.faults.clone(), self.asked.fault.clone(), self.began);
        let mut task = tokio::spawn(async move {
            let tell = || {
                let _ = placed.send(());
            };
            faults.run(&call, cancel, began, tell).await
        });
        tokio::select! {
            biased;
            Ok(()) = is_placed => Ok(InPlace { since: Instant::now(), canceller, task }),
            report = &mut task => {
                let report = report.map_err(|error| failed(&error))?;
                let why = report.refused.clone().unwrap_or_else(|| "the fault ended".into());
                self.fault = Some(report);
                Err(refused(why))
            }
        }
    }

    /// With the fault in one arm, until something is proven, or time is up.
    async fn watch(
        &mut self,
        sensors: &mut Sensors,
        before: Option<Before>,
        place: &InPlace,
    ) -> Result<End, End> {
        let mut canary = match before {
            Some(before) => Canary::relative_to(&before, &self.asked.asks(), self.asked.alpha)
                .map_err(|error| failed(&error))?,
            None => self.canary()?,
        };
        let mut moved = Instant::now();
        let (min, max) = self.asked.duration;
        loop {
            self.rest(EVERY).await?;
            let point = self.next(sensors, &mut canary)?;
            if let Some(point) = point {
                sensors.add_to(&mut self.record.arms);
                self.record.series.push(point);
            }
            self.record.kpis = told::kpis(&self.asked, &canary);
            let counted = canary.counted();
            (self.look)(
                self.began.elapsed(),
                Notice::Looked {
                    counted,
                    record: &self.record,
                },
            );
            let lasted = place.since.elapsed();
            if let Some(why) = told::harm(&self.asked, &canary, &self.record, lasted) {
                let verdict = Verdict::Broken;
                return Ok(End { verdict, why });
            }
            if lasted >= min
                && canary
                    .judged()
                    .iter()
                    .all(|kpi| kpi.standing == Standing::Harmless)
            {
                let verdict = Verdict::Held;
                let why = told::harmless(&self.asked, &canary, &self.record, lasted);
                return Ok(End { verdict, why });
            }
            // A sensor of its own says by itself that it stands still.
            let is_moving = point.is_some_and(|point| point.control != (0, 0));
            if is_moving || matches!(sensors, Sensors::Apart(_)) {
                moved = Instant::now();
            }
            if moved.elapsed() > STILL_MAX {
                return Err(inconclusive(format!(
                    "no request of the control got an answer for {} s: the counters stand still",
                    STILL_MAX.as_secs()
                )));
            }
            if lasted >= max {
                let why = told::unclear(&self.asked, &canary, &self.record, lasted);
                return Ok(inconclusive(why));
            }
            self.may_go_on(place)?;
        }
    }

    fn may_go_on(&self, place: &InPlace) -> Result<(), End> {
        if place.task.is_finished() {
            return Err(inconclusive("the fault ended before the canary did".into()));
        }
        self.may_begin().map_err(|end| inconclusive(end.why))
    }

    /// Without an effect that was seen, nothing was compared. An arm whose requests get no answers
    /// has nothing that could be counted as met.
    fn with_effect(&self, end: End) -> End {
        let Some(report) = &self.fault else {
            return end;
        };
        let is_of_route = matches!(self.asked.arms, Arms::Route(_));
        let may_be_unseen = is_of_route && self.record.arms.experiment.requests() == 0;
        let is_enough = report.observed || (end.verdict == Verdict::Broken && may_be_unseen);
        match end.verdict {
            Verdict::Held | Verdict::Broken if !is_enough => inconclusive(format!(
                "the fault had no effect that was seen ({}), so nothing was compared",
                report.achieved.as_deref().unwrap_or("nothing")
            )),
            _ => end,
        }
    }

    fn canary(&self) -> Result<Canary, End> {
        Canary::new(&self.asked.asks(), self.asked.alpha).map_err(|error| failed(&error))
    }

    /// The next look at both arms; none where nothing more is known.
    fn next(&self, sensors: &mut Sensors, canary: &mut Canary) -> Result<Option<ArmsPoint>, End> {
        let seen = sensors.look(&self.asked.arms).map_err(inconclusive)?;
        Ok(seen.map(|[control, experiment]| {
            canary.observe(&control, &experiment);
            ArmsPoint {
                at: self.began.elapsed().as_secs_f64(),
                control: (control.good, control.bad),
                experiment: (experiment.good, experiment.bad),
            }
        }))
    }

    async fn rest(&mut self, time: Duration) -> Result<(), End> {
        match tokio::time::timeout(time, self.signals.recv()).await {
            Err(_) => Ok(()),
            Ok(_) => Err(End {
                verdict: Verdict::Halted,
                why: "it was stopped from outside".into(),
            }),
        }
    }

    fn outcome(self, end: End) -> Outcome {
        let mut residue = self.residue;
        residue.extend(self.fault.iter().flat_map(|fault| fault.residue.clone()));
        let mut reasons = vec![end.why];
        let verdict = if residue.is_empty() {
            end.verdict
        } else {
            reasons.insert(
                0,
                format!("not everything was undone: {}", residue.join("; ")),
            );
            Verdict::Failed
        };
        Outcome {
            verdict,
            reasons,
            record: self.record,
            fault: self.fault,
            residue,
            took: self.began.elapsed(),
        }
    }
}

fn refused(why: String) -> End {
    let verdict = Verdict::Refused;
    End { verdict, why }
}

fn inconclusive(why: String) -> End {
    let verdict = Verdict::Inconclusive;
    End { verdict, why }
}

fn failed(error: &dyn std::error::Error) -> End {
    let verdict = Verdict::Failed;
    let why = crate::chain(error);
    End { verdict, why }
}
