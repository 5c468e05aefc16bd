//! What the faults of a connection make of one request.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::chance::Chance;
use crate::message::{Kind, MessageFault};
use crate::stream::{Latency, Spread};

/// The faults of one protocol.
pub(in crate::message) trait WireFault: Clone + Debug + Send + 'static {
    /// What stands in place of an answer.
    type Error: Clone + Debug + Send;

    /// The fault, if it is on this protocol.
    fn of(kind: &Kind) -> Option<&Self>;

    fn does(&self) -> Does<'_, Self::Error>;
}

/// What a fault does, whatever the protocol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::message) enum Does<'a, E> {
    /// The request goes on later, and what comes behind it too.
    Delay(Latency),
    /// The request does not go on: this is its answer.
    Error(&'a E),
    /// The connection ends with this instead of being let in.
    Refuse(&'a E),
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
                spread: match own.does() {
                    Does::Delay(latency) => Some(Spread::of(latency)),
                    Does::Error(_) | Does::Refuse(_) => None,
                },
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
            if let (None, Does::Error(error)) = (&decision.error, decider.fault.does()) {
                decision.error = Some(error.clone());
            }
        }
        decision
    }

    /// What the connection gets instead of being let in.
    pub(in crate::message) fn refusal(&self) -> Option<F::Error> {
        self.each.iter().find_map(|one| {
            let chance = self.chance.named(&one.name).of(CONNECTION);
            match one.fault.does() {
                Does::Refuse(error) if chance.happens(one.share) => Some(error.clone()),
                _ => None,
            }
        })
    }
}
