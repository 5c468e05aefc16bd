use std::fmt;

use serde::{Deserialize, Serialize};

/// `MAJOR:MINOR`, sixteen bits each. A discipline has minor 0; its classes have the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(pub u32);

impl Handle {
    /// Of what the kernel attached by itself.
    pub const NONE: Self = Self(0);
    /// The parent of a root: `TC_H_ROOT`.
    pub const ROOT: Self = Self(0xffff_ffff);
    /// The parent of an ingress or clsact discipline: `TC_H_INGRESS`.
    pub const INGRESS: Self = Self(0xffff_fff1);

    /// A discipline's own handle.
    #[must_use]
    pub fn of_major(major: u16) -> Self {
        Self(u32::from(major) << 16)
    }

    /// The class of a discipline with this minor number.
    ///
    /// It is also the `priority` that leads a packet into the class (`SO_PRIORITY`, or `meta
    /// priority set` in nftables): `prio` and `htb` take a packet whose priority has their major
    /// number to the class with its minor number, before any filter.
    #[must_use]
    pub fn class(self, minor: u16) -> Self {
        Self((self.0 & 0xffff_0000) | u32::from(minor))
    }

    #[must_use]
    pub fn major(self) -> u16 {
        (self.0 >> 16) as u16
    }

    #[must_use]
    pub fn minor(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ROOT => f.write_str("root"),
            Self::INGRESS => f.write_str("ingress"),
            _ if self.minor() == 0 => write!(f, "{:x}:", self.major()),
            _ => write!(f, "{:x}:{:x}", self.major(), self.minor()),
        }
    }
}
