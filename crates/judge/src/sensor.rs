//! From readings of counters to a stream's windows, and what may be wrong with their sensor.
//!
//! A counter only grows, so the difference of two readings is what happened between them, each
//! request once, however many readings were missed in between. [`Sensor`] takes the readings in
//! the order in which they came and gives the differences, as windows that touch and never
//! overlap. What a counter cannot do, or must not leave undone, is an [`Ailment`], and final: a
//! sensor that was wrong once is not believed again.
//!
//! The ailments are those of a sensor in STPA (Leveson & Thomas, "STPA Handbook", 2018,
//! figure 2.17: feedback that is missing, delayed, inadequate): nothing is guessed in their place.
//!
//! A counter that begins anew, because what counts was started again, is no ailment: each counter
//! is back at or below where it was, and what it says now came since. What came between the last
//! reading and the restart is lost, so it is told ([`Told::Reset`]), and whoever cannot do without
//! it stops.
//!
//! Units: counts; times since the drill's start; latencies in microseconds.

use std::fmt;
use std::time::Duration;

use crate::tally::{Window, latency_histogram};

/// What the counters stood at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// When it was asked for, and when it came.
    pub asked: Duration,
    pub came: Duration,
    /// Seconds by the source's own clock, from any beginning; absent where it tells none.
    pub stamp: Option<f64>,
    pub good: f64,
    /// Answered with reduced functionality.
    pub degraded: f64,
    pub bad: f64,
    /// The longest latency of each bucket, in microseconds, and how many were in it; not summed up.
    pub latency: Vec<(u64, f64)>,
}

/// What is asked of a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// At which readings are asked for. A window's ends are at its multiples, where a reading is
    /// not far from one: so a second of readings each second is a second.
    pub interval: Duration,
    /// Nothing new for longer than this: it is missing, stuck or late.
    pub silence_max: Duration,
    /// For so long there may be no request at all. Absent: there need not be any.
    pub idle_max: Option<Duration>,
}

/// Readings so far. Keeps the last one.
#[derive(Debug, Clone)]
pub struct Sensor {
    rules: Rules,
    began: Duration,
    first: Option<Clock>,
    last: Option<Reading>,
    /// Where the last window ends.
    edge: Duration,
    /// When the counters, and the stamp, were last seen to move.
    moved: Duration,
    ticked: Duration,
    ailment: Option<Ailment>,
}

/// Both clocks at the first reading.
#[derive(Debug, Clone, Copy)]
struct Clock {
    came: Duration,
    stamp: f64,
}

/// What a reading says.
#[derive(Debug, Clone)]
pub enum Told {
    /// The first, or one of the same moment as the last: the next one tells the difference.
    Nothing,
    /// What happened since the last one.
    Window(Window),
    /// The counters began anew: what happened since then, which may not be all.
    Reset(Window),
}

/// Why a sensor is not believed.
#[derive(Debug, Clone, PartialEq)]
pub enum Ailment {
    /// No reading for so long, and why the last one failed.
    Missing { silence: Duration, why: String },
    /// It answers, and its time stamp stands still.
    StampStuck { since: Duration },
    /// It answers, and counts nothing more although there must be traffic.
    Stuck { since: Duration },
    /// It answers, and has never counted anything although there must be traffic.
    Zero { since: Duration },
    /// It shows the past: so far behind where it was at first.
    Late { behind: Duration },
    /// A reading is older than the one before.
    OutOfOrder { what: &'static str },
    /// A counter is beyond what it can count exactly.
    Overflow { counter: &'static str, value: f64 },
    /// What cannot be a count.
    Corrupt { what: String },
    /// One counter went back, and another did not: that is no restart.
    Decreased {
        counter: &'static str,
        from: f64,
        to: f64,
    },
}

/// Up to here every whole number is one of its own: 2⁵³.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl Sensor {
    #[must_use]
    pub fn new(rules: Rules, began: Duration) -> Self {
        Self {
            rules,
            began,
            first: None,
            last: None,
            edge: began,
            moved: began,
            ticked: began,
            ailment: None,
        }
    }

    /// Takes the next reading.
    ///
    /// # Errors
    /// Why the sensor is not to be believed any more; the same at every later call.
    pub fn read(&mut self, reading: Reading) -> Result<Told, Ailment> {
        if let Some(ailment) = &self.ailment {
            return Err(ailment.clone());
        }
        self.take(reading).inspect_err(|ailment| {
            self.ailment = Some(ailment.clone());
        })
    }

    /// When the last reading that was taken was asked for: what happened before that is in the
    /// windows so far, as far as the source knew of it.
    #[must_use]
    pub fn last_asked(&self) -> Option<Duration> {
        self.last.as_ref().map(|last| last.asked)
    }

    /// There was no reading, for this reason. One that is missing is forgiven while the silence
    /// is not too long, for the next one says what happened meanwhile.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn missed(&mut self, now: Duration, why: &str) -> Result<(), Ailment> {
        if let Some(ailment) = &self.ailment {
            return Err(ailment.clone());
        }
        let heard = self.last.as_ref().map_or(self.began, |last| last.came);
        let silence = now.saturating_sub(heard);
        if silence <= self.rules.silence_max {
            return Ok(());
        }
        let why = why.to_owned();
        let ailment = Ailment::Missing { silence, why };
        self.ailment = Some(ailment.clone());
        Err(ailment)
    }

