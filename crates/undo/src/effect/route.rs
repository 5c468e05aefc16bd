mod met;

use std::time::Duration;

use super::{Effect, EffectError, Observed, OwnerState, Prepared, chain};
use crate::fault_proxy::{ControlApi, ProxyError, Route};
use crate::primitive::{Primitive, PutOnRoute, RouteChange};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;
use met::Baseline;

/// A toxic or a split on a route of a fault proxy, which is asked for it over HTTP.
#[derive(Debug)]
pub(crate) struct ChangedRoute {
    change: RouteChange,
    /// Whether the proxy may have been asked.
    begun: bool,
    baseline: Option<Baseline>,
}

/// For everything that is asked of it at once: less than a lease, which other faults in force
/// depend on. It takes some milliseconds; one that takes longer is stopped or hangs.
const PATIENCE: Duration = Duration::from_secs(2);

impl ChangedRoute {
    pub(super) fn prepare(change: RouteChange, drill: &DrillId) -> Result<Prepared, EffectError> {
        let change = named(change, drill);
        let api = ControlApi::at(change.api, PATIENCE);
        let route = api.route(&change.route)?;
        check(&change, &route)?;
        Ok(Prepared::ready(Self {
            change,
            begun: false,
            baseline: None,
        }))
    }

    pub(super) fn resume(change: RouteChange) -> Self {
        Self {
            change,
            begun: true,
            baseline: None,
        }
    }

    fn what(&self) -> String {
        let kind = match &self.change.put {
            PutOnRoute::Toxic(_) => "toxic",
            PutOnRoute::Split(_) => "split",
        };
        let (name, route) = (self.change.put.name(), &self.change.route);
        format!("{kind} {name} of route {route}")
    }

    /// Takes away what is ours, and nothing else; whether it was there.
    fn take_away(&self, api: &ControlApi) -> Result<bool, ProxyError> {
        let route = &self.change.route;
        match &self.change.put {
            PutOnRoute::Toxic(toxic) => api.remove_toxic(route, &toxic.name),
            PutOnRoute::Split(split) => match api.route(route) {
                Ok(found)
                    if found
                        .split
                        .as_ref()
                        .is_some_and(|other| other.name == split.name) =>
                {
                    api.undivide(route)
                }
                Ok(_) | Err(ProxyError::NoRoute { .. }) => Ok(false),
                Err(error) => Err(error),
            },
        }
    }

    fn is_there(&self, api: &ControlApi) -> Result<bool, ProxyError> {
        let route = &self.change.route;
        Ok(match &self.change.put {
            PutOnRoute::Toxic(toxic) => api.toxic(route, &toxic.name)?.is_some_and(|found| {
                found.kind == toxic.kind && found.toxicity == toxic.toxicity && {
                    let mut wanted = toxic.attributes.iter();
                    wanted.all(|(name, value)| found.attributes.get(name) == Some(value))
                }
            }),
            PutOnRoute::Split(split) => api.route(route)?.split.is_some_and(|found| {
                found.name == split.name && found.share == split.share && found.draw == split.draw
            }),
        })
    }
}

/// With the drill's name in its own, so that whoever looks at the proxy sees whose it is.
fn named(mut change: RouteChange, drill: &DrillId) -> RouteChange {
    let of_drill = |name: &mut String| *name = format!("{name}-{drill}");
    match &mut change.put {
        PutOnRoute::Toxic(toxic) => of_drill(&mut toxic.name),
        PutOnRoute::Split(split) => {
            of_drill(&mut split.name);
            // Each drill divides anew, all of its routes alike.
            split.draw.as_mut().map(of_drill);
        }
    }
    change
}

fn check(change: &RouteChange, route: &Route) -> Result<(), ProxyError> {
    let name = || change.route.clone();
    if !route.enabled {
        return Err(ProxyError::Disabled { route: name() });
    }
    match (&change.put, &route.split) {
        (PutOnRoute::Toxic(toxic), None) if toxic.arm.is_some() => {
            Err(ProxyError::Undivided { route: name() })
        }
        (PutOnRoute::Split(_), Some(split)) => Err(ProxyError::Divided {
            route: name(),
            name: split.name.clone(),
            by: split.by.clone(),
        }),
        _ => Ok(()),
    }
}

impl Effect for ChangedRoute {
    fn primitive(&self) -> Primitive {
        Primitive::ChangeRoute(self.change.clone())
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        let api = ControlApi::at(self.change.api, PATIENCE);
        let route = &self.change.route;
        self.begun = true;
        match &self.change.put {
            PutOnRoute::Split(split) => api.divide(route, split)?,
            PutOnRoute::Toxic(toxic) => {
                api.add_toxic(route, toxic)?;
                self.baseline = Some(Baseline::of(&api, route, toxic)?);
            }
        }
        Ok(())
    }

    /// All of the undo is here: it is a talk with another process, which may hang.
    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        if !self.begun {
            return reverted;
        }
        match self.take_away(&ControlApi::at(self.change.api, PATIENCE)) {
            Ok(was_there) => reverted.undone += usize::from(was_there),
            // Both proxies keep it in their memory only, and what was there went with them.
            Err(error) if error.is_gone() => {}
            Err(error) => reverted.residue.push(Residue::EffectLeft {
                effect: self.what(),
                why: chain(&error),
            }),
        }
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let api = ControlApi::at(self.change.api, PATIENCE);
        let mut observed = Observed::one(self.is_there(&api)?, || self.what());
        if let (Some(baseline), PutOnRoute::Toxic(toxic)) = (&self.baseline, &self.change.put) {
            baseline.compare(&api, &self.change.route, toxic, &mut observed)?;
        }
        Ok(observed)
    }
}
