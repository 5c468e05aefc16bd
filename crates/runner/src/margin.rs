//! A margin, carried out: one magnitude after the other is put on the system through the guardian,
//! watched by a KPI, and taken back. What to try next is `judge::margin`'s to say.
//!
//! The document is held as a drill like any other, with its gate, guardrails, controls and
//! rollbacks; only that all trials stand where its method has the one fault that is varied.
//!
//! - [`ask`]: the question, from the document;
//! - `arm`: the share of live traffic that alone is broken, where that is asked for;
//! - `facts`: what else the answer holds for;
//! - [`source`]: who says whether a magnitude is borne, and what that one can tell;
//! - `gate`: what has to be well, known and enough before anything is broken;
//! - `recovery`: the wait after a trial;
//! - `turn`: the drill's side of the trials;
//! - `steady`: the hypothesis between trials;
//! - `stream`: the KPI's windows as good and bad requests;
//! - `trial`: one magnitude.

mod arm;
pub mod ask;
mod facts;
mod gate;
mod recovery;
pub mod source;
mod steady;
mod stream;
mod trial;
mod turn;

use std::cell::RefCell;
use std::time::Duration;

use firedrill_engine::Plan;
use firedrill_engine::effect::{Level, Progress, Signal};
use firedrill_experiment::journal::margin::{Record, Stopped, TrialReport};
use firedrill_experiment::journal::{Journal, Verdict};
use firedrill_judge::margin::{Entry, Margin, Step};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::fault::Faults;
use crate::provider::{Cancel, Providers};
use crate::{Notice as OfDrill, Ports, drive};
use ask::Asked;
use steady::Steady;
use stream::Stream;
pub use turn::Trials;
use turn::{Held, Turn};

/// How long the KPI has to be well before it is believed to be.
pub(crate) const WELL_FOR: Duration = Duration::from_secs(1);