    /// What came was no reading at all.
    pub fn corrupt(&mut self, what: impl Into<String>) -> Ailment {
        let what = what.into();
        self.ailment
            .get_or_insert(Ailment::Corrupt { what })
            .clone()
    }

    fn take(&mut self, reading: Reading) -> Result<Told, Ailment> {
        check(&reading)?;
        let took = reading.came.saturating_sub(reading.asked);
        if took > self.rules.silence_max {
            return Err(Ailment::Late { behind: took });
        }
        self.check_clock(&reading)?;
        let edge = self.edge_at(reading.came);
        let Some(last) = self.last.take() else {
            self.edge = edge;
            self.moved = reading.came;
            self.ticked = reading.came;
            self.last = Some(reading);
            return Ok(Told::Nothing);
        };
        if reading.came < last.came || reading.asked < last.asked {
            return Err(Ailment::OutOfOrder { what: "reading" });
        }
        if edge == self.edge {
            // The next window has what happened since.
            self.last = Some(last);
            return Ok(Told::Nothing);
        }
        let stretch = (self.edge, edge);
        let change = change(&last, &reading)?;
        if change == Change::Forward && total(&reading) > total(&last) || change == Change::Reset {
            self.moved = reading.came;
        }
        self.check_moving(&reading)?;
        let window = match change {
            Change::Forward => between(Some(&last), &reading, stretch),
            Change::Reset => between(None, &reading, stretch),
        };
        self.edge = edge;
        self.last = Some(reading);
        Ok(match change {
            Change::Forward => Told::Window(window?),
            Change::Reset => Told::Reset(window?),
        })
    }

    /// The nearest multiple of the interval, if that is less than a quarter of it away.
    fn edge_at(&self, came: Duration) -> Duration {
        let interval = self.rules.interval.as_nanos().max(1);
        let since = came.saturating_sub(self.began).as_nanos();
        let nearest = (since + interval / 2) / interval * interval;
        let multiple = u64::try_from(nearest).map(Duration::from_nanos);
        match multiple {
            Ok(multiple) if nearest.abs_diff(since) < interval / 4 => {
                self.began.saturating_add(multiple)
            }
            _ => came,
        }
    }

    /// The source's clock goes on, and goes on as ours does.
    fn check_clock(&mut self, reading: &Reading) -> Result<(), Ailment> {
        let Some(stamp) = reading.stamp else {
            return Ok(());
        };
        let before = self.last.as_ref().and_then(|last| last.stamp);
        match before {
            Some(before) if stamp < before => {
                return Err(Ailment::OutOfOrder { what: "time stamp" });
            }
            Some(before) if stamp == before => {
                let since = reading.came.saturating_sub(self.ticked);
                // A clock that stands still falls behind as well; it is called what it is.
                return match since > self.rules.silence_max {
                    true => Err(Ailment::StampStuck { since }),
                    false => Ok(()),
                };
            }
            _ => self.ticked = reading.came,
        }
        let first = *self.first.get_or_insert(Clock {
            came: reading.came,
            stamp,
        });
        let ours = reading.came.saturating_sub(first.came).as_secs_f64();
        let behind = ours - (stamp - first.stamp);
        if behind > self.rules.silence_max.as_secs_f64() {
            let behind = Duration::try_from_secs_f64(behind).unwrap_or(Duration::MAX);
            return Err(Ailment::Late { behind });
        }
        Ok(())
    }

