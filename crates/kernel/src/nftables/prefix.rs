//! Address prefixes, written as in `10.0.0.0/8`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Addresses that begin alike. Bits after the prefix are cleared when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// What is not an address prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address or prefix such as 10.0.0.0/8")]
pub struct PrefixError {
    text: String,
}

impl Prefix {
    /// `length` in bits: at most 32, or 128 for IPv6.
    ///
    /// # Errors
    /// When it is longer than the address.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, PrefixError> {
        if length > width(address) {
            return Err(PrefixError {
                text: format!("{address}/{length}"),
            });
        }
        let address = match address {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shr(length.into()).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & !host).into())
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shr(length.into()).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & !host).into())
            }
        };
        Ok(Self { address, length })
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// In bits.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether the address is in it. No IPv4 address is in an IPv6 prefix, however it is written.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::new(address, self.length).is_ok_and(|other| other == *self)
    }

    /// Whether there is an address in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// The address bytes, and which of their bits count.
    pub(super) fn bytes_and_mask(&self) -> (Vec<u8>, Vec<u8>) {
        let (bytes, mask) = match self.address {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shr(self.length.into()).unwrap_or(0);
                (v4.octets().to_vec(), (!host).to_be_bytes().to_vec())
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shr(self.length.into()).unwrap_or(0);
                (v6.octets().to_vec(), (!host).to_be_bytes().to_vec())
            }
        };
        (bytes, mask)
    }

    /// First and last address as numbers.
    pub(super) fn range(&self) -> (u128, u128) {
        match self.address {
            IpAddr::V4(v4) => {
                let first = v4.to_bits();
                let host = u32::MAX.checked_shr(self.length.into()).unwrap_or(0);
                (first.into(), (first | host).into())
            }
            IpAddr::V6(v6) => {
                let first = v6.to_bits();
                let host = u128::MAX.checked_shr(self.length.into()).unwrap_or(0);
                (first, first | host)
            }
        }
    }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            length: width(address),
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let error = || PrefixError {
            text: text.to_owned(),
        };
        match text.split_once('/') {
            None => text.parse::<IpAddr>().map(Self::from).map_err(|_| error()),
            Some((address, length)) => {
                let address = address.parse().map_err(|_| error())?;
                let length = length.parse().map_err(|_| error())?;
                Self::new(address, length)
            }
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_prefixes_that_it_begins_with() {
        let prefix = |text: &str| text.parse::<Prefix>().unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(prefix("10.1.0.0/16").contains(address("10.1.2.3")));
        assert!(!prefix("10.1.0.0/16").contains(address("10.2.2.3")));
        assert!(prefix("0.0.0.0/0").contains(address("192.0.2.1")));
        assert!(!prefix("0.0.0.0/0").contains(address("fd00::1")));
        assert!(!prefix("::/0").contains(address("192.0.2.1")));
        assert!(prefix("fd00::/8").contains(address("fd12::1")));
        assert!(prefix("10.0.0.0/8").overlaps(&prefix("10.1.0.0/16")));
        assert!(prefix("10.1.0.0/16").overlaps(&prefix("10.0.0.0/8")));
        assert!(!prefix("10.1.0.0/16").overlaps(&prefix("10.2.0.0/16")));
    }
}
