//! nftables over netlink: whole tables of our own, bound to a descriptor and to a lease.
//!
//! A table is made in one transaction, belongs to the socket that made it (`flags owner`, Linux
//! 5.12) and vanishes with it; with a lease, its rules also stop to match by themselves. Tables of
//! others are only listed and compared, never changed: there is no call for it, but for
//! [`delete_named`], by which a recoverer removes a table that an owner of old kernels left.
//!
//! Source: linux/netfilter/nf_tables.h. Not here: reading rules back as rules, maps, verdict maps.

mod compile;
mod expression;
mod fingerprint;
mod listing;
mod message;
mod prefix;
mod queueing;
mod ruleset;
mod sets;
mod usable;
mod validate;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::KernelError;
use crate::netlink::Socket;

pub use fingerprint::{Fingerprint, fingerprint};
pub use listing::{TableInfo, delete_named, tables};
pub use message::Family;
pub use prefix::{Prefix, PrefixError};
pub use ruleset::{
    Action, Chain, ChainKind, ConnectionState, Hook, IcmpReason, IpVersion, Match, PortRange, Rule,
    Ruleset, Transport,
};
pub use usable::{Ability, Probe, usable};
pub use validate::{RuleProblem, RulesetError};

use compile::Means;

/// By what packets reach a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueMechanism {
    /// nft's own `queue` statement.
    Native,
    /// The xtables target NFQUEUE through nft's compatibility layer.
    Compat,
    /// The same, in one table for IPv4 and one for IPv6 of the same name.
    CompatSplit,
}

/// What a rule has counted: packets that all its matches held for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleCount {
    pub chain: String,
    /// Its place in [`Chain::rules`].
    pub rule: usize,
    pub packets: u64,
    pub bytes: u64,
}

/// A table of ours in the kernel. Dropping it closes the socket: the kernel then removes an owned
/// table by itself.
#[derive(Debug)]
pub struct Table {
    socket: Socket,
    name: String,
    families: Vec<Family>,
    owned: bool,
    lease: bool,
    queue: Option<QueueMechanism>,
}

impl Table {
    /// Makes the table, all of it or nothing, in the network namespace of the socket (which must be
    /// one of [`crate::netlink::Protocol::Netfilter`]). With a lease nothing matches before the
    /// first [`Table::renew`].
    ///
    /// # Errors
    /// [`KernelError::Ruleset`] when the ruleset is not valid; [`KernelError::Netlink`] with the
    /// kernel's reasons, `EEXIST` or `EPERM` when there is a table of that name. When no kind of
    /// packet queue works, with those for the first that was tried.
    pub fn create(mut socket: Socket, ruleset: &Ruleset) -> Result<Self, KernelError> {
        ruleset.validate()?;
        let mut rules = ruleset.chains.iter().flat_map(|chain| &chain.rules);
        if !rules.any(|rule| matches!(rule.action, Action::Queue { .. })) {
            let owned = make(&mut socket, ruleset, QueueMechanism::Native)?;
            return Ok(Self::made(socket, ruleset, owned, None));
        }
        let mut refused = None;
        for queue in queueing::order() {
            match make(&mut socket, ruleset, queue) {
                Ok(owned) => {
                    queueing::remember(queue);
                    return Ok(Self::made(socket, ruleset, owned, Some(queue)));
                }
                Err(error) if another_mechanism_may_do(&error) => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| KernelError::call("a packet queue", Errno::OPNOTSUPP)))
    }

    fn made(socket: Socket, ruleset: &Ruleset, owned: bool, queue: Option<QueueMechanism>) -> Self {
        let families = queue.unwrap_or(QueueMechanism::Native).families();
        Self {
            socket,
            name: ruleset.table.clone(),
            families: families.to_vec(),
            owned,
            lease: ruleset.lease,
            queue,
        }
    }

    /// Lets the rules match for `left` from now, instead of what was left before. Zero stops them
    /// at once. The kernel counts in milliseconds, rounded to its ticks; time in which the machine
    /// sleeps does not count.
    ///
    /// # Errors
    /// When the ruleset has no lease, or the table is gone.
    pub fn renew(&mut self, left: Duration) -> Result<(), KernelError> {
        if !self.lease {
            return Err(KernelError::call(
                "a lease of a table without one",
                Errno::INVAL,
            ));
        }
        let batch: Vec<_> = self
            .families
            .iter()
            .flat_map(|family| sets::renew(&self.name, *family, compile::LEASE_SET, left))
            .collect();
        self.socket.transaction(message::SUBSYSTEM, &batch)
    }

    /// Its rules stop to match at once; without a lease they go on until [`Self::delete`].
    ///
    /// # Errors
    /// When the table is gone.
    pub fn stop(&mut self) -> Result<(), KernelError> {
        if self.lease {
            self.renew(Duration::ZERO)?;
        }
        Ok(())
    }

    /// What each rule has counted, in the order of the ruleset. A rule that can hold for no packet
    /// is not listed; nothing is when the table is gone.
    ///
    /// # Errors
    /// With the kernel's reason.
    pub fn counters(&mut self) -> Result<Vec<RuleCount>, KernelError> {
        listing::counters(&mut self.socket, &self.families, &self.name)
    }

    /// Removes the table. One that is gone already is no error.
    ///
    /// # Errors
    /// With the kernel's reason. The table still goes with the socket then, if it is owned.
    pub fn delete(mut self) -> Result<(), KernelError> {
        for family in &self.families {
            delete_named(&mut self.socket, family.number(), &self.name)?;
        }
        self.socket.close_later();
        Ok(())
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One, or one per IP version.
    #[must_use]
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// Whether it vanishes with the socket. Not so before Linux 5.12.
    #[must_use]
    pub fn owned(&self) -> bool {
        self.owned
    }

    /// By what its queue actions work; `None` when it has none.
    #[must_use]
    pub fn queue(&self) -> Option<QueueMechanism> {
        self.queue
    }
}

impl AsFd for Table {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl QueueMechanism {
    fn families(self) -> &'static [Family] {
        match self {
            Self::Native | Self::Compat => &[Family::Inet],
            Self::CompatSplit => &[Family::Ip, Family::Ip6],
        }
    }
}

/// Whether the table is owned. An old kernel refuses the flag, and then does without.
fn make(
    socket: &mut Socket,
    ruleset: &Ruleset,
    queue: QueueMechanism,
) -> Result<bool, KernelError> {
    let owned = make_with(socket, ruleset, queue, true);
    let Err(KernelError::Netlink { first, .. }) = &owned else {
        return owned.map(|()| true);
    };
    let unknown_flag = matches!(first.errno, Errno::INVAL | Errno::OPNOTSUPP);
    if unknown_flag && first.doing.starts_with(compile::MAKING) {
        return make_with(socket, ruleset, queue, false).map(|()| false);
    }
    owned.map(|()| true)
}

fn make_with(
    socket: &mut Socket,
    ruleset: &Ruleset,
    queue: QueueMechanism,
    owned: bool,
) -> Result<(), KernelError> {
    let mut batch = Vec::new();
    for family in queue.families() {
        let means = Means {
            family: *family,
            queue,
            owned,
        };
        batch.extend(compile::table(ruleset, means)?);
    }
    socket.transaction(message::SUBSYSTEM, &batch)
}

fn another_mechanism_may_do(error: &KernelError) -> bool {
    matches!(
        error.netlink_errno(),
        Some(Errno::NOENT | Errno::INVAL | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT)
    )
}

#[cfg(test)]
mod tests;
