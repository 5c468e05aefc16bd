//! A document's text, from a file or over HTTP.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use firedrill_experiment::Source;
use firedrill_experiment::parse::{DOCUMENT_BYTES_MAX, Format, parse};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use url::Url;

use super::http::{Client, Limits, Request, Response, TransferError, text};
use crate::settings::Settings;

/// A bearer token for every server, before the settings' `auths`.
const TOKEN_VARIABLE: &str = "CHAOSTOOLKIT_LOADER_AUTH_BEARER_TOKEN";

/// The text and how to read it. The source's name is the path or the URL as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub source: Source,
    pub format: Format,
}

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the path \"{location}\" does not exist")]
    Missing { location: String },
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not UTF-8", path.display())]
    NotText { path: PathBuf },
    #[error("the document is longer than {DOCUMENT_BYTES_MAX} bytes")]
    TooLong,
    #[error("{location} is neither JSON nor YAML by its {judged_by}")]
    Format {
        location: String,
        judged_by: &'static str,
    },
    #[error("'{scheme}' is not a supported scheme: http and https are")]
    Scheme { scheme: String },
    #[error("the URL is invalid: {0}")]
    Url(url::ParseError),
    #[error("the credentials for {host} cannot be sent in a header")]
    Credentials { host: String },
    #[error("the document was not fetched: {reason}")]
    Transfer { reason: String },
    #[error("the document was not fetched: {host} answered with {status}")]
    Status { host: String, status: u16 },
}

/// Reads `location`: a file if there is one of that name, else a URL.
///
/// # Errors
/// It is not there, not allowed, too long, or of no known format.
pub async fn fetch(
    location: &str,
    settings: &Settings,
    verify_tls: bool,
) -> Result<Fetched, FetchError> {
    let path = Path::new(location);
    if path.exists() {
        return from_file(path);
    }
    let token = std::env::var(TOKEN_VARIABLE).ok();
    from_url(location, settings, token.as_deref(), verify_tls).await
}

fn from_file(path: &Path) -> Result<Fetched, FetchError> {
    let failed = |source| FetchError::Read {
        path: path.to_path_buf(),
        source,
    };
    let name = path.display().to_string();
    let format = Format::of_name(&name).ok_or_else(|| FetchError::Format {
        location: name.clone(),
        judged_by: "name (.json, .yaml or .yml)",
    })?;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(DOCUMENT_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(FetchError::TooLong);
    }
    let text = String::from_utf8(bytes).map_err(|_| FetchError::NotText {
        path: path.to_path_buf(),
    })?;
    Ok(Fetched {
        source: Source::new(name, text),
        format,
    })
}

async fn from_url(
    location: &str,
    settings: &Settings,
    token: Option<&str>,
    verify_tls: bool,
) -> Result<Fetched, FetchError> {
    let url = match Url::parse(location) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        // `C:\x` and `a:b` are file names that are not there rather than schemes; a scheme has `//`.
        Ok(url) if location.contains("://") => {
            return Err(FetchError::Scheme {
                scheme: url.scheme().to_owned(),
            });
        }
        Err(error) if location.contains("://") => return Err(FetchError::Url(error)),
        _ => {
            return Err(FetchError::Missing {
                location: location.to_owned(),
            });
        }
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let mut headers = HeaderMap::new();
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/json, application/x-yaml"),
    );
    if let Some(credentials) = credentials(location, settings, token) {
        let mut value = HeaderValue::from_str(&credentials)
            .map_err(|_| FetchError::Credentials { host: host.clone() })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let limits = Limits {
        body_bytes_max: DOCUMENT_BYTES_MAX,
        verify_tls,
        ..Limits::default()
    };
    let response = match Client::new()
        .send(Request::get(url.clone(), headers), &limits)
        .await
    {
        Ok(response) => response,
        Err(TransferError::TooLarge { .. }) => return Err(FetchError::TooLong),
        Err(error) => {
            return Err(FetchError::Transfer {
                reason: error.to_string(),
            });
        }
    };
    if response.status != 200 {
        return Err(FetchError::Status {
            host,
            status: response.status,
        });
    }
    understood(location, &url, &response)
}

/// The first word is how to introduce oneself, the rest is the secret.
fn credentials(location: &str, settings: &Settings, token: Option<&str>) -> Option<String> {
    if let Some(token) = token.filter(|token| !token.is_empty()) {
        return Some(format!("bearer {}", token.trim()));
    }
    let (_, rest) = location.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    settings
        .auth(authority)
        .map(|auth| format!("{} {}", auth.scheme, auth.value))
}

