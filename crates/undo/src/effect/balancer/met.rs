//! Whether anybody met it: what HAProxy counts, of servers out of use and of those beside them.

use crate::effect::Observed;
use crate::haproxy::{Server, Traffic};
use crate::{Measurement, Quantity};

/// The counts when the servers had just been taken out.
#[derive(Debug)]
pub(super) struct Baseline {
    servers: Vec<Server>,
    /// Of every server of their backends.
    ever: Vec<(Server, u64)>,
}

impl Baseline {
    pub(super) fn of(traffic: &[Traffic], servers: &[Server]) -> Self {
        let ever = traffic
            .iter()
            .filter(|one| servers.iter().any(|out| out.backend == one.server.backend))
            .map(|one| (one.server.clone(), one.sessions_ever))
            .collect();
        Self {
            servers: servers.to_vec(),
            ever,
        }
    }

    /// How many of the sessions since then went where none should go.
    pub(super) fn compare(&self, now: &[Traffic], none_left: bool, observed: &mut Observed) {
        let (mut hits, mut trials, mut left) = (0, 0, 0);
        for one in now {
            let known = self.ever.iter().find(|(server, _)| *server == one.server);
            let Some((_, before)) = known else { continue };
            // Somebody may have cleared the counters.
            let since = one.sessions_ever.saturating_sub(*before);
            trials += since;
            if self.servers.contains(&one.server) {
                hits += since;
                left += one.sessions;
            }
        }
        if self.served_before() == 0 {
            let idle = "no server that is out of use had ever had a session";
            observed.idle.push(idle.into());
            return;
        }
        if trials == 0 {
            let idle = "no session has come to their backends since";
            observed.idle.push(idle.into());
            return;
        }
        let asked = none_left.then_some(0.0);
        let left = Measurement::exact(Quantity::SessionsLeft, asked, left as f64);
        let share = Measurement::share(Quantity::ShareOfSessions, Some(0.0), hits, trials);
        observed.measured.push(left);
        observed.measured.extend(share);
    }

    /// Sessions that the servers had until they were taken out.
    fn served_before(&self) -> u64 {
        let own = self
            .ever
            .iter()
            .filter(|(server, _)| self.servers.contains(server));
        own.map(|(_, ever)| ever).sum()
    }
}
