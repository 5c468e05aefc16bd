//! What the proxy counted of both arms since the last look. What cannot be believed stops a canary.

use std::time::Duration;

use firedrill_experiment::journal::{ArmRecord, ArmsRecord};
use firedrill_judge::canary::Batch;
use firedrill_judge::share::Outcomes;
use firedrill_undo::ControlApi;
use firedrill_undo::fault_proxy::{Arms, Met, Requests};

use super::ask::Shares;
use super::users;

/// For one look. It takes some milliseconds; what takes longer lags.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A bucket of the proxy's times is at most this part of them wide.
pub(super) const WIDTH: f64 = 1.0 / 32.0;

/// The counters of a route.
#[derive(Debug)]
pub(super) struct Sense {
    all: Arms,
    /// Control and experiment.
    last: [Requests; 2],
    /// None where they are not asked about.
    users: Option<users::Counted>,
}

impl Sense {
    pub(super) fn begin(shares: &Shares) -> Result<Self, String> {
        let all = tokio::task::block_in_place(|| read(shares, &shares.route))?;
        let users = shares.epoch.map(|_| users::Counted::begin(all.users));
        Ok(Self {
            users: users.transpose()?,
            all,
            last: Default::default(),
        })
    }

    /// The fault is in place now.
    pub(super) fn begin_anew(&mut self) {
        if let Some(users) = &mut self.users {
            users.begin_anew();
        }
    }

    /// # Errors
    /// When nothing is heard, or what is heard cannot be: counts that fell.
    pub(super) fn look(&mut self, shares: &Shares) -> Result<(), String> {
        let now = read(shares, &shares.route)?;
        self.last = [
            since(&now.control, &self.all.control)?,
            since(&now.experiment, &self.all.experiment)?,
        ];
        if let Some(users) = &mut self.users {
            users.look(now.users)?;
        }
        self.all = now;
        Ok(())
    }

    /// Adds what came since the last look to what is recorded.
    pub(super) fn add_to(&self, record: &mut ArmsRecord) {
        let [control, experiment] = self.last.each_ref().map(batch);
        add(record, [&control, &experiment]);
        if let Some(users) = &self.users {
            let [control, experiment] = users.last();
            let arms = [
                (&mut record.control, control),
                (&mut record.experiment, experiment),
            ];
            for (arm, more) in arms {
                arm.users = Some(users::sum(arm.users, more));
            }
        }
    }

    pub(super) fn batches(&self) -> (Batch, Batch) {
        let [mut control, mut experiment] = self.last.each_ref().map(batch);
        if let Some(users) = &self.users {
            let outcomes = |met: Met| Outcomes {
                good: met.well,
                bad: met.badly,
            };
            [control.users, experiment.users] = users.last().map(outcomes);
        }
        (control, experiment)
    }
}

pub(super) fn since(now: &Requests, before: &Requests) -> Result<Requests, String> {
    now.since(before).ok_or_else(|| {
        "the proxy's counts fell: it was started anew, and what was counted is gone".to_owned()
    })
}

pub(super) fn read(shares: &Shares, route: &str) -> Result<Arms, String> {
    ControlApi::at(shares.api, PATIENCE)
        .arms(route)
        .map_err(|error| format!("the counters cannot be read: {}", crate::chain(&error)))?
        .ok_or_else(|| format!("route {route:?} is gone, or counts no arms"))
}

fn batch(requests: &Requests) -> Batch {
    let times = requests.times.iter();
    Batch {
        good: requests.well,
        bad: requests.badly,
        times: times
            .map(|(end, count)| (end * (1.0 - WIDTH), *end, *count))
            .collect(),
        ..Batch::default()
    }
}

/// Requests and times.
pub(super) fn add(record: &mut ArmsRecord, [control, experiment]: [&Batch; 2]) {
    for (arm, more) in [
        (&mut record.control, control),
        (&mut record.experiment, experiment),
    ] {
        let ends = more.times.iter().map(|(_, end, count)| (*end, *count));
        let more = requests(more.good, more.bad, ends.collect());
        let sum = requests(arm.good, arm.bad, arm.times.clone()).and(&more);
        *arm = ArmRecord {
            good: sum.well,
            bad: sum.badly,
            times: sum.times,
            users: arm.users,
        };
    }
}

fn requests(well: u64, badly: u64, times: Vec<(f64, u64)>) -> Requests {
    Requests {
        well,
        badly,
        by_faults: 0,
        times,
    }
}

/// A place of any route of this proxy that is left alone, and is no standby.
pub(super) fn failover(shares: &Shares) -> Result<Option<String>, String> {
    let api = ControlApi::at(shares.api, PATIENCE);
    let routes = api.routes().map_err(|error| crate::chain(&error))?;
    for route in routes.iter().filter(|route| route.enabled) {
        let places = api.endpoints(&route.name);
        for place in places.map_err(|error| crate::chain(&error))? {
            let is_known = shares.standby.contains(&place.address) && place.ejected <= 0.0;
            if place.is_out() && !is_known {
                let how = match (place.drained, place.ejected > 0.0) {
                    (true, _) => "drained",
                    (false, true) => "left alone after failed connections",
                    (false, false) => "failing its checks",
                };
                let zone = place.zone.map(|zone| format!(" in zone {zone}"));
                return Ok(Some(format!(
                    "{}{} of route {} is {how}",
                    place.address,
                    zone.unwrap_or_default(),
                    route.name
                )));
            }
        }
    }
    Ok(None)
}
