//! A canary whose users make many requests each and differ much: judged by requests and by users.
//!
//! 300 users are about at any time. Each stays for a while, asks at a rate of its own (half of them
//! about every ten seconds, one in ten twenty times as often), and has a share of bad answers of its
//! own: one in a hundred for most, and about half of all for one in twenty, whose basket is too large
//! or whose browser too old. Requests go to the arm of their user. Users are counted as the proxy
//! counts them: once, in the epoch of five seconds of their first answer, badly if one answer of it
//! is bad, told when the epoch is over.

use std::collections::HashMap;

use firedrill_judge::Alpha;
use firedrill_judge::canary::{Ask, Batch, Canary, Standing};
use firedrill_judge::share::Outcomes;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::figure::Figure;
use crate::runs;
use crate::world::{exponential, is, poisson};

const ALPHA: Alpha = Alpha::FIVE_PERCENT;
const USERS: usize = 300;
/// Seconds; a look at each.
const LASTS: usize = 300;
const EPOCH: usize = 5;
/// Seconds that a user stays, in the mean.
const STAYS: f64 = 60.0;
/// What the experiment adds where there is harm: this share of its requests fails.
const HARM: f64 = 0.1;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Of {
    Requests,
    Users,
}

struct User {
    experiment: bool,
    /// Requests a second.
    rate: f64,
    bad: f64,
    leaves: f64,
    /// Among those who were counted, and so it is now with the epoch.
    counted: bool,
}

impl User {
    fn new(random: &mut ChaCha8Rng, now: f64) -> Self {
        let rate = if is(random, 0.1) { 2.0 } else { 0.1 };
        let bad = if is(random, 0.05) { 0.5 } else { 0.01 };
        Self {
            experiment: is(random, 0.5),
            rate: rate * exponential(random),
            bad: bad * 2.0 * random.random::<f64>(),
            leaves: now + STAYS * exponential(random),
            counted: false,
        }
    }
}

/// Both arms of one canary, told second by second.
struct World {
    harm: f64,
    users: Vec<User>,
    /// By its place, whether a bad answer came to a user in this epoch, in which it counts.
    epoch: HashMap<usize, bool>,
    /// Those of it who have left.
    gone: [Outcomes; 2],
}

impl World {
    fn new(random: &mut ChaCha8Rng, harm: f64) -> Self {
        Self {
            harm,
            users: (0..USERS).map(|_| User::new(random, 0.0)).collect(),
            epoch: HashMap::new(),
            gone: [Outcomes::default(); 2],
        }
    }

    fn second(&mut self, random: &mut ChaCha8Rng, second: usize) -> [Batch; 2] {
        let mut batches = [Batch::default(), Batch::default()];
        for place in 0..self.users.len() {
            let user = &mut self.users[place];
            let batch = &mut batches[usize::from(user.experiment)];
            let harm = if user.experiment { self.harm } else { 0.0 };
            for _ in 0..poisson(random, user.rate) {
                let badly = is(random, user.bad) || is(random, harm);
                batch.bad += u64::from(badly);
                batch.good += u64::from(!badly);
                if !user.counted {
                    *self.epoch.entry(place).or_insert(false) |= badly;
                }
            }
            if user.leaves < second as f64 {
                let arm = usize::from(user.experiment);
                if let Some(badly) = self.epoch.remove(&place) {
                    count(&mut self.gone[arm], badly);
                }
                self.users[place] = User::new(random, second as f64);
            }
        }
        if (second + 1).is_multiple_of(EPOCH) {
            let told = std::mem::take(&mut self.gone);
            for (batch, told) in batches.iter_mut().zip(told) {
                batch.users = told;
            }
            for (place, badly) in self.epoch.drain() {
                let user = &mut self.users[place];
                user.counted = true;
                count(&mut batches[usize::from(user.experiment)].users, badly);
            }
        }
        batches
    }
}

fn count(outcomes: &mut Outcomes, badly: bool) {
    match badly {
        true => outcomes.bad += 1,
        false => outcomes.good += 1,
    }
}

/// The second at which harm is claimed, looked at each second.
fn harmed(random: &mut ChaCha8Rng, of: Of, tolerance: f64, harm: f64) -> Option<usize> {
    let ask = match of {
        Of::Requests => Ask::SuccessRatio { tolerance },
        Of::Users => Ask::UserRatio { tolerance },
    };
    let mut canary = Canary::new(&[ask], ALPHA).expect("a usable tolerance");
    let mut world = World::new(random, harm);
    (0..LASTS).find(|second| {
        let [control, experiment] = world.second(random, *second);
        canary.observe(&control, &experiment);
        let is_harmed = |one: &firedrill_judge::canary::Judged| one.standing == Standing::Harmed;
        canary.answers_are_missing() || canary.judged().iter().any(is_harmed)
    })
}

/// Whether harm is claimed where both arms are the same.
pub(crate) fn alarm(random: &mut ChaCha8Rng, of: Of) -> bool {
    harmed(random, of, 0.0, 0.0).is_some()
}

/// How often, and how soon, harm is found that is there.
pub(crate) fn power(runs: usize) -> bool {
    let name = "a tenth of the requests fail, clustered users";
    let found = runs::all(runs, name, |random| harmed(random, Of::Users, 0.0, HARM));
    let mut seconds: Vec<usize> = found.iter().flatten().copied().collect();
    seconds.sort_unstable();
    let share = seconds.len() as f64 / runs as f64;
    Figure {
        metric: format!("canary of users, harm found in {LASTS} s: {name}"),
        value: share,
        unit: "share of runs",
        peer: "asked for",
        peer_value: 0.9,
        ratio: share / 0.9,
    }
    .print();
    if let Some(median) = seconds.get(seconds.len() / 2) {
        Figure {
            metric: format!("canary of users, seconds to harm, median: {name}"),
            value: *median as f64 + 1.0,
            unit: "s",
            peer: "its longest",
            peer_value: LASTS as f64,
            ratio: LASTS as f64 / (*median as f64 + 1.0),
        }
        .print();
    }
    share >= 0.9
}