    fn check_moving(&self, reading: &Reading) -> Result<(), Ailment> {
        let Some(idle_max) = self.rules.idle_max else {
            return Ok(());
        };
        let since = reading.came.saturating_sub(self.moved);
        match since > idle_max {
            true if total(reading) == 0.0 => Err(Ailment::Zero { since }),
            true => Err(Ailment::Stuck { since }),
            false => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Forward,
    Reset,
}

fn counters(reading: &Reading) -> [(&'static str, f64); 3] {
    [
        ("good", reading.good),
        ("degraded", reading.degraded),
        ("bad", reading.bad),
    ]
}

fn total(reading: &Reading) -> f64 {
    reading.good + reading.degraded + reading.bad
}

/// That these are counts.
fn check(reading: &Reading) -> Result<(), Ailment> {
    let buckets = reading.latency.iter().map(|(_, count)| ("latency", *count));
    for (counter, value) in counters(reading).into_iter().chain(buckets) {
        let what = if value.is_nan() {
            "is not a number"
        } else if value < 0.0 {
            "is below zero"
        } else if value > EXACT_MAX {
            return Err(Ailment::Overflow { counter, value });
        } else if value.fract() != 0.0 {
            "is no whole number, so it counts nothing: a rate is no counter"
        } else {
            continue;
        };
        return Err(Ailment::Corrupt {
            what: format!("`{counter}` is {value}, which {what}"),
        });
    }
    match reading.stamp {
        Some(stamp) if !stamp.is_finite() => Err(Ailment::Corrupt {
            what: format!("its time stamp is {stamp}"),
        }),
        _ => Ok(()),
    }
}

/// Whether counters went on, or all of them began anew.
fn change(last: &Reading, reading: &Reading) -> Result<Change, Ailment> {
    let pairs = || counters(last).into_iter().zip(counters(reading));
    let buckets_back = reading
        .latency
        .iter()
        .any(|(end, count)| *count < bucket(last, *end))
        || last
            .latency
            .iter()
            .any(|(end, count)| *count > 0.0 && !reading.latency.iter().any(|(e, _)| e == end));
    let back = pairs().find(|((_, before), (_, now))| now < before);
    let Some(((counter, from), (_, to))) = back else {
        return match buckets_back {
            false => Ok(Change::Forward),
            true => Err(Ailment::Decreased {
                counter: "latency",
                from: last.latency.iter().map(|(_, count)| count).sum(),
                to: reading.latency.iter().map(|(_, count)| count).sum(),
            }),
        };
    };
    // What had not counted before may have counted since.
    let grew = pairs().any(|((_, before), (_, now))| before > 0.0 && now > before);
    if grew {
        return Err(Ailment::Decreased { counter, from, to });
    }
    Ok(Change::Reset)
}

fn bucket(reading: &Reading, end: u64) -> f64 {
    let found = reading.latency.iter().find(|(other, _)| *other == end);
    found.map_or(0.0, |(_, count)| *count)
}

/// The difference; from nothing after a restart.
fn between(
    last: Option<&Reading>,
    now: &Reading,
    (start, end): (Duration, Duration),
) -> Result<Window, Ailment> {
    let since = |of: fn(&Reading) -> f64| (of(now) - last.map_or(0.0, of)).max(0.0) as u64;
    let corrupt = |what: String| Ailment::Corrupt { what };
    let mut latency = latency_histogram().map_err(|error| corrupt(error.to_string()))?;
    for (end, count) in &now.latency {
        let more = (count - last.map_or(0.0, |last| bucket(last, *end))).max(0.0) as u64;
        // What took at most the bucket's end is in no cell that reaches beyond it.
        let within = match latency.highest_equivalent(*end) > *end {
            true => latency.lowest_equivalent(*end).saturating_sub(1),
            false => *end,
        };
        latency
            .record_n(within, more)
            .map_err(|error| corrupt(format!("a latency of {end} µs: {error}")))?;
    }
    Ok(Window {
        start,
        length: end.saturating_sub(start),
        good: since(|reading| reading.good),
        degraded: since(|reading| reading.degraded),
        bad: since(|reading| reading.bad),
        late: 0,
        latency,
    })
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = Duration::as_secs_f64;
        match self {
            Self::Missing { silence, why } => {
                write!(f, "nothing could be read for {:.1} s: {why}", s(silence))
            }
            Self::StampStuck { since } => write!(
                f,
                "the sensor is stuck: its time stamp stands still for {:.1} s",
                s(since)
            ),
            Self::Stuck { since } => write!(
                f,
                "the sensor is stuck: it counted no request for {:.1} s, and there must be traffic",
                s(since)
            ),
            Self::Zero { since } => write!(
                f,
                "the sensor stands at zero: it counted no request in {:.1} s, and there must be traffic",
                s(since)
            ),
            Self::Late { behind } => {
                write!(f, "the sensor is late: {:.1} s behind", s(behind))
            }
            Self::OutOfOrder { what } => write!(
                f,
                "the sensor is out of order: a {what} is older than the one before"
            ),
            Self::Overflow { counter, value } => write!(
                f,
                "the counter `{counter}` stands at {value:e}, beyond what it counts exactly"
            ),
            Self::Corrupt { what } => write!(f, "the sensor is corrupt: {what}"),
            Self::Decreased { counter, from, to } => write!(
                f,
                "the counter `{counter}` went back from {from} to {to}, and not all did, so it was no restart"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
