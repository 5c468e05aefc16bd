//! HTTP requests, as Chaos Toolkit's `http` provider makes them with Python's `requests`.
//!
//! | module | what it does |
//! |---|---|
//! | [`encode`] | arguments to query strings, forms and JSON, byte for byte like `requests` |
//! | [`transfer`] | one request over redirects and retries to a response, within limits |
//!
//! Not here: HTTP/2, compression (it is not asked for), cookies between redirects, `.netrc`.

mod body;
pub(crate) mod encode;
pub(crate) mod transfer;

use std::time::Duration;

use firedrill_experiment::call::HttpCall;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use url::Url;

use super::{Cancel, Outcome};
pub(crate) use body::text;
use encode::Unencodable;
pub(crate) use transfer::{Client, Limits, Request, Response, TransferError};

/// Carries the request out. Any status is a success; its output is `{status, headers, body}`.
pub(crate) async fn run(client: &Client, call: &HttpCall, mut cancel: Cancel) -> Outcome {
    let request = match request(call) {
        Ok(request) => request,
        Err(outcome) => return outcome,
    };
    let limits = Limits {
        connect: call.connect_timeout.unwrap_or(Limits::default().connect),
        read: call.read_timeout.unwrap_or(Limits::default().read),
        retries: call.max_retries,
        verify_tls: call.verify_tls,
        ..Limits::default()
    };
    tokio::select! {
        biased;
        reason = cancel.cancelled() => Outcome::Interrupted(reason),
        answer = client.send(request, &limits) => match answer {
            Ok(response) => output(&response),
            Err(error) => failed(&error),
        },
    }
}

fn request(call: &HttpCall) -> Result<Request, Outcome> {
    let method = call.method.to_uppercase();
    let mut url = url(&call.url)?;
    let mut headers = headers_of(&call.headers).map_err(|error| {
        Outcome::aborted("requests.exceptions.InvalidHeader", error.to_string())
    })?;
    let mut body = Vec::new();
    let is_json =
        call.headers.get("Content-Type").and_then(Value::as_str) == Some("application/json");
    let arguments = call.arguments.as_ref();
    if method == "GET" {
        encode::append_query(&mut url, arguments).map_err(unencodable)?;
    } else if is_json {
        body = arguments
            .filter(|value| !value.is_null())
            .map(encode::json)
            .unwrap_or_default()
            .into_bytes();
    } else {
        let form = encode::form(arguments).map_err(unencodable)?;
        body = form.text.into_bytes();
        if form.is_form && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
        }
    }
    let method = hyper::Method::from_bytes(method.as_bytes())
        .map_err(|_| Outcome::aborted("ValueError", "the method of the request is not a word"))?;
    Ok(Request {
        method,
        url,
        headers,
        body,
    })
}

/// `requests` raises what its callers do not catch for an address it cannot use.
fn url(text: &str) -> Result<Url, Outcome> {
    let raise = |class: &str, words: String| {
        Outcome::aborted(&format!("requests.exceptions.{class}"), words)
    };
    let text = text.trim_start();
    match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => Err(raise(
            "InvalidSchema",
            format!("the URL's scheme is '{}', not http or https", url.scheme()),
        )),
        // The parser would take the path for the host.
        Ok(_)
            if text
                .split_once("://")
                .is_none_or(|(_, rest)| rest.starts_with(['/', '?', '#'])) =>
        {
            Err(raise("InvalidURL", "the URL has no host".to_owned()))
        }
        Ok(url) => Ok(url),
        Err(url::ParseError::RelativeUrlWithoutBase) => Err(raise(
            "MissingSchema",
            "the URL has no scheme: it starts with neither http:// nor https://".to_owned(),
        )),
        Err(error) => Err(raise("InvalidURL", format!("the URL is invalid: {error}"))),
    }
}

/// A header that cannot be sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("header '{name}' {what}")]
pub(crate) struct InvalidHeader {
    name: String,
    what: &'static str,
}

/// Headers that are null are left out, as `requests` does.
pub(crate) fn headers_of(given: &Map<String, Value>) -> Result<HeaderMap, InvalidHeader> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let invalid = |what| InvalidHeader {
            name: name.clone(),
            what,
        };
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            _ => return Err(invalid("must be a string")),
        };
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid("has a name that cannot be sent"))?;
        if text.starts_with(char::is_whitespace) {
            return Err(invalid("starts with white space"));
        }
        // Latin-1, as HTTP has it.
        let bytes: Option<Vec<u8>> = text
            .chars()
            .map(|character| u8::try_from(character).ok())
            .collect();
        let value = bytes
            .and_then(|bytes| HeaderValue::from_bytes(&bytes).ok())
            .ok_or_else(|| invalid("holds a character that cannot be sent"))?;
        headers.insert(key, value);
    }
    Ok(headers)
}

fn unencodable(error: Unencodable) -> Outcome {
    Outcome::aborted("TypeError", error.to_string())
}

fn output(response: &Response) -> Outcome {
    let text = body::text(response);
    let body = if response.header("content-type") == Some("application/json") {
        match serde_json::from_str(&text) {
            Ok(body) => body,
            Err(error) => {
                return Outcome::aborted(
                    "requests.exceptions.JSONDecodeError",
                    format!("the response says it is JSON and is not: {error}"),
                );
            }
        }
    } else {
        Value::String(text)
    };
    let headers: Map<String, Value> = response
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), Value::String(value.clone())))
        .collect();
    Outcome::Succeeded(json!({"status": response.status, "headers": headers, "body": body}))
}

/// What Chaos Toolkit's provider catches fails the activity; the rest aborts the run.
fn failed(error: &TransferError) -> Outcome {
    match error {
        TransferError::ReadTimeout => Outcome::failed("activity took too long to complete"),
        TransferError::TooManyRedirects => {
            Outcome::aborted("requests.exceptions.TooManyRedirects", error.to_string())
        }
        TransferError::CutShort => Outcome::aborted(
            "requests.exceptions.ChunkedEncodingError",
            error.to_string(),
        ),
        TransferError::BadRedirect => {
            Outcome::aborted("requests.exceptions.InvalidURL", error.to_string())
        }
        _ => Outcome::failed(error.to_string()),
    }
}

/// How long a call without a time-out may take in all: a server that dribbles never ends otherwise.
pub const TOTAL_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
