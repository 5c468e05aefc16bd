//! Proxies from a file: Toxiproxy's format, with toxics where they are wanted from the start.

use serde::Deserialize;
use serde_json::Value;

use super::collection::{Collection, NewProxy};
use super::toxic::NewToxic;

/// A proxy of a file.
#[derive(Debug, Clone, Deserialize)]
pub struct ProxyConfig {
    #[serde(flatten)]
    pub proxy: NewProxy,
    #[serde(default)]
    pub toxics: Vec<NewToxic>,
}

/// What is wrong with a list of proxies, every reason of it.
#[derive(Debug, thiserror::Error)]
#[error("{}", reasons.join("\n"))]
pub struct ConfigError {
    pub reasons: Vec<String>,
}

/// Reads `[{"name", "listen", "upstream", "enabled", "toxics": […]}]`.
///
/// # Errors
/// Everything that is wrong with its form.
pub fn read(text: &str) -> Result<Vec<ProxyConfig>, ConfigError> {
    let only = |reason: String| ConfigError {
        reasons: vec![reason],
    };
    let items: Vec<Value> = serde_json::from_str(text)
        .map_err(|error| only(format!("it is not a JSON list of proxies: {error}")))?;
    let mut reasons = Vec::new();
    let mut proxies = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        match serde_json::from_value::<ProxyConfig>(item) {
            Ok(proxy) => proxies.push(proxy),
            Err(error) => reasons.push(format!("proxy {}: {error}", at + 1)),
        }
    }
    if reasons.is_empty() {
        return Ok(proxies);
    }
    Err(ConfigError { reasons })
}

/// Makes all of these, or says everything that stands against it; what was made before may stay
/// then.
///
/// # Errors
/// Every proxy and toxic that is refused, with the reason.
pub fn load(collection: &Collection, proxies: Vec<ProxyConfig>) -> Result<(), ConfigError> {
    let mut reasons = Vec::new();
    for (at, config) in proxies.into_iter().enumerate() {
        let name = match config.proxy.name.as_str() {
            "" => format!("proxy {}", at + 1),
            name => format!("proxy {name}"),
        };
        if let Err(error) = collection.create(&config.proxy) {
            reasons.push(format!("{name}: {error}"));
            continue;
        }
        for toxic in config.toxics {
            let kind = toxic.r#type.clone();
            if let Err(error) = collection.add_toxic(&config.proxy.name, toxic) {
                reasons.push(format!("{name}: toxic {kind}: {error}"));
            }
        }
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(ConfigError { reasons })
}
