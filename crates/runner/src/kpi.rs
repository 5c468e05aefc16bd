//! KPI streams: the load generator's windows, as the judge counts them.

use std::collections::BTreeMap;
use std::time::Duration;

use firedrill_engine::Event;
use firedrill_experiment::call::LoadCall;
use firedrill_judge as judge;
use firedrill_load::{Arrival, LoadConfig, LoadHandle};
use tokio::sync::{mpsc, oneshot};

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
}

impl Streams {
    pub(crate) fn new(seed: u64, events: mpsc::UnboundedSender<Event>) -> Self {
        Self {
            seed,
            events,
            stops: BTreeMap::new(),
        }
    }

    /// `now`: since the drill's start; windows are counted from there.
    pub(crate) fn start(&mut self, kpi: usize, call: &LoadCall, now: Duration) {
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

fn window(rate: f64) -> Duration {
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
