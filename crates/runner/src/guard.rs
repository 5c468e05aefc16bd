//! A document's guardrails on streams, watched outside of a drill: whatever breaks something on
//! purpose stops when [`Guards::broken`] says why.

use std::collections::BTreeMap;
use std::time::Duration;

use firedrill_engine::{Event, KpiGuard};
use firedrill_experiment::call;
use firedrill_experiment::document::{Experiment, GuardedStream};
use firedrill_experiment::scope::Scope;
use firedrill_judge::Window;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::kpi::Streams;
use crate::provider::Providers;

/// Each guardrail with the stream that it watches. Streams end when this is dropped.
#[derive(Debug)]
pub struct Guards {
    guards: Vec<(Watched, KpiGuard)>,
    disturbed: Option<Duration>,
    /// Absent where nothing had to be opened.
    open: Option<(Streams, mpsc::UnboundedReceiver<Event>)>,
}

/// Whose windows a guardrail takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    /// A KPI that somebody else watches, and tells of by [`Guards::saw`].
    Told(usize),
    /// A stream opened here.
    Own(usize),
}

impl Guards {
    /// Opens the streams that `told` does not name: KPIs, by their place in the document, whose
    /// windows the caller has. Times are counted from `began`.
    ///
    /// # Errors
    /// Every stream that cannot be watched; nothing was opened then.
    pub fn open(
        experiment: &Experiment,
        scope: &Scope,
        told: &[usize],
        seed: u64,
        providers: Option<&Providers>,
        began: Instant,
    ) -> Result<Self, Vec<String>> {
        let (mut guards, mut sources, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        let mut opened: BTreeMap<usize, usize> = BTreeMap::new();
        for guardrail in &experiment.kpi_guardrails {
            let guard = KpiGuard::new(guardrail, &experiment.expect);
            let provider = match &guardrail.watched {
                GuardedStream::Own(provider) => provider,
                GuardedStream::Kpi(kpi) if told.contains(kpi) => {
                    guards.push((Watched::Told(*kpi), guard));
                    continue;
                }
                GuardedStream::Kpi(kpi) => match (opened.get(kpi), experiment.kpis.get(*kpi)) {
                    (Some(stream), _) => {
                        guards.push((Watched::Own(*stream), guard));
                        continue;
                    }
                    (None, Some(definition)) => {
                        opened.insert(*kpi, sources.len());
                        &definition.provider
                    }
                    (None, None) => continue,
                },
            };
            match call::resolve_kpi(provider, scope) {
                Ok(source) => {
                    guards.push((Watched::Own(sources.len()), guard));
                    sources.push(source);
                }
                Err(error) => wrong.push(format!("guardrail `{}`: {error}", guardrail.name)),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let open = (!sources.is_empty()).then(|| {
            let (events, inbox) = mpsc::unbounded_channel();
            // Other arrivals than those of the KPI beside it.
            let mut streams = Streams::new(seed.wrapping_add(1 << 32), events);
            if let Some(providers) = providers {
                streams = streams.asking_as(providers);
            }
            for (at, source) in sources.iter().enumerate() {
                streams.start(at, source, began.elapsed());
            }
            (streams, inbox)
        });
        Ok(Self {
            guards,
            disturbed: None,
            open,
        })
    }

    /// Something is in place from here on; the first time counts.
    pub fn disturbed(&mut self, at: Duration) {
        self.disturbed.get_or_insert(at);
    }

    /// A window of a KPI that the caller watches. Why to stop, if it proves harm.
    pub fn saw(&mut self, kpi: usize, window: &Window) -> Option<String> {
        self.take(Watched::Told(kpi), window)
    }

    /// Why to stop, as soon as there is a reason: harm, or a stream that cannot be believed. Never
    /// ready without one. Dropped and asked again, it misses nothing.
    pub async fn broken(&mut self) -> String {
        loop {
            let event = match &mut self.open {
                Some((_, inbox)) => inbox.recv().await,
                None => return std::future::pending().await,
            };
            let reason = match event {
                Some(Event::Kpi { kpi, window }) => self.take(Watched::Own(kpi), &window),
                Some(Event::KpiReset { kpi, .. }) => self.of(kpi).map(KpiGuard::reset),
                Some(Event::KpiEnded { kpi, trouble }) => {
                    let why = trouble.unwrap_or_else(|| "its stream ended".into());
                    self.of(kpi).map(|guard| guard.blind(&why))
                }
                Some(_) => None,
                None => Some("nobody watches the guardrails any more".into()),
            };
            if let Some(reason) = reason {
                return reason;
            }
        }
    }

    fn of(&self, stream: usize) -> Option<&KpiGuard> {
        let mut guards = self.guards.iter();
        guards
            .find(|(watched, _)| *watched == Watched::Own(stream))
            .map(|(_, guard)| guard)
    }

    fn take(&mut self, watched: Watched, window: &Window) -> Option<String> {
        let disturbed = self.disturbed;
        let mut first = None;
        for (own, guard) in &mut self.guards {
            if *own == watched
                && let Some(why) = guard.observe(window, disturbed)
            {
                first.get_or_insert_with(|| why.to_owned());
            }
        }
        first
    }
}