/// For whoever looks on.
#[derive(Debug)]
pub enum Notice<'a> {
    /// The KPI is watched before anything is broken.
    Gate,
    /// It was well, and this is normal today.
    Well {
        normal: Option<f64>,
    },
    /// This trial, counted from 1.
    Trying {
        number: usize,
        magnitude: f64,
    },
    Tried(&'a TrialReport),
    /// The trial said nothing, and is made again.
    Void(&'a Stopped),
    /// So long after the fault was gone.
    Recovered(Duration),
    /// What went wrong in the drill that holds the search.
    Trouble(&'a str),
}

/// Holds the document's drill, and in it searches until there is an answer, or a reason to stop.
/// The record says which.
///
/// `keep` makes it durable after each step, so that a search that was interrupted can go on.
pub async fn hold(
    asked: Asked,
    mut record: Record,
    mut plan: Plan,
    mut ports: Ports,
    signals: mpsc::UnboundedReceiver<Signal>,
    mut keep: impl FnMut(&Record) -> std::io::Result<()>,
    look: impl FnMut(Duration, Notice<'_>),
) -> Record {
    let look = RefCell::new(look);
    let (trials, mut turns) = Trials::of(&asked.activity);
    ports.trials = Some(trials);
    let (faults, providers) = (ports.faults.clone(), ports.providers.clone());
    // Streams of KPIs are the search's own: it breaks them on purpose, and says what for.
    plan.experiment.part_guardrails_from_kpis();
    plan.experiment.kpis.clear();
    let steady = Steady::of(&plan, &providers);
    let mut from_outside = false;
    let held = drive(plan, ports, signals, |now, notice| match notice {
        OfDrill::Log(Level::Error, text) => (look.borrow_mut())(now, Notice::Trouble(text)),
        OfDrill::Progress(Progress::Stopped { signal }) => from_outside |= signal.is_some(),
        OfDrill::Log(..) | OfDrill::Progress(_) => {}
    });
    let searching = async {
        let Some(Turn { cancel, ended }) = turns.recv().await else {
            return;
        };
        let divided = match divide(&asked, &faults).await {
            Ok(divided) => divided,
            Err(stopped) => {
                record.stopped = Some(stopped);
                let _over = ended.send(Held::of(&record));
                return;
            }
        };
        let arms = faults.clone();
        let mut see = |now, notice: Notice<'_>| (look.borrow_mut())(now, notice);
        let began = Instant::now();
        let mut search = Search {
            stream: Stream::open(&asked.kpi, asked.seed, &providers, began),
            asked,
            faults,
            providers,
            steady,
            cancel,
            keep: &mut keep,
            look: &mut see,
            began,
        };
        if let Err(stopped) = search.run(&mut record).await {
            record.stopped = Some(stopped);
        }
        search.stream.close().await;
        if let Some(id) = divided {
            let residue = arms.take_back(id).await;
            if !residue.is_empty() {
                record.stopped = Some(Stopped::Residue(residue.join("; ")));
            }
        }
        // The drill may be over already, where nobody waits any more.
        let _over = ended.send(Held::of(&record));
    };
    let (journal, ()) = tokio::join!(held, searching);
    close(&mut record, &journal, from_outside);
    if let Err(error) = keep(&record) {
        let why = format!("the record cannot be kept: {error}");
        record.stopped.get_or_insert(Stopped::Failed(why));
    }
    record
}

/// Divides the routes whose experiment arm alone is broken; nothing where all of the target is.
async fn divide(asked: &Asked, faults: &Faults) -> Result<Option<u64>, Stopped> {
    if asked.splits.is_empty() {
        return Ok(None);
    }
    let divided = faults.put(asked.splits.clone()).await;
    divided.map(Some).map_err(Stopped::Refused)
}

/// What the drill has to say of the search that it held.
fn close(record: &mut Record, journal: &Journal, from_outside: bool) {
    record.drill = serde_json::to_value(journal).unwrap_or_default();
    let Some(drill) = &journal.firedrill else {
        return;
    };
    let why = drill.reasons.first().cloned().unwrap_or_default();
    let met_nobody = drill.faults.iter().any(|fault| fault.exposure == Some(0));
    let stopped = match (drill.verdict, &record.stopped) {
        (Verdict::Halted, None | Some(Stopped::Halted)) => Some(match from_outside {
            true => Stopped::Halted,
            false => Stopped::Guardrail(why),
        }),
        (_, Some(_)) => None,
        (Verdict::UnhealthyBefore, None) => Some(Stopped::Unhealthy(Some(why))),
        (Verdict::Refused, None) => Some(Stopped::Refused(why)),
        (Verdict::Failed, None) => Some(Stopped::Failed(why)),
        (Verdict::Broken | Verdict::NotRecovered, None) => Some(Stopped::NotRecovered(why)),
        (Verdict::Inconclusive, None) if met_nobody => Some(Stopped::NoEffect(why)),
        (Verdict::Held | Verdict::Inconclusive, None) => None,
    };
    if stopped.is_some() {
        record.stopped = stopped;
    }
}

struct Search<'a> {
    asked: Asked,
    stream: Stream,
    faults: Faults,
    providers: Providers,
    steady: Option<Steady>,
    cancel: Cancel,
    keep: &'a mut dyn FnMut(&Record) -> std::io::Result<()>,
    look: &'a mut dyn FnMut(Duration, Notice<'_>),
    began: Instant,
}

impl Search<'_> {
    async fn run(&mut self, record: &mut Record) -> Result<(), Stopped> {
        self.look(Notice::Gate);
        self.know(record).await?;
        let question = self.gate(record).await?;
        if self.asked.kpi.is_counted_elsewhere() && record.context.rate.is_none() {
            record.context.rate = self.stream.rate();
        }
        let mut margin =
            Margin::new(question.clone()).map_err(|wrong| Stopped::Refused(wrong.to_string()))?;
        margin
            .replay(&record.journal)
            .map_err(|refused| Stopped::Refused(refused.to_string()))?;
        record.question = Some(question);
        record.take(&margin);
        self.keep(record)?;
        loop {
            let entry = match margin.step().clone() {
                Step::Stop(_) => return self.still_so(record).await,
                Step::Try(ask) => {
                    let number = record.trials.len() + 1;
                    let magnitude = ask.magnitude;
                    self.look(Notice::Trying { number, magnitude });
                    let ask = self.as_traffic_is(&ask, margin.question())?;
                    let report = self.trial(number, &ask).await?;
                    self.look(Notice::Tried(&report));
                    let trial = report.trial;
                    record.trials.push(report);
                    Entry::Trial(trial)
                }
                Step::Recover { within } => Entry::Recovery(self.recover(within).await?),
            };
            // What was asked for is what comes back, so it is never refused.
            margin
                .record(entry)
                .map_err(|refused| Stopped::Failed(refused.to_string()))?;
            record.take(&margin);
            self.keep(record)?;
        }
    }

    fn look(&mut self, notice: Notice<'_>) {
        (self.look)(self.began.elapsed(), notice);
    }

    fn keep(&mut self, record: &Record) -> Result<(), Stopped> {
        (self.keep)(record)
            .map_err(|error| Stopped::Failed(format!("the record cannot be kept: {error}")))
    }
}
