//! Simulated systems whose break point is known, and trials on them.

use std::time::Duration;

use firedrill_judge::margin::{
    Aim, Approach, Ask, Budget, Dwell, Question, Scale, Trial, TrialRecord, Verdict,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How a system behaves around its break point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One request in a thousand is bad below the break point, six of ten above.
    Sharp,
    /// The bad rate doubles with every twenty-fifth of the axis, and crosses at the break point.
    Gradual,
    /// Sharp, but each trial has a crossing of its own around the break point, with a standard
    /// deviation of so much of the axis.
    Noisy { percent: u32 },
    /// Sharp, and with every trial the break point moves on, up or down.
    Drifting,
}

pub(crate) const KINDS: [(&str, Kind); 5] = [
    ("sharp", Kind::Sharp),
    ("gradual", Kind::Gradual),
    ("noisy", Kind::Noisy { percent: 3 }),
    ("very noisy", Kind::Noisy { percent: 10 }),
    ("drifting", Kind::Drifting),
];

/// The threshold of every simulated KPI.
const BAD_RATE_MAX: f64 = 0.01;
const BAD_RATE_NORMAL: f64 = 0.001;
const BAD_RATE_BROKEN: f64 = 0.6;
/// Of a drifting system per trial, as a share of the axis.
const DRIFT: f64 = 0.004;
const REQUESTS_PER_SECOND: u64 = 40;
/// Requests between two looks.
const LOOK: u64 = 10;

/// Places are shares of the axis, in its own scale.
#[derive(Debug)]
pub(crate) struct System {
    kind: Kind,
    break_point: f64,
    drift: f64,
    crossing: f64,
    /// The lower break point of a system that is broken already, if it remembers.
    broken_at: Option<f64>,
    is_broken: bool,
    reading: Option<Reading>,
    /// Bad requests of the last trial that were not told when it ended.
    unseen: u64,
    random: ChaCha8Rng,
}

/// Counters that are read every so often, and are as old as the last scrape: both in requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) every: u64,
    pub(crate) scrape: u64,
}

impl Reading {
    pub(crate) fn seconds(every: u64, scrape: u64) -> Self {
        Self {
            every: every * REQUESTS_PER_SECOND,
            scrape: scrape * REQUESTS_PER_SECOND,
        }
    }

    /// Until an event is seen, or the source is called missing: three readings, and the answer to
    /// the last.
    fn blind(self) -> u64 {
        self.scrape + 4 * self.every
    }

    /// Until a window is of the fault alone.
    fn before(self) -> u64 {
        self.scrape + 2 * self.every
    }

    /// A question whose budget can hold what is not seen.
    pub(crate) fn asks(self, scale: Scale) -> Question {
        let mut question = question(scale);
        let budget = &mut question.budget;
        (budget.unseen_max, budget.before_max) = (self.blind(), self.before());
        let each = budget.unseen_max + budget.before_max;
        budget.bad_events_per_trial_max += each;
        budget.bad_events_max += u64::from(budget.trials_max) * each;
        question
    }
}

/// What a run has cost so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) trials: u32,
    pub(crate) bad: u64,
    pub(crate) requests: u64,
    /// The furthest place tried, less the break point.
    pub(crate) beyond: f64,
}

impl System {
    /// A break point anywhere but near the ends, the same for the same seed.
    pub(crate) fn draw(kind: Kind, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let break_point = random.random_range(0.15..0.85);
        let drift = match kind {
            Kind::Drifting if random.random::<bool>() => DRIFT,
            Kind::Drifting => -DRIFT,
            Kind::Sharp | Kind::Gradual | Kind::Noisy { .. } => 0.0,
        };
        Self {
            kind,
            break_point,
            drift,
            crossing: break_point,
            broken_at: None,
            is_broken: false,
            reading: None,
            unseen: 0,
            random,
        }
    }

    /// Its requests are counted by others.
    pub(crate) fn read(mut self, reading: Reading) -> Self {
        self.reading = Some(reading);
        self
    }

    /// What is told after the last trial's end.
    pub(crate) fn unseen(&self) -> u64 {
        self.unseen
    }

