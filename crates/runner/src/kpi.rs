//! KPI streams: the load generator's windows, and what counters say, as the judge counts them.

mod counters;
mod json;
mod prometheus;
mod proxy;

pub(crate) use counters::bucket_ends;

use std::collections::BTreeMap;
use std::time::Duration;

use firedrill_engine::Event;
use firedrill_experiment::call::{CountersCall, KpiSource, LoadCall};
use firedrill_judge as judge;
use firedrill_load::{Arrival, LoadConfig, LoadHandle};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::provider::Providers;
use crate::provider::http::Client;
pub(crate) use counters::Heard;

/// The shortest window.
const WINDOW_MIN: Duration = Duration::from_millis(100);
/// A window without requests says nothing, so slow streams get longer ones.
const REQUESTS_PER_WINDOW: f64 = 20.0;
const WINDOW_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Streams {
    seed: u64,
    events: mpsc::UnboundedSender<Event>,
    stops: BTreeMap<usize, oneshot::Sender<()>>,
    asks: Asks,
}

/// How counters are asked for.
#[derive(Clone)]
pub(crate) struct Asks {
    pub(crate) client: Client,
    pub(crate) verify_tls: bool,
}

impl std::fmt::Debug for Asks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asks")
            .field("verify_tls", &self.verify_tls)
            .finish_non_exhaustive()
    }
}

impl Asks {
    pub(crate) fn new(verify_tls: bool) -> Self {
        Self {
            client: Client::new(),
            verify_tls,
        }
    }

    pub(crate) fn of(providers: &Providers) -> Self {
        Self {
            client: providers.http().clone(),
            verify_tls: providers.verify_tls(),
        }
    }
}

impl Streams {
    pub(crate) fn new(seed: u64, events: mpsc::UnboundedSender<Event>) -> Self {
        Self {
            seed,
            events,
            stops: BTreeMap::new(),
            asks: Asks::new(true),
        }
    }

    /// Counters are asked for like this.
    pub(crate) fn with_asks(self, asks: Asks) -> Self {
        Self { asks, ..self }
    }

    /// Counters are asked for as everything else of the drill is.
    pub(crate) fn asking_as(mut self, providers: &Providers) -> Self {
        self.asks = Asks::of(providers);
        self
    }

    /// `now`: since the drill's start; windows are counted from there.
    pub(crate) fn start(&mut self, kpi: usize, source: &KpiSource, now: Duration) {
        match source {
            KpiSource::Load(call) => self.start_load(kpi, call, now),
            KpiSource::Counters(call) => self.start_counters(kpi, call, now),
        }
    }

    fn start_counters(&mut self, kpi: usize, call: &CountersCall, now: Duration) {
        let (stop, heard) = read_counters(call, &self.asks, now);
        self.stops.insert(kpi, stop);
        tokio::spawn(pass_on(kpi, heard, self.events.clone()));
    }

    fn start_load(&mut self, kpi: usize, call: &LoadCall, now: Duration) {
        let (sender, windows) = mpsc::unbounded_channel();
        let seed = self.seed.wrapping_add(kpi as u64);
        match firedrill_load::start(&load_config(call, seed), sender) {
            Ok(handle) => {
                let (stop, stopped) = oneshot::channel();
                self.stops.insert(kpi, stop);
                tokio::spawn(forward(kpi, windows, self.events.clone(), now));
                tokio::spawn(until_stopped(handle, stopped));
            }
            Err(error) => {
                let _ = self.events.send(Event::KpiEnded {
                    kpi,
                    trouble: Some(error.to_string()),
                });
            }
        }
    }

    pub(crate) fn stop(&mut self, kpi: usize) {
        if let Some(stop) = self.stops.remove(&kpi) {
            let _ = stop.send(());
        }
    }
}

/// Readings that a stretch must have room for: one at either end.
const READINGS: u32 = 2;

/// The shortest stretch of which a source says anything.
pub(crate) fn tells_after(source: &KpiSource) -> Duration {
    match source {
        KpiSource::Load(_) => Duration::ZERO,
        KpiSource::Counters(call) => call.interval * READINGS + call.scrape,
    }
}

/// Reads counters from `now` on, which is since the drill's start, until the sender is used or gone.
pub(crate) fn read_counters(
    call: &CountersCall,
    asks: &Asks,
    now: Duration,
) -> (oneshot::Sender<()>, mpsc::UnboundedReceiver<Heard>) {
    let (stop, stopped) = oneshot::channel();
    let (heard, told) = mpsc::unbounded_channel();
    let watch = counters::Watch {
        call: call.clone(),
        asks: asks.clone(),
        heard,
        began: Instant::now(),
        offset: now,
    };
    tokio::spawn(watch.run(stopped));
    (stop, told)
}

/// To the engine, as its stream of this number.
async fn pass_on(
    kpi: usize,
    mut heard: mpsc::UnboundedReceiver<Heard>,
    events: mpsc::UnboundedSender<Event>,
) {
    while let Some(heard) = heard.recv().await {
        let event = match heard {
            Heard::Window { window, .. } => Event::Kpi { kpi, window },
            Heard::Reset { at } => Event::KpiReset { kpi, at },
            Heard::Ended { trouble } => Event::KpiEnded { kpi, trouble },
        };
        if events.send(event).is_err() {
            return;
        }
    }
}

/// What a document's `load` provider asks of the generator.
pub(crate) fn load_config(call: &LoadCall, seed: u64) -> LoadConfig {
    LoadConfig {
        method: call.method.clone(),
        headers: call.headers.clone(),
        body: call.body.clone(),
        arrival: if call.poisson {
            Arrival::Poisson
        } else {
            Arrival::Constant
        },
        connections: call.connections,
        timeout: call.timeout,
        window: window(call.rate),
        seed,
        duration: call.duration,
        degraded_header: call.degraded_header.clone(),
        ..LoadConfig::get(call.url.clone(), call.rate)
    }
}

/// Of the load's windows.
pub(crate) fn window(rate: f64) -> Duration {
    Duration::try_from_secs_f64(REQUESTS_PER_WINDOW / rate)
        .map_or(WINDOW_MAX, |w| w.clamp(WINDOW_MIN, WINDOW_MAX))
}

async fn until_stopped(handle: LoadHandle, stopped: oneshot::Receiver<()>) {
    let _ = stopped.await;
    let _ = handle.stop().await;
}

async fn forward(
    kpi: usize,
    mut windows: mpsc::UnboundedReceiver<firedrill_load::Window>,
    events: mpsc::UnboundedSender<Event>,
    offset: Duration,
) {
    while let Some(window) = windows.recv().await {
        // What never ended is bad: the person behind it got no answer.
        let window = judge::Window {
            start: offset + window.start,
            length: window.length,
            good: window.good,
            degraded: window.degraded,
            bad: window.bad + window.unfinished,
            late: window.late,
            latency: window.latency,
        };
        if events.send(Event::Kpi { kpi, window }).is_err() {
            return;
        }
    }
    let _ = events.send(Event::KpiEnded { kpi, trouble: None });
}
