//! The fault's own route, where the arms of another in front of it are compared: whether the users
//! of both arms are told apart there too.

use firedrill_experiment::journal::BehindRecord;
use firedrill_undo::fault_proxy::Arms;
use tokio::task::block_in_place;

use super::ask::{Divided, Shares};
use super::sense;

/// What had come to a route when it was divided.
#[derive(Debug)]
pub(super) struct Behind {
    divided: Divided,
    before: Arms,
}

impl Behind {
    /// None where the fault is on the route that is compared.
    pub(super) fn begin(shares: &Shares) -> Result<Option<Self>, String> {
        let Some(divided) = shares.behind.clone() else {
            return Ok(None);
        };
        let before = block_in_place(|| sense::read(shares, &divided.route))?;
        Ok(Some(Self { divided, before }))
    }

    /// What came to it since.
    pub(super) fn look(&self, shares: &Shares) -> Result<BehindRecord, String> {
        let now = block_in_place(|| sense::read(shares, &self.divided.route))?;
        let came = |now, before| sense::since(now, before).map(|since| since.total());
        Ok(BehindRecord {
            route: self.divided.route.clone(),
            by: self.divided.by.clone(),
            control: came(&now.control, &self.before.control)?,
            experiment: came(&now.experiment, &self.before.experiment)?,
            none: came(&now.none, &self.before.none)?,
        })
    }
}

/// Why a fault there would not fall on the users who are compared.
pub(super) fn why_not(behind: &BehindRecord) -> Option<String> {
    let BehindRecord {
        route,
        by,
        control,
        experiment,
        none,
    } = behind;
    match (control, experiment, none) {
        (0, 0, 0) => Some(format!(
            "no request came to route {route} before the fault: nobody whose arm is compared needs it, or too few come"
        )),
        (0, 0, _) => Some(format!(
            "nobody is in an arm at route {route}, behind ({none} requests before the fault, of no arm): the services in between have to pass {by} on, as it came to them"
        )),
        (0, _, _) | (_, 0, _) => Some(format!(
            "too few requests of the arms came to route {route} before the fault (control {control}, experiment {experiment}, no arm {none}): make `baseline` longer, or pass {by} on with every request"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_lost_on_the_way_is_told_from_too_little_traffic() {
        let why = |control, experiment, none| {
            why_not(&BehindRecord {
                route: "payments".into(),
                by: "header:x-user".into(),
                control,
                experiment,
                none,
            })
        };
        assert_eq!(why(1, 1, 900), None);
        assert!(why(0, 0, 0).unwrap().contains("no request came"));
        assert!(why(0, 0, 7).unwrap().contains("have to pass header:x-user"));
        assert!(why(3, 0, 0).unwrap().contains("longer"));
        assert!(why(0, 3, 1).unwrap().contains("longer"));
    }
}