/// By content type, as Chaos Toolkit; where that says nothing, by the URL's ending.
fn understood(location: &str, url: &Url, response: &Response) -> Result<Fetched, FetchError> {
    let kind = response
        .header("content-type")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let source = Source::new(location, text(response));
    let format = if kind.contains("application/json") {
        Some(Format::Json)
    } else if kind.contains("yaml") {
        Some(Format::Yaml)
    } else if kind.contains("text/plain") {
        Some(if parse(&source, Format::Json).is_ok() {
            Format::Json
        } else {
            Format::Yaml
        })
    } else {
        Format::of_name(url.path())
    };
    let format = format.ok_or_else(|| FetchError::Format {
        location: location.to_owned(),
        judged_by: "content type",
    })?;
    Ok(Fetched { source, format })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers one request; what was asked comes from the task.
    async fn server(answer: String) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut bytes).await.unwrap();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(bytes).unwrap()
        });
        (authority, asked)
    }

    fn answer(kind: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    async fn format_of(kind: &str, path: &str, body: &str) -> Result<Format, FetchError> {
        let (authority, _) = server(answer(kind, body)).await;
        let fetched = from_url(
            &format!("http://{authority}{path}"),
            &Settings::default(),
            None,
            true,
        )
        .await?;
        assert_eq!(fetched.source.text, body);
        Ok(fetched.format)
    }

    #[tokio::test]
    async fn a_file_is_read_by_its_ending() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yml");
        std::fs::write(&path, "title: é").unwrap();
        let fetched = fetch(path.to_str().unwrap(), &Settings::default(), true)
            .await
            .unwrap();
        assert_eq!(
            (fetched.source.text.as_str(), fetched.format),
            ("title: é", Format::Yaml)
        );
        let path = dir.path().join("a.txt");
        std::fs::write(&path, "{}").unwrap();
        let error = fetch(path.to_str().unwrap(), &Settings::default(), true)
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::Format { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_file_and_no_url_is_missing() {
        for name in ["nope.json", "a:b", "C:\\x.json"] {
            let error = fetch(name, &Settings::default(), true).await.unwrap_err();
            assert!(matches!(error, FetchError::Missing { .. }), "{error}");
        }
        let error = fetch("ftp://h/x.json", &Settings::default(), true)
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::Scheme { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_document_too_long_is_not_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        std::fs::File::create(&path)
            .unwrap()
            .set_len(DOCUMENT_BYTES_MAX as u64 + 1)
            .unwrap();
        let error = fetch(path.to_str().unwrap(), &Settings::default(), true)
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::TooLong), "{error}");
    }

    #[tokio::test]
    async fn a_fetched_document_is_read_by_its_content_type() {
        assert_eq!(
            format_of("application/json; charset=utf-8", "/x", "{}")
                .await
                .unwrap(),
            Format::Json
        );
        assert_eq!(
            format_of("text/yaml", "/x.json", "a: 1").await.unwrap(),
            Format::Yaml
        );
        assert_eq!(
            format_of("text/plain", "/x", "{\"a\": 1}").await.unwrap(),
            Format::Json
        );
        assert_eq!(
            format_of("text/plain", "/x", "a: 1").await.unwrap(),
            Format::Yaml
        );
        assert_eq!(
            format_of("application/octet-stream", "/x.json", "{}")
                .await
                .unwrap(),
            Format::Json
        );
        assert!(matches!(
            format_of("text/html", "/x", "<p>").await,
            Err(FetchError::Format { .. })
        ));
    }

    #[tokio::test]
    async fn an_answer_other_than_200_is_an_error() {
        let (authority, _) =
            server("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
        let error = from_url(
            &format!("http://{authority}/x"),
            &Settings::default(),
            None,
            true,
        )
        .await
        .unwrap_err();
        assert!(
            matches!(error, FetchError::Status { status: 404, .. }),
            "{error}"
        );
    }

    #[tokio::test]
    async fn the_token_comes_before_the_settings() {
        for (token, expected) in [(Some(" hush \n"), "bearer hush"), (None, "Basic xyz")] {
            let (authority, asked) = server(answer("application/json", "{}")).await;
            let auths = json!({(&authority): {"type": "Basic", "value": "xyz"}});
            let settings = Settings::from(Map::from_iter([("auths".to_owned(), auths)]));
            from_url(&format!("http://{authority}/x"), &settings, token, true)
                .await
                .unwrap();
            let asked = asked.await.unwrap();
            assert!(
                asked.contains(&format!("Authorization: {expected}\r\n")),
                "{asked}"
            );
            assert!(
                asked.contains("Accept: application/json, application/x-yaml\r\n"),
                "{asked}"
            );
        }
    }
}
