mod dropped;

use std::time::Duration;

use firedrill_kernel::namespace::NetNamespace;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::qdisc::{self, Deletion, Handle, QdiscError, Spot, Statistics};
use firedrill_kernel::{KernelError, link};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, chain};
use crate::primitive::{Primitive, RootQdisc};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;

/// An interface whose root is ours: everything passes, except what rules lead into its band.
#[derive(Debug)]
pub(crate) struct ReplacedRoot {
    root: RootQdisc,
    /// In the interface's namespace, opened beforehand. Absent in a recovery until it is needed.
    socket: Option<Socket>,
    /// Whether it may be there: not before it is attached, nor if that was refused.
    attached: bool,
    released: Option<Result<Deletion, QdiscError>>,
}

impl ReplacedRoot {
    pub(super) fn prepare(root: RootQdisc) -> Result<Prepared, EffectError> {
        let mut socket = socket_in(&root.namespace)?;
        let here = link::by_index(&mut socket, root.bands.interface)?;
        if here.is_none_or(|interface| interface.name != root.name) {
            return Err(EffectError::Vanished {
                what: format!("the interface {}", root.name),
            });
        }
        let present = qdisc::root(&mut socket, root.bands.interface)?;
        if let Some(foreign) = present.filter(|present| !present.is_default()) {
            return Err(EffectError::Taken {
                what: format!("the root of {}", root.name),
                by: foreign.kind,
            });
        }
        Ok(Prepared::ready(Self {
            socket: Some(socket),
            attached: false,
            ..Self::resume(root)
        }))
    }

    pub(super) fn resume(root: RootQdisc) -> Self {
        Self {
            root,
            socket: None,
            attached: true,
            released: None,
        }
    }

    fn band(&self) -> Option<Spot> {
        Some(Spot {
            interface: self.root.bands.interface,
            parent: self.root.bands.band(1)?,
            handle: Handle::of_major(self.root.bands.handle.major() + 1),
        })
    }

    /// Removes it where a dead guardian left it.
    fn remove(&mut self) -> Result<Deletion, QdiscError> {
        let Some(namespace) = self.root.namespace.open()? else {
            return Ok(Deletion::Gone);
        };
        let mut socket = namespace.within(|| Socket::open(Protocol::Route))?;
        self.root.bands.detach(&mut socket)
    }

    fn statistics(&mut self) -> Result<Option<Statistics>, KernelError> {
        let Some(spot) = self.band() else {
            return Ok(None);
        };
        let Some(socket) = &mut self.socket else {
            return Ok(None);
        };
        let all = qdisc::list(socket, spot.interface)?;
        Ok(all
            .iter()
            .find(|present| present.handle == spot.handle)
            .map(|present| present.statistics))
    }
}

impl Effect for ReplacedRoot {
    fn primitive(&self) -> Primitive {
        Primitive::ReplaceRoot(self.root.clone())
    }

    fn apply(&mut self, _deadline: Duration) -> Result<(), EffectError> {
        let spot = self.band();
        let (Some(socket), Some(spot)) = (&mut self.socket, spot) else {
            return Ok(());
        };
        self.root.bands.attach(socket)?;
        self.attached = true;
        qdisc::add(socket, spot, &self.root.discipline)?;
        Ok(())
    }

    fn release(&mut self) {
        // What another drill has attached since the look has our handle, too.
        if let (true, Some(socket)) = (self.attached, &mut self.socket) {
            self.released = Some(self.root.bands.detach(socket));
        }
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        if !self.attached {
            return reverted;
        }
        let released = match self.released.take() {
            Some(Ok(deletion)) => Ok(deletion),
            Some(Err(_)) | None => self.remove(),
        };
        match released {
            Ok(Deletion::Deleted) => reverted.undone = 1,
            Ok(Deletion::Gone) => {}
            Ok(Deletion::Differs) => reverted.residue.push(Residue::Differs {
                what: format!("the root qdisc of {}", self.root.name),
                difference: "somebody else replaced ours during the fault; it was left alone"
                    .into(),
            }),
            Err(error) => reverted.residue.push(Residue::EffectLeft {
                effect: format!("the root qdisc of {}", self.root.name),
                why: chain(&error),
            }),
        }
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let name = self.root.name.clone();
        let Some(statistics) = self.statistics()? else {
            return Ok(Observed::one(false, || format!("the qdisc of {name}")));
        };
        let mut observed = Observed::one(true, String::new);
        observed
            .measured
            .extend(dropped::share(&self.root.discipline, statistics));
        Ok(observed)
    }
}

fn socket_in(namespace: &NetNamespace) -> Result<Socket, EffectError> {
    Ok(namespace.within(|| Socket::open(Protocol::Route))?)
}
