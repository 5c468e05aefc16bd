//! From a fault as a document writes it to the processes that it would hit, now.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use firedrill_experiment::call::{self, Call, FaultCall};
use firedrill_experiment::document::{BlastRadius, Experiment, UndoClass};
use firedrill_experiment::scope::Scope;
use firedrill_experiment::units::format_duration;
use firedrill_faults::switching::hosts::{self, Addresses, Hosts};
use firedrill_faults::{
    CompileError, Fault, Footprint, PlaceKey, Selection, Selector, SelectorError, Site, Target,
};
use firedrill_undo::{Primitive, RouteChange};

use crate::in_force::{Taken, check_together};

/// A fault with its targets, within the blast radius.
#[derive(Debug)]
pub(crate) struct Aim {
    fault: Fault,
    selector: Selector,
    selection: Selection,
    seed: u64,
    spare: Vec<SocketAddr>,
    /// What the host names among its parameters have meant so far.
    addresses: Addresses,
    /// Where it is already: what appears there meets it.
    places: BTreeSet<PlaceKey>,
}

/// What appeared since the fault began, and is for it.
pub(crate) struct Newcomers {
    pub(crate) names: Vec<String>,
    /// None where the fault is already.
    pub(crate) primitives: Vec<Primitive>,
}

/// The fault of the method that goes by this name; what keeps it from being known is added to the
/// reasons.
pub(crate) fn named_fault(
    experiment: &Experiment,
    name: &str,
    scope: &Scope,
    reasons: &mut Vec<String>,
) -> Option<FaultCall> {
    let mut method = experiment.method.iter();
    let activity = method.find(|activity| activity.name == name)?;
    match call::resolve(&activity.provider, scope) {
        Ok(Call::Fault(call)) => Some(call),
        Ok(_) => None,
        Err(error) => {
            reasons.push(format!("`{name}`: {error}"));
            None
        }
    }
}

/// What a compiled fault changes of a route, if it is one's.
pub(crate) fn change_of_route(primitives: Vec<Primitive>) -> Option<RouteChange> {
    primitives
        .into_iter()
        .find_map(|primitive| match primitive {
            Primitive::ChangeRoute(change) => Some(change),
            _ => None,
        })
}

impl Aim {
    /// Looks at what runs now, and chooses; touches nothing. The error is a refusal with its hint.
    pub(crate) fn take(call: &FaultCall, radius: &BlastRadius, seed: u64) -> Result<Self, String> {
        if let Some(limit) = radius.duration_max
            && call.duration > limit
        {
            return Err(format!(
                "it asks for {}, and `duration-max` is {}",
                format_duration(call.duration),
                format_duration(limit)
            ));
        }
        let hinted = |error: firedrill_faults::FaultError| match error.hint() {
            Some(hint) => format!("{error} ({hint})"),
            None => error.to_string(),
        };
        let fault = Fault::parse(&call.name, &call.arguments).map_err(hinted)?;
        let selector = Selector::parse(&call.target).map_err(hinted)?;
        fault.check_target(selector.kind()).map_err(hinted)?;
        let refused =
            |refusal: firedrill_faults::Refused| format!("{refusal} ({})", refusal.hint());
        let selection = selector.select(seed).map_err(|error| match error {
            SelectorError::Refused(refusal) => refused(refusal),
            other => crate::chain(&other),
        })?;
        check_together(radius, &Footprint::from(&selection), &[])?;
        // A fault on a proxy's route is not for everything here, only asked for from here.
        let is_of_all = fault.entry().layer != "application";
        if !radius.exclusive_host && is_of_all && selection.chosen.contains(&Target::Host) {
            firedrill_faults::refuse_foreign_containers().map_err(|error| match error {
                SelectorError::Refused(refusal) => refused(refusal),
                other => crate::chain(&other),
            })?;
        }
        Ok(Self {
            fault,
            selector,
            selection,
            seed,
            spare: Vec::new(),
            addresses: Addresses::new(),
            places: BTreeSet::new(),
        })
    }

    /// Whose packets it must not meet.
    pub(crate) fn sparing(self, spare: Vec<SocketAddr>) -> Self {
        Self { spare, ..self }
    }

    /// Looks host names up, and may wait for that.
    pub(crate) fn compile(&mut self) -> Result<Vec<Primitive>, CompileError> {
        self.addresses = hosts::look_up(&self.fault.hosts())?;
        let chosen = &self.selection.chosen;
        let site = self.site(chosen, Hosts::At(&self.addresses));
        let primitives = self.fault.compile(&site)?;
        // A target that cannot be placed any more has ended, and its place with it.
        let place = |target| self.fault.place_of(target, &site).ok()?;
        let places = chosen.iter().filter_map(place);
        self.places = places.collect();
        Ok(primitives)
    }

