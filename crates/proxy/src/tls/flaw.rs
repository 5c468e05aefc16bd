//! What can be wrong with a handshake, on purpose.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::arms::Arm;
use crate::chance::Chance;
use crate::stream::Direction;

/// A fault on the handshakes of a route that ends TLS itself.
#[derive(Debug, Clone, PartialEq)]
pub struct HandshakeFault {
    /// Unique on its route. Decisions follow the name: a fault that is edited keeps them.
    pub name: Arc<str>,
    pub direction: Direction,
    /// The share of the connections that it is on, 0 to 1.
    pub toxicity: f64,
    /// Only connections of this arm meet it.
    pub arm: Option<Arm>,
    pub kind: Kind,
}

/// What a fault does to a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The client is shown a certificate with this flaw.
    Certificate(Flaw),
    /// The client is told that there is no agreement (`handshake_failure`).
    Alert,
    /// The client is told nothing.
    Stall,
}

/// What is wrong with a certificate.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// Since yesterday.
    #[default]
    Expired,
    /// It will be good from tomorrow on.
    NotYetValid,
    /// It is nobody's but its own word.
    SelfSigned,
    /// It is for a name that nobody asked for.
    WrongName,
}

/// What befalls a handshake: of several faults the first that falls on the connection, which is in
/// this arm. `chance` is the connection's in a direction.
#[must_use]
pub fn first(
    faults: &[HandshakeFault],
    arm: Option<Arm>,
    chance: impl Fn(Direction) -> Chance,
) -> Option<Kind> {
    let falls = |fault: &&HandshakeFault| {
        let chance = chance(fault.direction).named(&fault.name);
        (fault.arm.is_none() || fault.arm == arm) && chance.happens(fault.toxicity)
    };
    faults.iter().find(falls).map(|fault| fault.kind)
}
