//! What this process may do, by the names of capabilities(7).

use std::fmt;

use crate::{KernelError, process};

/// A capability that something of Firedrill's takes; the value is its bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Capability {
    DacOverride = 1,
    Kill = 5,
    NetBindService = 10,
    NetAdmin = 12,
    SysPtrace = 19,
    SysAdmin = 21,
    SysBoot = 22,
    SysNice = 23,
    SysResource = 24,
    SysTime = 25,
}

/// The effective set of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// Those of the calling process. In a user namespace of its own they do not count outside.
    ///
    /// # Errors
    /// When `/proc` does not show them.
    pub fn effective() -> Result<Self, KernelError> {
        let bits = process::status_field(std::process::id(), "CapEff")?;
        bits.and_then(|bits| u64::from_str_radix(&bits, 16).ok())
            .map(Self)
            .ok_or_else(|| KernelError::Malformed {
                path: "/proc/self/status".into(),
                what: "CapEff",
            })
    }

    #[must_use]
    pub fn have(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }
}

impl Capability {
    pub const ALL: [Self; 10] = [
        Self::DacOverride,
        Self::Kill,
        Self::NetBindService,
        Self::NetAdmin,
        Self::SysPtrace,
        Self::SysAdmin,
        Self::SysBoot,
        Self::SysNice,
        Self::SysResource,
        Self::SysTime,
    ];

    /// Known to be missing; what cannot be read is not.
    #[must_use]
    pub fn is_missing(self) -> bool {
        Capabilities::effective().is_ok_and(|effective| !effective.have(self))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DacOverride => "CAP_DAC_OVERRIDE",
            Self::Kill => "CAP_KILL",
            Self::NetBindService => "CAP_NET_BIND_SERVICE",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::SysBoot => "CAP_SYS_BOOT",
            Self::SysNice => "CAP_SYS_NICE",
            Self::SysResource => "CAP_SYS_RESOURCE",
            Self::SysTime => "CAP_SYS_TIME",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_of_the_kernel() {
        let only = Capabilities(0x0000_0000_0200_1020);
        let have = |capability: &Capability| only.have(*capability);
        let held: Vec<Capability> = Capability::ALL.into_iter().filter(have).collect();
        let wanted = [Capability::Kill, Capability::NetAdmin, Capability::SysTime];
        assert_eq!(held, wanted);
    }

    #[test]
    fn what_this_process_has_can_be_read() {
        let effective = Capabilities::effective().unwrap();
        let missing = Capability::NetAdmin.is_missing();
        assert_eq!(missing, !effective.have(Capability::NetAdmin));
    }
}
