//! Addresses as Toxiproxy's clients write them: `host:port`, `:port`, `[::1]:port`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use super::answer::ApiError;
use crate::group::{Checks, Endpoint, Group};
use crate::route::Upstream;

/// Why an address is none.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("address {address}: no port, as in `localhost:8080`")]
    NoPort { address: String },
    #[error("address {address}: {port} is not a port from 0 to 65535")]
    NotAPort { address: String, port: String },
    #[error("address {address}: {source}")]
    NotFound {
        address: String,
        source: std::io::Error,
    },
    #[error("address {address}: the name has no address")]
    Nowhere { address: String },
}

impl From<AddressError> for ApiError {
    fn from(error: AddressError) -> Self {
        Self::body(error.to_string())
    }
}

/// Where to listen; without a host on every address.
pub(super) fn to_listen(address: &str) -> Result<SocketAddr, AddressError> {
    if address.is_empty() {
        return Ok(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0));
    }
    let (host, port) = parts(address)?;
    if host.is_empty() {
        return Ok(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
    }
    let found = (host, port).to_socket_addrs();
    let mut found = found.map_err(|source| AddressError::NotFound {
        address: address.into(),
        source,
    })?;
    // As Go does: IPv4 first where a name has both.
    let all: Vec<_> = found.by_ref().collect();
    let first = all.iter().find(|a| a.is_ipv4()).or(all.first()).copied();
    first.ok_or_else(|| AddressError::Nowhere {
        address: address.into(),
    })
}

/// Where to lead; a name is looked up when a connection comes. Several places, `host:port@zone` with
/// a `+` between them, are a group, of which those in this zone are preferred.
pub(super) fn to_reach(
    address: &str,
    zone: Option<&str>,
    checks: Checks,
) -> Result<Upstream, AddressError> {
    if address.contains(['+', '@']) {
        let endpoints = address.split('+').map(endpoint);
        let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        let group = Group::new(endpoints, zone, Some(checks));
        return Ok(Upstream::Group(Arc::new(group)));
    }
    let (host, port) = parts(address)?;
    match host.parse::<IpAddr>() {
        Ok(ip) => Ok(Upstream::Addresses(vec![SocketAddr::new(ip, port)])),
        Err(_) => Ok(Upstream::Name {
            host: if host.is_empty() { "localhost" } else { host }.into(),
            port,
        }),
    }
}

/// One place of several. Its name is looked up now.
fn endpoint(text: &str) -> Result<Endpoint, AddressError> {
    let (address, zone) = match text.split_once('@') {
        Some((address, zone)) => (address, Some(zone.to_owned())),
        None => (text, None),
    };
    let (host, _) = parts(address)?;
    let reached = if host.is_empty() {
        format!("localhost{address}")
    } else {
        address.to_owned()
    };
    Ok(Endpoint {
        address: to_listen(&reached)?,
        zone,
    })
}

fn parts(address: &str) -> Result<(&str, u16), AddressError> {
    let no_port = || AddressError::NoPort {
        address: address.into(),
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(no_port)?;
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match inner {
        Some(host) => host,
        None if host.contains(':') => return Err(no_port()),
        None => host,
    };
    let port = port.parse().map_err(|_| AddressError::NotAPort {
        address: address.into(),
        port: port.into(),
    })?;
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(address: &str) -> Result<Upstream, AddressError> {
        to_reach(address, Some("b"), Checks::default())
    }

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        assert_eq!(parts("localhost:80").ok(), Some(("localhost", 80)));
        assert_eq!(parts(":80").ok(), Some(("", 80)));
        assert_eq!(parts("[::1]:80").ok(), Some(("::1", 80)));
        for wrong in [
            "localhost",
            "::1",
            "a:b:80",
            "localhost:",
            "localhost:65536",
        ] {
            assert!(parts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_stays_a_name_and_an_address_is_one() {
        let name = Upstream::Name {
            host: "db.internal".into(),
            port: 5432,
        };
        assert_eq!(reach("db.internal:5432").ok(), Some(name));
        let address = Upstream::Addresses(vec![([127, 0, 0, 1], 80).into()]);
        assert_eq!(reach("127.0.0.1:80").ok(), Some(address));
    }

    #[test]
    fn several_places_are_a_group() {
        let group = reach("127.0.0.1:80@a+[::1]:81@b+:82");
        let Ok(Upstream::Group(group)) = group else {
            panic!("{group:?} is no group");
        };
        let places = group.states().into_iter();
        let places: Vec<_> = places
            .map(|one| (one.endpoint.address.to_string(), one.endpoint.zone))
            .collect();
        let zone = |name: &str| Some(name.to_owned());
        assert_eq!(places[0], ("127.0.0.1:80".to_owned(), zone("a")));
        assert_eq!(places[1], ("[::1]:81".to_owned(), zone("b")));
        assert_eq!(places[2].1, None);
        for wrong in ["127.0.0.1@a", "127.0.0.1:80+", "+", "a:b@c:80"] {
            assert!(reach(wrong).is_err(), "{wrong}");
        }
    }
}
