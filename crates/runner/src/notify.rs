//! Telling others, as the settings' `notifications` ask for.
//!
//! A channel is `type: http` (`url`, `headers`, `verify_tls`, `forward_event_payload`) or
//! `type: plugin` (`module`, `func`), for all events or for those in its `events`. Nothing that goes
//! wrong here touches the drill.

use std::time::Duration;

use serde_json::{Map, Value, json};
use url::Url;

use crate::provider::Providers;
use crate::provider::http::{Limits, Request, headers_of};
use crate::settings::Settings;

/// As long as Chaos Toolkit waits for an answer.
const LIMITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(5));

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Happening {
    RunStarted,
    RunFailed,
    RunCompleted,
    RunDeviated,
    ValidateStarted,
    ValidateFailed,
    ValidateCompleted,
    InitStarted,
    InitFailed,
    InitCompleted,
    DiscoveryStarted,
    DiscoveryFailed,
    DiscoveryCompleted,
}

impl Happening {
    /// As channels name it in `events`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RunStarted => "run-started",
            Self::RunFailed => "run-failed",
            Self::RunCompleted => "run-completed",
            Self::RunDeviated => "run-deviated",
            Self::ValidateStarted => "validate-started",
            Self::ValidateFailed => "validate-failed",
            Self::ValidateCompleted => "validate-completed",
            Self::InitStarted => "init-started",
            Self::InitFailed => "init-failed",
            Self::InitCompleted => "init-completed",
            Self::DiscoveryStarted => "discovery-started",
            Self::DiscoveryFailed => "discovery-failed",
            Self::DiscoveryCompleted => "discovery-completed",
        }
    }

    fn phase(self) -> &'static str {
        self.name().split('-').next().unwrap_or_default()
    }
}

/// Tells every channel that wants to know, one after the other, each for a few seconds at most.
/// The answer names what went wrong, for a debug log; it holds no URL beyond its host.
pub async fn notify(
    settings: &Settings,
    providers: &Providers,
    happening: Happening,
    payload: Value,
    error: Option<Value>,
) -> Vec<String> {
    let mut problems = Vec::new();
    if settings.notifications().is_empty() {
        return problems;
    }
    let mut event = json!({
        "name": happening.name(),
        "payload": payload,
        "phase": happening.phase(),
        "ts": jiff::Timestamp::now().as_microsecond() as f64 / 1e6,
    });
    if let Some(error) = error {
        event["error"] = error;
    }
    for channel in settings
        .notifications()
        .iter()
        .filter(|channel| wants(channel, happening))
    {
        let told = match channel.get("type").and_then(Value::as_str) {
            Some("http") => over_http(providers, channel, &event).await,
            Some("plugin") => to_plugin(providers, channel, &event).await,
            _ => Ok(()),
        };
        problems.extend(told.err());
    }
    problems
}

fn wants(channel: &Value, happening: Happening) -> bool {
    match channel.get("events") {
        Some(Value::Array(events)) if !events.is_empty() => {
            events.iter().any(|event| event == happening.name())
        }
        // Python's `in`, for a text instead of a list.
        Some(Value::String(events)) if !events.is_empty() => events.contains(happening.name()),
        _ => true,
    }
}

async fn over_http(providers: &Providers, channel: &Value, event: &Value) -> Result<(), String> {
    let flag = |key: &str| channel.get(key).and_then(Value::as_bool).unwrap_or(true);
    let url = channel
        .get("url")
        .and_then(Value::as_str)
        .ok_or("a notification channel has no url")?;
    let url = Url::parse(url)
        .map_err(|error| format!("a notification channel's url is invalid: {error}"))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let empty = Map::new();
    let given = channel
        .get("headers")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let headers = headers_of(given)
        .map_err(|error| format!("the notification to {host} was not sent: {error}"))?;
    let request = if flag("forward_event_payload") {
        Request::post_json(url, headers, event)
    } else {
        Request::get(url, headers)
    };
    let limits = Limits {
        connect: LIMITS.0,
        read: LIMITS.1,
        total: LIMITS.0 + LIMITS.1,
        verify_tls: flag("verify_tls"),
        ..Limits::default()
    };
    match providers.http().send(request, &limits).await {
        Ok(response) if response.status >= 400 => Err(format!(
            "the notification to {host} was answered with {}",
            response.status
        )),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the notification to {host} was not sent: {error}")),
    }
}

async fn to_plugin(providers: &Providers, channel: &Value, event: &Value) -> Result<(), String> {
    let module = channel
        .get("module")
        .and_then(Value::as_str)
        .ok_or("a notification plugin has no module")?;
    let func = channel
        .get("func")
        .and_then(Value::as_str)
        .unwrap_or("notify");
    match providers
        .python()
        .notify(module, func, channel, event)
        .await
    {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("there is no notification plugin {module}.{func}")),
        Err(error) => Err(format!(
            "the notification plugin {module}.{func} was not called: {error}"
        )),
    }
}

#[cfg(test)]
mod tests;
