use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use firedrill_proxy::ARMS_MOST;
use firedrill_proxy::message::{Protocol, UnknownProtocol};
use firedrill_proxy::toxiproxy::{CheckSettings, TlsSettings};
use serde_json::{Map, Value};

use super::value::duration;

/// Run the fault proxy, with Toxiproxy's interface
///
/// Connections to a route are led to its upstream, untouched; toxics are put on them over HTTP,
/// with any of Toxiproxy's clients. It runs until it is interrupted, and then nothing of it is
/// left: connections through it end with a RST. Terminated, it accepts nothing more and waits for
/// those that are open, as long as `--drain` says.
///
/// A probability is decided once for each connection, from the seed: the same seed and the same
/// connections give the same decisions.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  firedrill proxy --route redis=127.0.0.1:26379,127.0.0.1:6379
  curl -d '{\"type\":\"latency\",\"attributes\":{\"latency\":200}}' localhost:8474/proxies/redis/toxics
  firedrill proxy --route shop=127.0.0.1:8080,127.0.0.1:80,protocol=http
  firedrill proxy --route web=127.0.0.1:8443,127.0.0.1:80,tls=terminate --tls-ca ca.pem
  firedrill proxy --route shop=127.0.0.1:8080,10.0.1.5:80@a+10.0.2.5:80@b,check=/health --zone a
  firedrill proxy --config toxiproxy.json --seed 7")]
pub(crate) struct ProxyArgs {
    /// A route: its name, where it listens, where it leads; may be given several times
    #[arg(long = "route", value_name = "NAME=LISTEN,UPSTREAM[,SETTING=WORD]")]
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
    /// Write the certificate of the authority that signs what `tls=terminate` shows, for clients
    /// to trust; another one is made at every start
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Where decisions come from; random, and told, if it is not given
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Take over from the proxy that hands over at this path, then hand over to the next
    #[arg(long, value_name = "PATH")]
    pub(crate) hand_over: Option<PathBuf>,
    /// How long open connections may take to end, once it is terminated or handed over
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) drain: Duration,
    /// Where this proxy is: of upstreams in several zones, those here are preferred
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// Most of the traffic that may be in control and experiment arms, all proxies together
    #[arg(long, value_name = "PERCENT", default_value_t = ARMS_MOST * 100.0, value_parser = percent)]
    pub(crate) arms_most: f64,
    /// Threads for the connections [default: one for each core]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// How long a thread with nothing to do looks for more before it sleeps: 50us spares single
    /// requests the time that waking a processor takes, and costs a core while requests come
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub(crate) busy_poll: Duration,
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    let within = (0.0..=100.0).contains(&number);
    within
        .then_some(number)
        .ok_or_else(|| "it is from 0 to 100".to_owned())
}

/// `name=listen,upstream`, and what else is said of it: `,protocol=http,tls=terminate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteWords {
    pub(crate) name: String,
    pub(crate) listen: String,
    pub(crate) upstream: String,
    pub(crate) protocol: Protocol,
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) check: Option<CheckSettings>,
}

impl FromStr for RouteWords {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unlike = || {
            format!(
                "`{text}` is not of the form name=listen,upstream, \
                 as in redis=127.0.0.1:26379,127.0.0.1:6379"
            )
        };
        let (name, rest) = text.split_once('=').ok_or_else(unlike)?;
        let mut parts = rest.split(',').map(str::trim);
        let (Some(listen), Some(upstream)) = (parts.next(), parts.next()) else {
            return Err(unlike());
        };
        if name.trim().is_empty() || upstream.is_empty() {
            return Err(unlike());
        }
        let mut route = Self {
            name: name.trim().into(),
            listen: listen.into(),
            upstream: upstream.into(),
            protocol: Protocol::default(),
            tls: None,
            check: None,
        };
        let mut tls = Map::new();
        for setting in parts {
            match setting.split_once('=') {
                Some(("protocol", word)) => {
                    route.protocol = word
                        .parse()
                        .map_err(|error: UnknownProtocol| error.to_string())?;
                }
                Some((key, word)) if key == "tls" || key.starts_with("tls-") => {
                    let field = key.strip_prefix("tls-").unwrap_or("mode");
                    tls.insert(field.replace('-', "_"), tls_value(field, word));
                }
                Some((key, word)) if key.starts_with("check") => {
                    set_check(route.check.get_or_insert_default(), key, word)?;
                }
                _ => {
                    return Err(format!(
                        "`{setting}` is no setting of a route; there are protocol=WORD, tls=MODE, \
                         tls-FIELD=WORD, check=PATH, check-every=TIME and check-limit=TIME"
                    ));
                }
            }
        }
        if !tls.is_empty() {
            let settings = serde_json::from_value(Value::Object(tls));
            route.tls = Some(settings.map_err(|error| format!("tls: {error}"))?);
        }
        Ok(route)
    }
}

