//! Counters that somebody else keeps, read every so often.

use std::time::Duration;

use firedrill_experiment::call::{Counters, CountersCall};
use firedrill_judge::Window;
use firedrill_judge::sensor::{Ailment, Reading, Rules, Sensor, Told};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use super::{Asks, json, prometheus, proxy};

/// One stream's source.
pub(super) struct Watch {
    pub(super) call: CountersCall,
    pub(super) asks: Asks,
    pub(super) heard: mpsc::UnboundedSender<Heard>,
    /// When the stream began, and when that was since the drill's start.
    pub(super) began: Instant,
    pub(super) offset: Duration,
}

/// What is heard of counters, in order.
#[derive(Debug)]
pub(crate) enum Heard {
    Window {
        window: Window,
        /// When its first and its last reading were asked for: nothing in it was counted before
        /// the one, and all that was counted before the other is told.
        asked: (Duration, Duration),
    },
    /// The counters began anew.
    Reset { at: Duration },
    /// The last word; with what is wrong with them, if that is why.
    Ended { trouble: Option<String> },
}

/// What the counters stand at, without times.
pub(super) type Stands = Reading;

/// Why there is no reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unread {
    /// Nobody answered, or not with counters: the next one may.
    Missing(String),
    /// What was said is no counter.
    Corrupt(String),
}

impl Watch {
    /// Until it is stopped, or the sensor cannot be believed. The last reading is made when it is
    /// stopped, so that what came since the one before is told.
    pub(super) async fn run(self, mut stopped: oneshot::Receiver<()>) {
        let rules = Rules {
            interval: self.call.interval,
            silence_max: self.call.silence_max,
            idle_max: self.call.idle_max,
        };
        let mut sensor = Sensor::new(rules, self.now());
        let mut ticks = tokio::time::interval(self.call.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let is_last = tokio::select! {
                _ = &mut stopped => true,
                _ = ticks.tick() => false,
            };
            let since = sensor.last_asked();
            let read = self.read(&mut sensor).await;
            let trouble = match read {
                Ok(told) => {
                    self.tell(told, (since, sensor.last_asked()));
                    None
                }
                Err(ailment) => Some(ailment.to_string()),
            };
            if is_last || trouble.is_some() {
                let _ = self.heard.send(Heard::Ended { trouble });
                return;
            }
        }
    }

    fn now(&self) -> Duration {
        self.offset + self.began.elapsed()
    }

    async fn read(&self, sensor: &mut Sensor) -> Result<Told, Ailment> {
        let asked = self.now();
        let stands = tokio::time::timeout(self.call.timeout, ask(&self.asks, &self.call)).await;
        let came = self.now();
        match stands {
            Ok(Ok(stands)) => sensor.read(Reading {
                asked,
                came,
                ..stands
            }),
            Ok(Err(Unread::Corrupt(what))) => Err(sensor.corrupt(what)),
            Ok(Err(Unread::Missing(why))) => sensor.missed(came, &why).map(|()| Told::Nothing),
            Err(_) => {
                let why = format!("no answer within {:?}", self.call.timeout);
                sensor.missed(came, &why).map(|()| Told::Nothing)
            }
        }
    }

    fn tell(&self, told: Told, asked: (Option<Duration>, Option<Duration>)) {
        let window = match told {
            Told::Nothing => return,
            Told::Window(window) => window,
            Told::Reset(window) => {
                let at = window.start;
                let _ = self.heard.send(Heard::Reset { at });
                window
            }
        };
        let asked = (
            asked.0.unwrap_or(window.start),
            asked.1.unwrap_or(window.counts().end()),
        );
        // The drill may be over already.
        let _ = self.heard.send(Heard::Window { window, asked });
    }
}

async fn ask(asks: &Asks, call: &CountersCall) -> Result<Stands, Unread> {
    match &call.from {
        Counters::Proxy { url, proxy, arm } => proxy::read(asks, url, proxy, *arm).await,
        Counters::Prometheus {
            url,
            good,
            bad,
            degraded,
            latency,
        } => {
            let queries = prometheus::Queries {
                good,
                bad,
                degraded: degraded.as_deref(),
                latency: latency.as_deref(),
            };
            let stands = prometheus::read(asks, url, &queries).await?;
            prometheus::check_limits(&stands, &call.latency_limits)?;
            Ok(stands)
        }
        from @ Counters::Json { .. } => json::read(asks, from).await,
    }
}

/// Where the buckets of its histogram end now, in microseconds, shortest first.
///
/// # Errors
/// Why it could not be read.
pub(crate) async fn bucket_ends(asks: &Asks, call: &CountersCall) -> Result<Vec<u64>, String> {
    match tokio::time::timeout(call.timeout, ask(asks, call)).await {
        Ok(Ok(stands)) => Ok(stands.latency.iter().map(|(end, _)| *end).collect()),
        Ok(Err(Unread::Missing(why) | Unread::Corrupt(why))) => Err(why),
        Err(_) => Err(format!("no answer within {:?}", call.timeout)),
    }
}
