//! How the places of a proxy are checked: ours, Toxiproxy does not ask them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address;
use super::answer::ApiError;
use super::tls::TlsSettings;
use crate::group::Checks;
use crate::message::Protocol;
use crate::route::Upstream;

/// Shorter, and the checks would be the load.
const EVERY: std::ops::RangeInclusive<u64> = 10..=3_600_000;
const LIMIT: std::ops::RangeInclusive<u64> = 1..=60_000;

/// `{"path": "/health", "every": 500, "limit": 250}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckSettings {
    /// What is asked for by HTTP/1.1 in clear text; without it a connection that is made is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// From the end of one check to the next, in milliseconds: 10 to 3,600,000.
    #[serde(default = "every")]
    pub every: u64,
    /// What takes longer has failed, in milliseconds: 1 to 60,000.
    #[serde(default = "limit")]
    pub limit: u64,
}

fn every() -> u64 {
    Checks::default().every.as_secs() * 1000
}

fn limit() -> u64 {
    Checks::default().limit.as_secs() * 1000
}

impl Default for CheckSettings {
    fn default() -> Self {
        Self {
            path: None,
            every: every(),
            limit: limit(),
        }
    }
}

impl CheckSettings {
    /// What the places of a proxy that speaks this are asked. `clear` says whether they are spoken
    /// to without TLS.
    pub(super) fn checks(&self, protocol: Protocol, clear: bool) -> Result<Checks, ApiError> {
        let refused = |why: String| Err(ApiError::body(format!("check: {why}")));
        for (field, value, range) in [("every", self.every, EVERY), ("limit", self.limit, LIMIT)] {
            if !range.contains(&value) {
                let (least, most) = range.into_inner();
                return refused(format!("{field} is {value}; it is {least} to {most} ms"));
            }
        }
        if protocol == Protocol::Udp {
            return refused("a connection says nothing of who takes datagrams".into());
        }
        if let Some(path) = &self.path {
            let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_path {
                return refused(format!("path is {path:?}; it is like /health"));
            }
            if !clear || !matches!(protocol, Protocol::Tcp | Protocol::Http) {
                let why = "a path is asked for by HTTP/1.1 in clear text, which these do not speak";
                return refused(why.into());
            }
        }
        Ok(Checks {
            every: Duration::from_millis(self.every),
            limit: Duration::from_millis(self.limit),
            path: self.path.clone(),
        })
    }
}

/// Where a proxy with these settings leads; its places are checked as `check` says.
pub(super) fn reach(
    upstream: &str,
    zone: Option<&str>,
    check: Option<&CheckSettings>,
    protocol: Protocol,
    tls: Option<&TlsSettings>,
) -> Result<Upstream, ApiError> {
    let clear = tls.is_none_or(|tls| !tls.is_spoken_upstream());
    let checks = check
        .map(|check| check.checks(protocol, clear))
        .transpose()?;
    let reached = address::to_reach(upstream, zone, checks.unwrap_or_default())?;
    if check.is_some() && !matches!(reached, Upstream::Group(_)) {
        let why = "check: the upstream is no group, of which one place would be chosen; a place \
                   alone is one with its zone, as in 127.0.0.1:80@a";
        return Err(ApiError::body(why.into()));
    }
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(check: &str, upstream: &str, protocol: Protocol, tls: Option<&str>) -> String {
        let settings: CheckSettings = serde_json::from_str(check).expect("settings");
        let tls = tls.map(|mode| serde_json::json!({ "mode": mode }));
        let tls: Option<TlsSettings> = tls.map(|tls| serde_json::from_value(tls).expect("tls"));
        match reach(upstream, None, Some(&settings), protocol, tls.as_ref()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_the_reason() {
        let (pair, http) = ("127.0.0.1:80@a+127.0.0.1:81@b", Protocol::Http);
        let path = r#"{"path":"/health"}"#;
        assert_eq!(refusal(path, pair, http, None), "");
        assert_eq!(refusal(path, pair, Protocol::Tcp, Some("terminate")), "");
        assert_eq!(refusal("{}", "127.0.0.1:80@a", Protocol::Redis, None), "");
        for (check, upstream, protocol, tls, says) in [
            (path, "127.0.0.1:80", http, None, "no group"),
            (path, pair, http, Some("originate"), "clear text"),
            (path, pair, http, Some("passthrough"), "clear text"),
            (path, pair, Protocol::Http2, None, "clear text"),
            ("{}", pair, Protocol::Udp, None, "datagrams"),
            (r#"{"path":"health"}"#, pair, http, None, "/health"),
            (r#"{"path":"/a\r\nb: c"}"#, pair, http, None, "/health"),
            (r#"{"every":9}"#, pair, http, None, "every is 9"),
            (r#"{"limit":0}"#, pair, http, None, "limit is 0"),
        ] {
            let told = refusal(check, upstream, protocol, tls);
            assert!(told.contains(says), "{check}: {told:?}");
        }
    }
}