    fn site<'a>(&'a self, targets: &'a [Target], hosts: Hosts<'a>) -> Site<'a> {
        Site {
            targets,
            beside: &[],
            seed: self.seed,
            spare: &self.spare,
            hosts,
        }
    }

    /// Host names to look up again while the fault is in place.
    pub(crate) fn hosts(&self) -> Vec<String> {
        self.fault.hosts()
    }

    /// What covers the addresses that the names mean now and did not before. Those that they do
    /// not mean any more stay covered until the end.
    pub(crate) fn moved(&mut self, now: &Addresses) -> Result<Option<Newcomers>, String> {
        let fresh = hosts::fresh(&self.addresses, now);
        if fresh.is_empty() {
            return Ok(None);
        }
        for (name, found) in &fresh {
            let known = self.addresses.entry(name.clone()).or_default();
            known.extend(found);
        }
        let hosts = Hosts::Moved {
            all: &self.addresses,
            fresh: &fresh,
        };
        let primitives = self
            .fault
            .compile(&self.site(&self.selection.chosen, hosts))
            .map_err(|error| crate::chain(&error))?;
        if primitives.is_empty() {
            return Ok(None);
        }
        let names = fresh.iter().map(|(name, found)| {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            format!("{name} at {}", found.join(", "))
        });
        Ok(Some(Newcomers {
            names: names.collect(),
            primitives,
        }))
    }

    /// Whether the fault is for what appears later, too: a pause is, a kill is done once.
    pub(crate) fn covers_newcomers(&self) -> bool {
        self.fault.covers_newcomers()
    }

    /// What matches now, was not there before, and is let in by the blast radius, which sees what the
    /// fault would hit then. The error says why it is left alone.
    pub(crate) fn newcomers(
        &mut self,
        admit: impl FnOnce(Footprint) -> Result<(), String>,
    ) -> Result<Option<Newcomers>, String> {
        // Everything ended: nothing new either.
        let Ok(now) = self.selector.select(self.seed) else {
            return Ok(None);
        };
        let known = &self.selection.chosen;
        let fresh: Vec<Target> = now
            .chosen
            .iter()
            .filter(|target| !known.contains(target))
            .cloned()
            .collect();
        if fresh.is_empty() {
            return Ok(None);
        }
        let mut together: Vec<Target> = known
            .iter()
            .filter(|target| target.exists())
            .cloned()
            .collect();
        together.extend(fresh.iter().cloned());
        let union = Selection {
            chosen: together,
            ..now
        };
        if self
            .selector
            .amount_max()
            .is_some_and(|most| union.chosen.len() > most)
        {
            return Ok(None);
        }
        let (elsewhere, places) = self
            .elsewhere(&fresh)
            .map_err(|error| crate::chain(&error))?;
        let primitives = match elsewhere.is_empty() {
            true => Vec::new(),
            false => self
                .fault
                .compile(&Site {
                    beside: &self.selection.chosen,
                    ..self.site(&elsewhere, Hosts::At(&self.addresses))
                })
                .map_err(|error| crate::chain(&error))?,
        };
        admit(Footprint::from(&union))?;
        self.places.extend(places);
        self.selection.chosen.extend(fresh.iter().cloned());
        Ok(Some(Newcomers {
            names: fresh.iter().map(ToString::to_string).collect(),
            primitives,
        }))
    }

    /// Those that are where the fault is not yet, and where that is.
    fn elsewhere(&self, fresh: &[Target]) -> Result<(Vec<Target>, Vec<PlaceKey>), CompileError> {
        let (mut targets, mut places) = (Vec::new(), Vec::new());
        let site = Site {
            beside: &self.selection.chosen,
            ..self.site(fresh, Hosts::At(&self.addresses))
        };
        for target in fresh {
            match self.fault.place_of(target, &site)? {
                Some(place) if self.places.contains(&place) => {}
                place => {
                    places.extend(place);
                    targets.push(target.clone());
                }
            }
        }
        Ok((targets, places))
    }

    /// What it hits, for the account of the blast radius.
    pub(crate) fn taken(&self) -> Taken {
        Taken {
            fault: self.fault.entry().name.to_owned(),
            class: self.fault.undo_class(),
            footprint: Footprint::from(&self.selection),
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.selection
            .chosen
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    pub(crate) fn undo_class(&self) -> UndoClass {
        match self.fault.undo_class() {
            firedrill_faults::UndoClass::Reversible => UndoClass::Reversible,
            firedrill_faults::UndoClass::Replaced => UndoClass::Replaced,
            firedrill_faults::UndoClass::Irreversible => UndoClass::Irreversible,
        }
    }
}
