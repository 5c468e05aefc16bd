//! Errors as Toxiproxy says them.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::collection::ProxyView;

/// Why a request was not carried out. The texts are Toxiproxy's, which clients compare.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("bad request body: {why}")]
    BadBody { why: String },
    #[error("missing required field: {field}")]
    MissingField { field: String },
    #[error("proxy not found")]
    ProxyNotFound,
    #[error("proxy already exists")]
    ProxyExists,
    #[error("stream was invalid, can be either upstream or downstream")]
    InvalidStream,
    #[error("invalid toxic type")]
    InvalidType,
    #[error("toxic already exists")]
    ToxicExists,
    #[error("toxic not found")]
    ToxicNotFound,
    #[error("split not found")]
    SplitNotFound,
    #[error("{why}")]
    Internal { why: String },
    /// A population that failed in the middle; what was made before stays.
    #[error("{source}")]
    Populate {
        source: Box<ApiError>,
        proxies: Vec<ProxyView>,
    },
}

impl ApiError {
    pub(super) fn body(why: String) -> Self {
        Self::BadBody { why }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadBody { .. }
            | Self::MissingField { .. }
            | Self::InvalidStream
            | Self::InvalidType => StatusCode::BAD_REQUEST,
            Self::ProxyNotFound | Self::ToxicNotFound | Self::SplitNotFound => {
                StatusCode::NOT_FOUND
            }
            Self::ProxyExists | Self::ToxicExists => StatusCode::CONFLICT,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Populate { source, .. } => source.status(),
        }
    }

    fn to_json(&self) -> Value {
        let mut body = json!({ "error": self.to_string(), "status": self.status().as_u16() });
        if let Self::Populate { proxies, .. } = self {
            body["proxies"] = json!(proxies);
        }
        body
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        // Toxiproxy says text/plain and means JSON; clients read it as JSON.
        let kind = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
        (self.status(), kind, format!("{}\n", self.to_json())).into_response()
    }
}
