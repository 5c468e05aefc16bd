use std::time::Duration;

use firedrill_kernel::KernelError;
use firedrill_kernel::clock::boottime;
use firedrill_kernel::netlink::{Protocol, Socket};
use firedrill_kernel::nftables::{Action, Match, RuleCount, Ruleset, Table, delete_named, tables};

use super::{Effect, EffectError, Observed, OwnerState, Prepared, chain};
use crate::primitive::{PacketFilter, Primitive};
use crate::residue::{Residue, Reverted};
use crate::state::DrillId;
use crate::{Measurement, Quantity};

/// Packets that meet the rules of a table of ours.
///
/// The table belongs to a socket of this process, and its rules match only while its timed set is
/// renewed: neither the guardian's death nor its being stopped leaves them in force.
#[derive(Debug)]
pub(crate) struct FilteredPackets {
    filter: PacketFilter,
    /// In its namespace, until the table takes it. Absent in a recovery.
    socket: Option<Socket>,
    /// Absent before it is applied, and in a recovery.
    table: Option<Table>,
    refused: Option<KernelError>,
}

impl FilteredPackets {
    pub(super) fn prepare(filter: PacketFilter) -> Result<Prepared, EffectError> {
        filter.ruleset.validate().map_err(KernelError::from)?;
        let Some(namespace) = filter.namespace.open()? else {
            return Err(EffectError::Vanished {
                what: format!("the network namespace {}", filter.namespace),
            });
        };
        let mut socket = namespace.within(|| Socket::open(Protocol::Netfilter))?;
        // Whoever may not list may not make either: then nothing is logged that could not be undone.
        tables(&mut socket)?;
        Ok(Prepared::ready(Self {
            socket: Some(socket),
            ..Self::resume(filter)
        }))
    }

    pub(super) fn resume(filter: PacketFilter) -> Self {
        Self {
            filter,
            socket: None,
            table: None,
            refused: None,
        }
    }

    /// Removes what is there by name: a table of a dead guardian, on a kernel that does not know
    /// who owned it. Looks first: a deletion in vain costs a grace period of the kernel, about
    /// 15 ms.
    fn remove(&self) -> Result<(), KernelError> {
        let Some(namespace) = self.filter.namespace.open()? else {
            return Ok(());
        };
        let mut socket = namespace.within(|| Socket::open(Protocol::Netfilter))?;
        for table in tables(&mut socket)? {
            if table.name == self.filter.ruleset.table {
                delete_named(&mut socket, table.family, &table.name)?;
            }
        }
        socket.close_later();
        Ok(())
    }
}

impl Effect for FilteredPackets {
    fn primitive(&self) -> Primitive {
        Primitive::FilterPackets(self.filter.clone())
    }

    fn apply(&mut self, deadline: Duration) -> Result<(), EffectError> {
        let Some(socket) = self.socket.take() else {
            return Ok(());
        };
        let mut table = Table::create(socket, &self.filter.ruleset)?;
        table.renew(deadline.saturating_sub(boottime()))?;
        self.table = Some(table);
        Ok(())
    }

    fn renew(&mut self, deadline: Duration) {
        if let Some(table) = &mut self.table {
            // What cannot be renewed ends at the old deadline, and is seen when it is observed.
            let _ = table.renew(deadline.saturating_sub(boottime()));
        }
    }

    /// Its rules stop to match. The table goes later: the kernel drops every packet that a queue of
    /// the namespace holds when a hook is removed, so the queues are to be empty by then.
    fn release(&mut self) {
        if let Some(table) = &mut self.table {
            self.refused = table.stop().err();
        }
    }

    fn restore(&mut self, _drill: &DrillId, _owner: OwnerState) -> Reverted {
        let mut reverted = Reverted::default();
        let mut refused = self.refused.take();
        let deleted = self.table.take().map(Table::delete);
        if let Some(Err(error)) = deleted {
            refused = Some(error);
        } else if deleted.is_some() {
            reverted.undone = 1;
            return reverted;
        }
        match self.remove() {
            Ok(()) => reverted.undone = 1,
            Err(error) => reverted.residue.push(Residue::EffectLeft {
                effect: format!("the nftables table {}", self.filter.ruleset.table),
                why: chain(&refused.unwrap_or(error)),
            }),
        }
        reverted
    }

    fn observe(&mut self) -> Result<Observed, EffectError> {
        let name = || format!("the nftables table {}", self.filter.ruleset.table);
        let Some(table) = &mut self.table else {
            return Ok(Observed::one(false, name));
        };
        let counts = match table.counters() {
            Ok(counts) => counts,
            Err(error) if error.netlink_errno() == Some(rustix::io::Errno::NOENT) => {
                return Ok(Observed::one(false, name));
            }
            Err(error) => return Err(error.into()),
        };
        let mut observed = Observed::one(true, String::new);
        let met = Met::of(&self.filter.ruleset, &counts);
        if met.hit == 0 && met.hits_packets {
            observed.idle.push("no packet met it".into());
        }
        observed.measured.extend(met.measurements());
        Ok(observed)
    }
}

/// How many packets met the rules.
#[derive(Default)]
struct Met {
    /// Whether there is a rule that does something to packets.
    hits_packets: bool,
    hit: u64,
    /// Packets that could have been hit, where rules hit a share; zero where they hit all.
    asked: u64,
    share: Option<f64>,
    what: Option<Quantity>,
}

impl Met {
    fn of(ruleset: &Ruleset, counts: &[RuleCount]) -> Self {
        let mut met = Self::default();
        for chain in &ruleset.chains {
            for (index, rule) in chain.rules.iter().enumerate() {
                let packets = counts
                    .iter()
                    .find(|count| count.chain == chain.name && count.rule == index)
                    .map_or(0, |count| count.packets);
                match rule.action {
                    Action::Return | Action::Accept => continue,
                    Action::Count => {
                        met.asked += packets;
                        continue;
                    }
                    Action::Drop => met.what = Some(Quantity::ShareDropped),
                    Action::RejectReset | Action::RejectIcmp(_) => {
                        met.what = Some(Quantity::ShareRejected);
                    }
                    // The worker that serves the queue counts what it was given.
                    Action::Queue { .. } => continue,
                    _ => {}
                }
                met.hits_packets = true;
                met.hit += packets;
                met.share = met.share.or_else(|| share(&rule.matches));
            }
        }
        met
    }

    fn measurements(&self) -> Vec<Measurement> {
        if !self.hits_packets {
            return Vec::new();
        }
        let mut measurements = vec![Measurement::exact(
            Quantity::PacketsMatched,
            None,
            self.hit as f64,
        )];
        if let (Some(quantity), Some(requested)) = (self.what, self.share)
            && self.asked > 0
        {
            let share = Measurement::share(quantity, Some(requested), self.hit, self.asked);
            measurements.extend(share);
        }
        measurements
    }
}

fn share(matches: &[Match]) -> Option<f64> {
    matches.iter().find_map(|found| match found {
        Match::Random { share } => Some(*share),
        _ => None,
    })
}
