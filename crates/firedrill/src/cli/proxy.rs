use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

/// Run the fault proxy, with Toxiproxy's interface
///
/// Connections to a route are led to its upstream, untouched; toxics are put on them over HTTP,
/// with any of Toxiproxy's clients. It runs until it is interrupted, and then nothing of it is
/// left: connections through it end with a RST.
///
/// A probability is decided once for each connection, from the seed: the same seed and the same
/// connections give the same decisions.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill proxy --route redis=127.0.0.1:26379,127.0.0.1:6379
  curl -d '{\"type\":\"latency\",\"attributes\":{\"latency\":200}}' localhost:8474/proxies/redis/toxics
  firedrill proxy --config toxiproxy.json --seed 7")]
pub(crate) struct ProxyArgs {
    /// A route: its name, where it listens, where it leads; may be given several times
    #[arg(long = "route", value_name = "NAME=LISTEN,UPSTREAM")]
    pub(crate) routes: Vec<RouteWords>,
    /// Proxies from a file, in Toxiproxy's format
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Keep proxies and toxics in this file, and begin with what it holds
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Where the interface listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8474")]
    pub(crate) api: SocketAddr,
    /// Where decisions come from; random, and told, if it is not given
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Threads for the connections [default: one for each core]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// `name=listen,upstream`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteWords {
    pub(crate) name: String,
    pub(crate) listen: String,
    pub(crate) upstream: String,
}

impl FromStr for RouteWords {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(name, rest)| {
            let (listen, upstream) = rest.split_once(',')?;
            Some((name.trim(), listen.trim(), upstream.trim()))
        });
        match parts {
            Some((name, listen, upstream)) if !name.is_empty() && !upstream.is_empty() => {
                Ok(Self {
                    name: name.into(),
                    listen: listen.into(),
                    upstream: upstream.into(),
                })
            }
            _ => Err(format!(
                "`{text}` is not of the form name=listen,upstream, \
                 as in redis=127.0.0.1:26379,127.0.0.1:6379"
            )),
        }
    }
}