    /// Once broken, it is well again only below this place, until it has rested.
    #[allow(
        dead_code,
        reason = "the tests have systems that remember, the measurement has none"
    )]
    pub(crate) fn remembering(mut self, place: f64) -> Self {
        self.broken_at = Some(place);
        self
    }

    pub(crate) fn break_point(&self) -> f64 {
        self.break_point
    }

    /// Carries out one trial as it was asked for, and adds what it cost.
    pub(crate) fn trial(&mut self, ask: &Ask, question: &Question, cost: &mut Cost) -> TrialRecord {
        if cost.trials > 0 {
            self.break_point = (self.break_point + self.drift).clamp(0.02, 0.98);
        }
        self.crossing = match self.kind {
            Kind::Noisy { percent } => {
                self.break_point + f64::from(percent) / 100.0 * self.normal()
            }
            Kind::Sharp | Kind::Gradual | Kind::Drifting => self.break_point,
        };
        self.is_broken = false;
        let mut trial = Trial::new(ask);
        if let Approach::Above { from } = ask.approach {
            self.bring_above(place(question, from), &mut trial, cost);
        }
        let at = place(question, ask.magnitude);
        cost.beyond = cost.beyond.max(at - self.break_point);
        cost.trials += 1;
        if let Some(reading) = self.reading {
            return self.read_trial(at, reading, trial, cost);
        }
        let mut requests = 0;
        loop {
            let bad = self.requests(at, LOOK);
            requests += LOOK;
            let elapsed = Duration::from_millis(requests * 1000 / REQUESTS_PER_SECOND);
            if let Some(record) = trial.observe(elapsed, bad, LOOK - bad) {
                cost.bad += record.bad + record.bad_before;
                cost.requests += requests;
                return record;
            }
        }
    }

    /// The fault is in place at 0, at any time between two readings and two scrapes.
    fn read_trial(
        &mut self,
        at: f64,
        reading: Reading,
        mut trial: Trial,
        cost: &mut Cost,
    ) -> TrialRecord {
        let Reading { every, scrape } = reading;
        let mut read = self.random.random_range(0..every);
        let ago = self.random.random_range(0..scrape.max(1));
        // All that a reading at this time knows of: what was there at the last scrape.
        let known = |read: u64| match scrape {
            0 => read,
            scrape => ((read + ago) / scrape * scrape).saturating_sub(ago),
        };
        let (mut told, mut before, mut first) = (0, None::<u64>, None::<u64>);
        loop {
            let requests = known(read) - told;
            told = known(read);
            let bad = self.requests(at, requests);
            let since = before.and_then(|before| before.checked_sub(scrape));
            let ended = match since {
                None => trial
                    .observe_before(bad)
                    .then(|| trial.ended(Verdict::NotYet)),
                Some(since) => {
                    let watched = read - scrape - *first.get_or_insert(since);
                    let elapsed = Duration::from_millis(watched * 1000 / REQUESTS_PER_SECOND);
                    trial.observe(elapsed, bad, requests - bad)
                }
            };
            if let Some(record) = ended {
                self.unseen = self.requests(at, read - told);
                cost.bad += record.bad + record.bad_before + self.unseen;
                cost.requests += read;
                return record;
            }
            before = Some(read);
            read += every;
        }
    }

    /// A few looks at a magnitude that breaks it.
    fn bring_above(&mut self, at: f64, trial: &mut Trial, cost: &mut Cost) {
        self.is_broken = true;
        let bad = self.requests(at, LOOK);
        cost.requests += LOOK;
        trial.observe_before(bad);
    }

    /// How many of the next so many requests are bad.
    fn requests(&mut self, at: f64, many: u64) -> u64 {
        let rate = self.bad_rate(at);
        (0..many)
            .map(|_| u64::from(self.random.random::<f64>() < rate))
            .sum()
    }

    fn bad_rate(&self, at: f64) -> f64 {
        let crossing = match self.broken_at {
            Some(lower) if self.is_broken => lower,
            _ => self.crossing,
        };
        if self.kind == Kind::Gradual {
            let doubled = BAD_RATE_MAX * ((at - crossing) * 25.0).exp2();
            return doubled.clamp(BAD_RATE_NORMAL, BAD_RATE_BROKEN);
        }
        if at > crossing {
            BAD_RATE_BROKEN
        } else {
            BAD_RATE_NORMAL
        }
    }

    /// Box and Muller's.
    fn normal(&mut self) -> f64 {
        let (u, v) = (
            1.0 - self.random.random::<f64>(),
            self.random.random::<f64>(),
        );
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// A search over a linear axis of 1,000 ms, or a logarithmic one from 10 to 1,000.
pub(crate) fn question(scale: Scale) -> Question {
    let (lowest, resolution, jump_max) = match scale {
        Scale::Linear => (0.0, 50.0, 150.0),
        Scale::Log => (10.0, 0.25, 2.0),
    };
    Question {
        lowest,
        largest: 1_000.0,
        scale,
        resolution,
        bad_rate_max: BAD_RATE_MAX,
        alpha: 0.05,
        aim: Aim::Search {
            jump_max,
            hysteresis: false,
        },
        normal: None,
        dwell: Dwell {
            min: Duration::from_secs(2),
            max: Duration::from_secs(50),
        },
        budget: Budget {
            bad_events_max: 1_000,
            bad_events_per_trial_max: 50,
            trials_max: 60,
            unseen_max: 0,
            before_max: 0,
        },
        recovery_within: Duration::from_secs(30),
    }
}

/// The share of the axis at which a magnitude lies.
pub(crate) fn place(question: &Question, magnitude: f64) -> f64 {
    let (low, high) = (question.lowest, question.largest);
    match question.scale {
        Scale::Linear => (magnitude - low) / (high - low),
        Scale::Log => (magnitude / low).ln() / (high / low).ln(),
    }
}

/// And back.
pub(crate) fn magnitude(question: &Question, place: f64) -> f64 {
    let (low, high) = (question.lowest, question.largest);
    match question.scale {
        Scale::Linear => low + (high - low) * place,
        Scale::Log => low * ((high / low).ln() * place).exp(),
    }
}
