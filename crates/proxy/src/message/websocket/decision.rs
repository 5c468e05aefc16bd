//! What the faults of a connection make of one message.

use std::time::Duration;

use super::{WebSocketAction, WebSocketChange, WebSocketFault, WebSocketMessage};
use crate::arms::Arm;
use crate::chance::Chance;
use crate::message::http::decision::DELAY;
use crate::message::{Kind, MessageFault};
use crate::stream::{Direction, Spread};

/// Where the bits of a message that are flipped are drawn.
const BITS: u64 = 2;

/// The faults of a connection that are on messages of a WebSocket, ready to decide.
#[derive(Debug, Default)]
pub(in crate::message) struct Deciders(Vec<Decider>);

#[derive(Debug)]
struct Decider {
    fault: MessageFault,
    on: WebSocketFault,
    /// Where it delays.
    spread: Option<Spread>,
}

/// Whose messages they are.
#[derive(Debug)]
pub(super) struct Whose {
    pub(super) chance: Chance,
    /// Of the request that began it.
    pub(super) path: Vec<u8>,
    pub(super) arm: Option<Arm>,
}

/// What becomes of one message. It passes, as it begins.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) delay: Duration,
    /// The connection ends instead.
    pub(super) close: Option<Close>,
    pub(super) becomes: Becomes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) mask: [u8; 4],
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Becomes {
    #[default]
    Itself,
    Nothing,
    /// So many bytes of it.
    Shorter(u64),
    Corrupted {
        share: f64,
        chance: Chance,
    },
}

impl Deciders {
    pub(in crate::message) fn new(faults: &[MessageFault]) -> Self {
        let ready = faults.iter().filter_map(|fault| {
            let Kind::WebSocket(on) = &fault.kind else {
                return None;
            };
            Some(Decider {
                fault: fault.clone(),
                on: on.clone(),
                spread: match &on.action {
                    WebSocketAction::Delay(latency) => Some(Spread::of(*latency)),
                    _ => None,
                },
            })
        });
        Self(ready.collect())
    }

    /// Decides on the message of this number of its direction. Delays add up; of all else the first
    /// counts, and an end before it.
    pub(super) fn decide(
        &self,
        whose: &Whose,
        direction: Direction,
        message: WebSocketMessage,
        number: u64,
    ) -> Decision {
        let mut decision = Decision::default();
        for Decider { fault, on, spread } in &self.0 {
            let meant = fault.arm.is_none() || fault.arm == whose.arm;
            let fits = on.direction == direction && on.matching.fits(&whose.path, message);
            if !fits || !meant || !fault.falls_on(whose.chance, number) {
                continue;
            }
            let chance = whose.chance.named(&fault.name).of(number);
            if let Some(spread) = spread {
                decision.delay += spread.delay(chance.of(DELAY).unit());
            }
            decision.take(&on.action, chance);
        }
        decision
    }
}

impl Decision {
    fn take(&mut self, action: &WebSocketAction, chance: Chance) {
        let becomes = match action {
            WebSocketAction::Delay(_) => return,
            WebSocketAction::Close { code, reason } => {
                self.close.get_or_insert_with(|| Close {
                    code: *code,
                    reason: reason.clone(),
                    mask: (chance.bits() as u32).to_be_bytes(),
                });
                return;
            }
            WebSocketAction::Drop => Becomes::Nothing,
            WebSocketAction::Change(WebSocketChange::Truncate { after }) => {
                Becomes::Shorter(*after)
            }
            WebSocketAction::Change(WebSocketChange::Corrupt { share }) => Becomes::Corrupted {
                share: *share,
                chance: chance.of(BITS),
            },
        };
        if matches!(self.becomes, Becomes::Itself) {
            self.becomes = becomes;
        }
    }
}
