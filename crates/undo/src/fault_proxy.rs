//! A fault proxy, asked over its HTTP interface: Firedrill's own, or a Toxiproxy as far as it goes.
//!
//! One request a connection, one deadline for everything that is asked. Source: Toxiproxy's README
//! (HTTP API) for proxies and toxics; `crates/proxy` for splits, arms, endpoints and what is counted
//! of requests, which Toxiproxy answers with 404.
//!
//! Blocking and without tokio, because the guardian undoes with it. Not here: making, changing or
//! removing proxies, and toxics of others.

mod answers;
mod error;
mod exchange;

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use answers::{
    Arm, Arms, CountUsers, Endpoint, Met, Requests, Route, Split, Streams, Toxic, Users,
};
pub use error::ProxyError;
use exchange::Method;

/// The interface of a fault proxy.
#[derive(Debug)]
pub struct ControlApi {
    address: SocketAddr,
    until: Instant,
}

impl ControlApi {
    /// Everything asked of it is over after `patience`.
    #[must_use]
    pub fn at(address: SocketAddr, patience: Duration) -> Self {
        Self {
            address,
            until: Instant::now() + patience,
        }
    }

    /// Every route, by name.
    ///
    /// # Errors
    /// When it does not answer, or cannot be read.
    pub fn routes(&self) -> Result<Vec<Route>, ProxyError> {
        let all: std::collections::BTreeMap<String, Route> = self.get("/proxies")?;
        Ok(all.into_values().collect())
    }

    /// The route of this name.
    ///
    /// # Errors
    /// When there is none, or it does not answer.
    pub fn route(&self, name: &str) -> Result<Route, ProxyError> {
        match self.get(&path(&["proxies", name])) {
            Err(error) if error.is_not_found() => Err(ProxyError::NoRoute {
                api: self.address,
                route: name.into(),
                present: self.routes()?.into_iter().map(|one| one.name).collect(),
            }),
            other => other,
        }
    }

    /// Puts a toxic on a route. It is in force when this returns.
    ///
    /// # Errors
    /// When the proxy refuses it, with its words, or does not answer: then it may be there.
    pub fn add_toxic(&self, route: &str, toxic: &Toxic) -> Result<(), ProxyError> {
        // Not for its next start: whoever would take it away may be gone by then.
        let mut body = serde_json::to_value(toxic).unwrap_or_default();
        body["kept"] = json!(false);
        self.ask(Method::Post, &path(&["proxies", route, "toxics"]), &body)
            .map(drop)
    }

    /// The toxic of this name; none if it, or its route, is not there.
    ///
    /// # Errors
    /// When it does not answer, or cannot be read.
    pub fn toxic(&self, route: &str, name: &str) -> Result<Option<Toxic>, ProxyError> {
        found(self.get(&path(&["proxies", route, "toxics", name])))
    }

    /// Whether it was there to be taken away.
    ///
    /// # Errors
    /// When the proxy does not answer, or does not do it.
    pub fn remove_toxic(&self, route: &str, name: &str) -> Result<bool, ProxyError> {
        self.remove(&path(&["proxies", route, "toxics", name]))
    }

    /// Divides a route's traffic into arms.
    ///
    /// # Errors
    /// When the proxy refuses it, with its words, or does not answer: then it may be divided.
    pub fn divide(&self, route: &str, split: &Split) -> Result<(), ProxyError> {
        let mut body = serde_json::to_value(split).unwrap_or_default();
        body["kept"] = json!(false);
        self.ask(Method::Post, &path(&["proxies", route, "split"]), &body)
            .map(drop)
    }

    /// Treats all of a route's traffic alike again; whether there was such a route.
    ///
    /// # Errors
    /// When the proxy does not answer, or does not do it.
    pub fn undivide(&self, route: &str) -> Result<bool, ProxyError> {
        self.remove(&path(&["proxies", route, "split"]))
    }

    /// What the requests of a route got, arm by arm; none where nobody counts them.
    ///
    /// # Errors
    /// When it does not answer, or cannot be read.
    pub fn arms(&self, route: &str) -> Result<Option<Arms>, ProxyError> {
        let said = self.get::<Value>(&path(&["proxies", route, "split"]));
        let Some(mut said) = found(said)? else {
            return Ok(None);
        };
        let mut arms = said["arms"].take();
        arms["users"] = said["users"].take();
        serde_json::from_value(arms)
            .map(Some)
            .map_err(|error| self.confused("GET", "split", &error))
    }

    /// The places that a route leads to; none where it leads to one, or is a Toxiproxy's.
    ///
    /// # Errors
    /// When it does not answer, or cannot be read.
    pub fn endpoints(&self, route: &str) -> Result<Vec<Endpoint>, ProxyError> {
        let path = path(&["proxies", route, "endpoints"]);
        Ok(found(self.get(&path))?.unwrap_or_default())
    }

    /// What passed through a route; none where nobody counts it, as in a Toxiproxy that was started
    /// without `-proxy-metrics`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn streams(&self, route: &str) -> Result<Option<Streams>, ProxyError> {
        let said = exchange::ask(self.address, Method::Get, "/metrics", None, self.until)?;
        if said.status != 200 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&said.body);
        Ok(Streams::read(&text, route))
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ProxyError> {
        let said = self.ask(Method::Get, path, &Value::Null)?;
        serde_json::from_slice(&said).map_err(|error| self.confused("GET", path, &error))
    }

    fn remove(&self, path: &str) -> Result<bool, ProxyError> {
        match self.ask(Method::Delete, path, &Value::Null) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Vec<u8>, ProxyError> {
        let body = (!body.is_null()).then(|| body.to_string());
        let said = exchange::ask(self.address, method, path, body.as_deref(), self.until)?;
        if (200..300).contains(&said.status) {
            return Ok(said.body);
        }
        Err(ProxyError::Refused {
            api: self.address,
            request: format!("{} {path}", method.word()),
            status: said.status,
            said: answers::words(&said.body),
        })
    }

    fn confused(&self, method: &str, path: &str, error: &serde_json::Error) -> ProxyError {
        ProxyError::Confused {
            api: self.address,
            request: format!("{method} {path}"),
            why: error.to_string(),
        }
    }
}

impl fmt::Display for ControlApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy at http://{}", self.address)
    }
}

fn found<T>(said: Result<T, ProxyError>) -> Result<Option<T>, ProxyError> {
    match said {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Every part percent-encoded but for letters, digits and `-._~` (RFC 3986, section 2.3).
fn path(parts: &[&str]) -> String {
    let mut path = String::new();
    for part in parts {
        path.push('/');
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                path.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_ends_a_path_or_a_request() {
        assert_eq!(
            path(&["proxies", "a b/c\r\nX: y", "split"]),
            "/proxies/a%20b%2Fc%0D%0AX%3A%20y/split"
        );
    }
}
