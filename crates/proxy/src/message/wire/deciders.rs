//! What the faults of a connection make of one request.

use std::sync::Arc;
use std::time::Duration;

use crate::chance::Chance;
use crate::message::{Kind, MessageFault};
use crate::stream::{Latency, Spread};

/// The faults of one protocol.
pub(in crate::message) trait WireFault: Clone {
    /// What stands in place of an answer.
    type Error: Clone;

    /// The fault, if it is on this protocol.
    fn of(kind: &Kind) -> Option<&Self>;

    fn delay(&self) -> Option<Latency>;

    fn error(&self) -> Option<&Self::Error>;

    /// What a connection gets instead of being let in.
    fn refusal(&self) -> Option<&Self::Error> {
        None
    }
}

/// What becomes of one request.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::message) struct Decision<E> {
    pub(in crate::message) delay: Duration,
    /// Its answer, instead of going on.
    pub(in crate::message) error: Option<E>,
}

/// Ready to decide on the requests of a connection.
#[derive(Debug)]
pub(in crate::message) struct Deciders<F> {
    chance: Chance,
    each: Vec<Decider<F>>,
}

#[derive(Debug)]
struct Decider<F> {
    name: Arc<str>,
    share: f64,
    fault: F,
    spread: Option<Spread>,
}

/// Apart from whether a fault falls on a request, which the request's own number decides.
const DELAY: u64 = 1;

/// In place of a request's number, for what is about the connection.
const CONNECTION: u64 = 0;

impl<F: WireFault> Deciders<F> {
    pub(in crate::message) fn new(chance: Chance, faults: &[MessageFault]) -> Self {
        let mut deciders = Self {
            chance,
            each: Vec::new(),
        };
        deciders.change(faults);
        deciders
    }

    pub(in crate::message) fn change(&mut self, faults: &[MessageFault]) {
        let ours = faults.iter().filter_map(|fault| {
            let own = F::of(&fault.kind)?;
            Some(Decider {
                name: Arc::clone(&fault.name),
                share: fault.share,
                spread: own.delay().map(Spread::of),
                fault: own.clone(),
            })
        });
        self.each = ours.collect();
    }

    /// Whether nothing is ever decided.
    pub(in crate::message) fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Decides on the request of this number. Delays add up; of several errors the first is given.
    pub(in crate::message) fn decide(
        &self,
        number: u64,
        fits: impl Fn(&F) -> bool,
    ) -> Decision<F::Error> {
        let mut decision = Decision {
            delay: Duration::ZERO,
            error: None,
        };
        for decider in self.each.iter().filter(|one| fits(&one.fault)) {
            let chance = self.chance.named(&decider.name).of(number);
            if !chance.happens(decider.share) {
                continue;
            }
            if let Some(spread) = &decider.spread {
                decision.delay += spread.delay(chance.of(DELAY).unit());
            }
            if decision.error.is_none() {
                decision.error = decider.fault.error().cloned();
            }
        }
        decision
    }

    /// What the connection gets instead of being let in.
    pub(in crate::message) fn refusal(&self) -> Option<F::Error> {
        let mut all = self.each.iter().filter(|one| {
            let chance = self.chance.named(&one.name).of(CONNECTION);
            one.fault.refusal().is_some() && chance.happens(one.share)
        });
        all.next().and_then(|one| one.fault.refusal().cloned())
    }
}
