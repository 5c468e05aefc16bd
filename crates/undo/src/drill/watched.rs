//! What ends by itself and leaves something that cannot wait for the lease.

use std::os::fd::BorrowedFd;

use super::Drill;

impl Drill {
    /// Descriptors that become readable when something in force has ended by itself.
    pub(crate) fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let held = self.entries.iter().flat_map(|entry| &entry.held);
        held.filter_map(|held| held.watched())
    }

    /// Puts right at once what the end of something in force has left; its entry stays, to be taken
    /// back like any other. `which` counts along [`Self::watched`].
    pub(crate) fn watched_ended(&mut self, which: usize) {
        let held = self.entries.iter_mut().flat_map(|entry| &mut entry.held);
        if let Some(held) = held.filter(|held| held.watched().is_some()).nth(which) {
            held.watched_ended();
        }
    }
}
