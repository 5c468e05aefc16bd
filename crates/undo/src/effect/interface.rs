use std::time::Duration;

use firedrill_kernel::link::{self, Paths};
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::{Capability, KernelError};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, chain};
use crate::primitive::{InterfaceDown, Primitive};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;

/// An interface that is down, and the addresses and routes that it had.
#[derive(Debug)]
pub(crate) struct DownedInterface {
    down: InterfaceDown,
    paths: Paths,
    /// In the interface's namespace, opened beforehand. Absent in a recovery until it is needed.
    socket: Option<Socket>,
}

impl DownedInterface {
    pub(super) fn prepare(down: InterfaceDown) -> Result<Prepared, EffectError> {
        if Capability::NetAdmin.is_missing() {
            return Err(EffectError::Lacking {
                what: "taking an interface down",
                capability: Capability::NetAdmin,
            });
        }
        let what = || format!("the interface {}", down.name);
        let mut socket = open(&down)?.ok_or_else(|| EffectError::Vanished { what: what() })?;
        let here = link::by_index(&mut socket, down.index)?;
        let Some(here) = here.filter(|here| here.name == down.name) else {
            return Err(EffectError::Vanished { what: what() });
        };
        if !here.is_up() {
            // Taking it up again would not be an undo.
            return Err(EffectError::Taken {
                what: what(),
                by: "somebody who took it down before".into(),
            });
        }
        let paths = Paths::of(&mut socket, down.index)?;
        Ok(Prepared::ready(Self {
            down,
            paths,
            socket: Some(socket),
        }))
    }

    /// Without what was there before nothing was taken down; the log never holds such an entry.
    pub(super) fn resume(down: InterfaceDown) -> Option<Self> {
        let paths = down.before.clone()?;
        Some(Self {
            down,
            paths,
            socket: None,
        })
    }

    /// What is still missing; `None` when the interface is gone with everything that it had.
    fn bring_back(&mut self) -> Result<Option<Paths>, KernelError> {
        if self.socket.is_none() {
            self.socket = open(&self.down)?;
        }
        let Some(socket) = &mut self.socket else {
            return Ok(None);
        };
        let Some(here) = link::by_index(socket, self.down.index)? else {
            return Ok(None);
        };
        // It is up already unless this is a recovery, the first attempt failed, or it was never down.
        if !here.is_up() && !link::set_up(socket, self.down.index, true)? {
            return Ok(None);
        }
        self.paths.restore(socket).map(Some)
    }
}

impl Effect for DownedInterface {
    fn primitive(&self) -> Primitive {
        Primitive::DownInterface(InterfaceDown {
            before: Some(self.paths.clone()),
            ..self.down.clone()
        })
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        let there = match &mut self.socket {
            Some(socket) => link::set_up(socket, self.down.index, false)?,
            None => false,
        };
        if there {
            return Ok(());
        }
        Err(EffectError::Vanished {
            what: format!("the interface {}", self.down.name),
        })
    }

    fn release(&mut self) {
        if let Some(socket) = &mut self.socket {
            // Done again, and told, when it is restored.
            let _ = link::set_up(socket, self.down.index, true);
        }
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        match self.bring_back() {
            Ok(None) => {}
            Ok(Some(missing)) if missing.is_empty() => reverted.undone = 1,
            Ok(Some(missing)) => {
                reverted.undone = 1;
                reverted.residue.push(Residue::Differs {
                    what: format!("the interface {}", self.down.name),
                    difference: lacking(&missing),
                });
            }
            Err(error) => reverted.residue.push(Residue::EffectLeft {
                effect: format!("the interface {}, taken down,", self.down.name),
                why: chain(&error),
            }),
        }
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let name = self.down.name.clone();
        let here = match &mut self.socket {
            Some(socket) => link::by_index(socket, self.down.index)?,
            None => None,
        };
        let down = here.is_some_and(|here| !here.is_up());
        Ok(Observed::one(down, || format!("the interface {name} down")))
    }
}

/// A socket where the interface is; `None` when its namespace is gone.
fn open(down: &InterfaceDown) -> Result<Option<Socket>, KernelError> {
    let Some(namespace) = down.namespace.open()? else {
        return Ok(None);
    };
    namespace.within(|| Socket::open(Protocol::Route)).map(Some)
}

fn lacking(missing: &Paths) -> String {
    let addresses = missing
        .addresses
        .iter()
        .map(|found| format!("address {}/{}", found.address, found.prefix_length));
    let routes = missing.routes.iter().map(|route| match route.destination {
        Some(to) => format!("route to {to}/{}", route.prefix_length),
        None => "default route".to_owned(),
    });
    let lacking: Vec<String> = addresses.chain(routes).collect();
    format!("it lacks {}", lacking.join(", "))
}
