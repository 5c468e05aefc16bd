//! What the faults of a connection make of one request.

use std::time::Duration;

use bytes::Bytes;

use super::{BodyChange, HeaderChange, HttpAction, HttpFault};
use crate::arms::Member;
use crate::chance::Chance;
use crate::message::{Kind, MessageFault};
use crate::stream::{Direction, Spread};

/// The faults of a connection that are on HTTP requests, ready to decide.
#[derive(Debug, Default)]
pub(in crate::message) struct Deciders(Vec<Decider>);

#[derive(Debug)]
struct Decider {
    fault: MessageFault,
    /// Where it delays.
    spread: Option<Spread>,
}

/// What becomes of one request and its answer. Nothing, as it begins.
#[derive(Debug, Default)]
pub(in crate::message) struct Decision {
    pub(in crate::message) member: Option<Member>,
    pub(in crate::message) delay: Duration,
    /// Instead of going on.
    pub(in crate::message) instead: Option<Instead>,
    pub(in crate::message) request: Changes,
    pub(in crate::message) response: Changes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::message) enum Instead {
    Answer { status: u16, body: Bytes },
    Reset,
}

/// What is changed of a message.
#[derive(Debug, Default)]
pub(in crate::message) struct Changes {
    pub(in crate::message) headers: Vec<HeaderChange>,
    /// With where its draws come from.
    pub(in crate::message) body: Option<(BodyChange, Chance)>,
}

impl Changes {
    pub(in crate::message) fn is_none(&self) -> bool {
        self.headers.is_empty() && self.body.is_none()
    }
}

/// Apart from whether a fault falls on a request, which the request's own number decides.
pub(in crate::message) const DELAY: u64 = 1;
const BODY: u64 = 2;

impl Deciders {
    pub(in crate::message) fn new(faults: &[MessageFault]) -> Self {
        let http = faults
            .iter()
            .filter(|fault| matches!(fault.kind, Kind::Http(_)));
        let ready = http.map(|fault| Decider {
            fault: fault.clone(),
            spread: match &fault.kind {
                Kind::Http(HttpFault {
                    action: HttpAction::Delay(latency),
                    ..
                }) => Some(Spread::of(*latency)),
                _ => None,
            },
        });
        Self(ready.collect())
    }

    pub(in crate::message) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decides on the request of this number. Of several answers the first is given; delays add up.
    pub(in crate::message) fn decide(
        &self,
        chance: Chance,
        number: u64,
        method: &[u8],
        path: &[u8],
        headers: &[(&[u8], &[u8])],
        member: Option<Member>,
    ) -> Decision {
        let arm = member.map(|member| member.arm);
        let mut decision = Decision {
            member,
            ..Decision::default()
        };
        for Decider { fault, spread } in &self.0 {
            let Kind::Http(http) = &fault.kind else {
                continue;
            };
            let fits = http.matching.fits(method, path, headers);
            let meant = fault.arm.is_none() || fault.arm == arm;
            if !fits || !meant || !fault.falls_on(chance, number) {
                continue;
            }
            let chance = chance.named(&fault.name).of(number);
            if let Some(spread) = spread {
                decision.delay += spread.delay(chance.of(DELAY).unit());
            }
            decision.take(&http.action, chance);
        }
        decision
    }
}

impl Decision {
    /// Whether no fault is on the request.
    pub(in crate::message) fn is_none(&self) -> bool {
        let unchanged = self.request.is_none() && self.response.is_none();
        unchanged && self.delay.is_zero() && self.instead.is_none()
    }

    fn take(&mut self, action: &HttpAction, chance: Chance) {
        let side = |direction| match direction {
            Direction::Upstream => 0,
            Direction::Downstream => 1,
        };
        let changes = [&mut self.request, &mut self.response];
        match action {
            HttpAction::Delay(_) => {}
            HttpAction::Abort { status, body } => {
                self.instead.get_or_insert(Instead::Answer {
                    status: *status,
                    body: body.clone(),
                });
            }
            HttpAction::Reset => {
                self.instead.get_or_insert(Instead::Reset);
            }
            HttpAction::Body { direction, change } => {
                let change = (change.clone(), chance.of(BODY));
                changes[side(*direction)].body.get_or_insert(change);
            }
            HttpAction::Header { direction, change } => {
                changes[side(*direction)].headers.push(change.clone());
            }
        }
    }
}