/// A field of the `check` of a proxy.
fn set_check(check: &mut CheckSettings, key: &str, word: &str) -> Result<(), String> {
    let time = || {
        let time = duration(word).map_err(|why| format!("{key}: {why}"))?;
        u64::try_from(time.as_millis()).map_err(|_| format!("{key}: {word} is too long"))
    };
    match key {
        "check" => check.path = Some(word.into()),
        "check-every" => check.every = time()?,
        "check-limit" => check.limit = time()?,
        _ => {
            return Err(format!(
                "`{key}` is no setting of a route; there are check, check-every and check-limit"
            ));
        }
    }
    Ok(())
}

/// A field of the `tls` of a proxy, from the one word that the command line has for it.
fn tls_value(field: &str, word: &str) -> Value {
    match (field, word.parse()) {
        ("alpn", _) => word.split('+').collect(),
        ("insecure" | "client-optional", Ok(yes)) => Value::Bool(yes),
        _ => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_of_tls_is_that_of_the_interface() {
        let route = "web=:8443,shop:80,tls=terminate,tls-alpn=h2+http/1.1,tls-name=shop.test";
        let route = route.parse::<RouteWords>().expect("a route");
        let tls = serde_json::to_value(&route.tls).expect("JSON");
        let alpn = ["h2", "http/1.1"];
        assert_eq!(
            tls,
            json!({ "mode": "terminate", "alpn": alpn, "name": "shop.test" })
        );
        let route = "web=:80,shop:443,tls=originate,tls-insecure=true,tls-server-name=shop.test";
        let route = route.parse::<RouteWords>().expect("a route");
        let tls = serde_json::to_value(&route.tls).expect("JSON");
        let expected = json!({
            "mode": "originate", "insecure": true, "server_name": "shop.test",
        });
        assert_eq!(tls, expected);
        let route = "web=:8443,shop:443,tls=reencrypt,tls-client-ca=ca.pem,\
                     tls-client-optional=true,tls-upstream-certificate=own.pem";
        let route = route.parse::<RouteWords>().expect("a route");
        let tls = serde_json::to_value(&route.tls).expect("JSON");
        let expected = json!({
            "mode": "reencrypt", "client_ca": "ca.pem", "client_optional": true,
            "upstream_certificate": "own.pem",
        });
        assert_eq!(tls, expected);
    }

    #[test]
    fn what_is_said_of_checks_is_that_of_the_interface() {
        let route = "web=:80,a:80@a+b:80@b,check=/health,check-every=500ms";
        let route = route.parse::<RouteWords>().expect("a route");
        let check = serde_json::to_value(&route.check).expect("JSON");
        let expected = json!({ "path": "/health", "every": 500, "limit": 1000 });
        assert_eq!(check, expected);
    }

    #[test]
    fn a_setting_that_is_none_is_told() {
        for (setting, says) in [
            ("tls=often", "unknown variant `often`"),
            ("tls=originate,tls-x=1", "unknown field `x`"),
            ("tls-name=shop.test", "missing field `mode`"),
            ("tls=originate,tls-insecure=maybe", "invalid type: string"),
            ("protocol=telnet", "telnet is no protocol"),
            ("check-every=often", "check-every: "),
            ("checks=1", "`checks` is no setting"),
            ("x=1", "`x=1` is no setting of a route"),
        ] {
            let error = format!("web=:80,shop:80,{setting}").parse::<RouteWords>();
            let error = error.expect_err(setting);
            assert!(error.contains(says), "{error}");
        }
    }
}
