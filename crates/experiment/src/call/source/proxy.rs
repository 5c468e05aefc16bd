//! What passed through a route of a Firedrill proxy.

use serde_json::{Map, Value};

use super::{Counters, FieldError, ProxyArm, missing, text, url, wrong};

pub(super) const KEYS: [&str; 3] = ["url", "proxy", "arm"];

pub(super) fn read(raw: &Map<String, Value>) -> Result<Counters, FieldError> {
    Ok(Counters::Proxy {
        url: url(
            raw,
            "a proxy's counters need the `url` of its interface, such as http://127.0.0.1:8474",
        )?,
        proxy: text(raw, "proxy")?
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                missing(
                    "proxy",
                    "a proxy's counters need `proxy`: the name of its route",
                )
            })?,
        arm: match text(raw, "arm")?.as_deref() {
            None | Some("all") => ProxyArm::All,
            Some("none") => ProxyArm::None,
            Some("control") => ProxyArm::Control,
            Some("experiment") => ProxyArm::Experiment,
            Some(other) => {
                let message = format!("`arm` is all, none, control or experiment, not `{other}`");
                return Err(wrong("arm", message));
            }
        },
    })
}
