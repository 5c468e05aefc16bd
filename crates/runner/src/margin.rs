//! A margin, carried out: one magnitude after the other is put on the system through the guardian,
//! watched by a KPI, and taken back. What to try next is `judge::margin`'s to say.
//!
//! - [`ask`]: the question, from the document;
//! - [`record`]: what is kept after each step, and taken up again;
//! - `stream`: the KPI's windows as good and bad requests;
//! - `trial`: one magnitude.

pub mod ask;
pub mod record;
mod stream;
mod trial;

use std::time::Duration;

use firedrill_engine::effect::Signal;
use firedrill_judge::margin::{Entry, Margin, Normal, Question, Recovery, Step};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::fault::Faults;
use ask::Asked;
use record::{Record, Stopped, TrialReport};
use stream::Stream;

/// How long the KPI has to be well before it is believed to be.
const WELL_FOR: Duration = Duration::from_secs(1);

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
}

/// Searches until there is an answer, or a reason to stop. The record says which.
///
/// `keep` makes it durable after each step, so that a search that was interrupted can go on.
pub async fn search(
    asked: Asked,
    mut record: Record,
    faults: Faults,
    signals: mpsc::UnboundedReceiver<Signal>,
    mut keep: impl FnMut(&Record) -> std::io::Result<()>,
    mut look: impl FnMut(Duration, Notice<'_>),
) -> Record {
    let began = Instant::now();
    let mut search = Search {
        stream: Stream::open(&asked.kpi, asked.seed, began),
        asked,
        faults,
        signals,
        keep: &mut keep,
        look: &mut look,
        began,
    };
    if let Err(stopped) = search.run(&mut record).await {
        record.stopped = Some(stopped);
    }
    search.stream.close().await;
    search.faults.finish().await;
    if let Err(stopped) = search.keep(&record) {
        record.stopped.get_or_insert(stopped);
    }
    record
}

struct Search<'a> {
    asked: Asked,
    stream: Stream,
    faults: Faults,
    signals: mpsc::UnboundedReceiver<Signal>,
    keep: &'a mut dyn FnMut(&Record) -> std::io::Result<()>,
    look: &'a mut dyn FnMut(Duration, Notice<'_>),
    began: Instant,
}

impl Search<'_> {
    async fn run(&mut self, record: &mut Record) -> Result<(), Stopped> {
        self.look(Notice::Gate);
        let question = self.gate(record).await?;
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
                Step::Stop(_) => return Ok(()),
                Step::Try(ask) => {
                    let number = record.trials.len() + 1;
                    let magnitude = ask.magnitude;
                    self.look(Notice::Trying { number, magnitude });
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

    /// Nothing is broken on a system that is not well; and what is normal is seen here.
    async fn gate(&mut self, record: &Record) -> Result<Question, Stopped> {
        let question = self.asked.question.clone();
        if let Some(before) = &record.question {
            let normal = before.normal;
            if *before
                != (Question {
                    normal,
                    ..question.clone()
                })
            {
                let why = "the document asks something else than the record answers so far; begin anew without --resume";
                return Err(Stopped::Refused(why.into()));
            }
        }
        let limit =
            self.began.elapsed() + self.asked.baseline.max(WELL_FOR) + question.recovery_within;
        let until = self.began.elapsed() + self.asked.baseline;
        let from = self.began.elapsed();
        let mut windows = Vec::new();
        loop {
            let window = self.stream.next(&mut self.signals).await?;
            windows.push(window);
            let now = self.began.elapsed();
            let well = self.stream.well_since(from, &windows, WELL_FOR);
            if now >= until && well.is_some() {
                break;
            }
            if now > limit {
                return Err(Stopped::Unhealthy);
            }
        }
        let normal = match (record.question.as_ref(), self.asked.normal_latency) {
            // A search that goes on has the scale it began with.
            (Some(before), _) => before.normal,
            (None, Some((quantile, is))) => {
                let value = stream::latency(&windows, quantile);
                Some(Normal { value, is })
            }
            (None, None) => question.normal,
        };
        self.look(Notice::Well {
            normal: normal.map(|normal| normal.value),
        });
        Ok(Question { normal, ..question })
    }

    /// Waits until the KPI is back.
    async fn recover(&mut self, within: Duration) -> Result<Recovery, Stopped> {
        let from = self.began.elapsed();
        let mut windows = Vec::new();
        let mut bad = 0;
        loop {
            let window = self.stream.next(&mut self.signals).await?;
            bad += self.stream.counts(&window).bad;
            windows.push(window);
            if let Some(took) = self.stream.well_since(from, &windows, WELL_FOR) {
                self.look(Notice::Recovered(took));
                return Ok(Recovery {
                    recovered: true,
                    bad,
                });
            }
            if self.began.elapsed() > from + within + WELL_FOR {
                return Ok(Recovery {
                    recovered: false,
                    bad,
                });
            }
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
