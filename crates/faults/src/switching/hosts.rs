//! Host names among a fault's parameters, and what they mean while it is in place.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs as _};

use crate::fault::CompileError;

/// What names meant when they were looked up, where the drill runs.
pub type Addresses = BTreeMap<String, BTreeSet<IpAddr>>;

/// From names to addresses.
#[derive(Clone, Copy, Debug, Default)]
pub enum Hosts<'a> {
    /// Looked up when the fault is compiled.
    #[default]
    LookUp,
    /// Looked up before.
    At(&'a Addresses),
    /// The fault is in place, and names have come to mean more: only that is asked for.
    Moved {
        all: &'a Addresses,
        fresh: &'a Addresses,
    },
}

/// Looks names up, one after the other; may block for as long as the resolver of the system does.
///
/// # Errors
/// With the first name that means nothing.
pub fn look_up(names: &[String]) -> Result<Addresses, CompileError> {
    let mut all = Addresses::new();
    for name in names {
        let found = (name.as_str(), 0_u16).to_socket_addrs().map_err(|source| {
            CompileError::HostUnknown {
                name: name.clone(),
                source,
            }
        })?;
        all.insert(name.clone(), found.map(|socket| socket.ip()).collect());
    }
    Ok(all)
}

/// What is in `now` and not in `known`.
#[must_use]
pub fn fresh(known: &Addresses, now: &Addresses) -> Addresses {
    let beyond = |(name, found): (&String, &BTreeSet<IpAddr>)| {
        let before = known.get(name);
        let new = |address: &&IpAddr| before.is_none_or(|before| !before.contains(address));
        let new: BTreeSet<IpAddr> = found.iter().filter(new).copied().collect();
        (!new.is_empty()).then(|| (name.clone(), new))
    };
    now.iter().filter_map(beyond).collect()
}

impl Hosts<'_> {
    /// The addresses of these names that are asked for.
    pub(crate) fn of(&self, names: &[String]) -> Result<Vec<IpAddr>, CompileError> {
        let looked_up;
        let asked = match self {
            Self::LookUp => {
                looked_up = look_up(names)?;
                &looked_up
            }
            Self::At(all) => *all,
            Self::Moved { fresh, .. } => *fresh,
        };
        Ok(among(asked, names))
    }

    /// Every address that these names have meant so far.
    pub(crate) fn ever_of(&self, names: &[String]) -> Result<Vec<IpAddr>, CompileError> {
        match self {
            Self::Moved { all, .. } => Ok(among(all, names)),
            Self::LookUp | Self::At(_) => self.of(names),
        }
    }
}

fn among(addresses: &Addresses, names: &[String]) -> Vec<IpAddr> {
    let found = names.iter().filter_map(|name| addresses.get(name));
    found.flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(name: &str, hosts: &[u8]) -> Addresses {
        let found = hosts.iter().map(|host| IpAddr::from([192, 0, 2, *host]));
        [(name.to_owned(), found.collect())].into()
    }

    #[test]
    fn only_what_a_name_did_not_mean_before_is_fresh() {
        let known = addresses("db", &[1, 2]);
        assert_eq!(
            fresh(&known, &addresses("db", &[2, 3])),
            addresses("db", &[3])
        );
        assert_eq!(fresh(&known, &addresses("db", &[1])), Addresses::new());
        assert_eq!(
            fresh(&known, &addresses("web", &[1])),
            addresses("web", &[1])
        );
    }

    #[test]
    fn what_moved_is_asked_for_alone_but_everything_is_remembered() {
        let (all, fresh) = (addresses("db", &[1, 3]), addresses("db", &[3]));
        let moved = Hosts::Moved {
            all: &all,
            fresh: &fresh,
        };
        let names = ["db".to_owned()];
        assert_eq!(moved.of(&names).unwrap(), [IpAddr::from([192, 0, 2, 3])]);
        assert_eq!(moved.ever_of(&names).unwrap().len(), 2);
    }

    #[test]
    fn a_name_that_means_nothing_is_an_error_with_its_name() {
        let unknown = look_up(&["no-such-host.invalid".to_owned()]).unwrap_err();
        assert!(unknown.to_string().contains("no-such-host.invalid"));
    }
}
