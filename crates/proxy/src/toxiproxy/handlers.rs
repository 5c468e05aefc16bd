//! One function per route of the interface.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::answer::ApiError;
use super::collection::{Collection, ProxyView};
use super::endpoints::EndpointView;
use super::split::UsersView;
use super::toxic::Toxic;
use super::{VERSION, metrics};
use crate::tls::failures::Failures;

type Shared = State<Arc<Collection>>;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-toxiproxy-request-id");

pub(super) fn router(collection: Arc<Collection>) -> Router {
    let proxy = get(read_proxy)
        .post(update_proxy)
        .patch(update_proxy)
        .delete(delete_proxy);
    let toxic = get(read_toxic)
        .post(update_toxic)
        .patch(update_toxic)
        .delete(delete_toxic);
    let split = get(read_arms).post(divide).delete(undivide);
    Router::new()
        .route("/proxies", get(list).post(create))
        .route("/populate", post(populate))
        .route("/proxies/{proxy}", proxy)
        .route("/proxies/{proxy}/toxics", get(list_toxics).post(add_toxic))
        .route("/proxies/{proxy}/toxics/{toxic}", toxic)
        .route("/proxies/{proxy}/split", split)
        .route("/proxies/{proxy}/handshakes", get(read_handshakes))
        .route(
            "/proxies/{proxy}/endpoints",
            get(read_endpoints).post(drain),
        )
        .route("/reset", post(reset))
        .route("/version", get(version))
        .route("/metrics", get(measure))
        .layer(axum::middleware::from_fn(guard))
        .with_state(collection)
}

/// Keeps browsers out, so that no web page changes proxies, and numbers the answers.
async fn guard(request: Request, next: Next) -> Response {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let agent = request.headers().get(USER_AGENT);
    let browser = agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"));
    let mut response = if browser {
        (StatusCode::FORBIDDEN, "User agent not allowed\n").into_response()
    } else {
        next.run(request).await
    };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    if let Ok(id) = HeaderValue::from_str(&format!("{number:016x}")) {
        response.headers_mut().insert(REQUEST_ID.clone(), id);
    }
    response
}

/// A body that is JSON, whatever it says it is.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| ApiError::body(error.to_string()))
}

/// A body that is a JSON object: without this a list of its values would do.
fn object<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    let object: Map<String, Value> = body(bytes)?;
    serde_json::from_value(Value::Object(object)).map_err(|error| ApiError::body(error.to_string()))
}

async fn list(State(all): Shared) -> Json<BTreeMap<String, ProxyView>> {
    let proxies = all.all().into_iter();
    Json(proxies.map(|proxy| (proxy.name.clone(), proxy)).collect())
}

async fn create(State(all): Shared, bytes: Bytes) -> Result<impl IntoResponse, ApiError> {
    let made = all.create(&object(&bytes)?)?;
    Ok((StatusCode::CREATED, Json(made)))
}

async fn populate(State(all): Shared, bytes: Bytes) -> Result<impl IntoResponse, ApiError> {
    let new: Vec<_> = body(&bytes)?;
    let made = all.populate(&new)?;
    Ok((StatusCode::CREATED, Json(made)))
}

async fn read_proxy(
    State(all): Shared,
    Path(proxy): Path<String>,
) -> Result<Json<ProxyView>, ApiError> {
    all.proxy(&proxy).map(Json)
}

async fn update_proxy(
    State(all): Shared,
    Path(proxy): Path<String>,
    bytes: Bytes,
) -> Result<Json<ProxyView>, ApiError> {
    all.update(&proxy, object(&bytes)?).map(Json)
}

async fn delete_proxy(
    State(all): Shared,
    Path(proxy): Path<String>,
) -> Result<StatusCode, ApiError> {
    all.delete(&proxy).map(|()| StatusCode::NO_CONTENT)
}

async fn list_toxics(
    State(all): Shared,
    Path(proxy): Path<String>,
) -> Result<Json<Vec<Toxic>>, ApiError> {
    all.proxy(&proxy).map(|view| Json(view.toxics))
}

async fn add_toxic(
    State(all): Shared,
    Path(proxy): Path<String>,
    bytes: Bytes,
) -> Result<Json<Toxic>, ApiError> {
    all.add_toxic(&proxy, object(&bytes)?).map(Json)
}

async fn read_toxic(
    State(all): Shared,
    Path((proxy, toxic)): Path<(String, String)>,
) -> Result<Json<Toxic>, ApiError> {
    all.toxic(&proxy, &toxic).map(Json)
}

async fn update_toxic(
    State(all): Shared,
    Path((proxy, toxic)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<Toxic>, ApiError> {
    all.change_toxic(&proxy, &toxic, object(&bytes)?).map(Json)
}

async fn delete_toxic(
    State(all): Shared,
    Path((proxy, toxic)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    all.remove_toxic(&proxy, &toxic)
        .map(|()| StatusCode::NO_CONTENT)
}

async fn read_handshakes(
    State(all): Shared,
    Path(proxy): Path<String>,
) -> Result<Json<Failures>, ApiError> {
    all.failed_handshakes(&proxy).map(Json)
}

async fn read_endpoints(
    State(all): Shared,
    Path(proxy): Path<String>,
) -> Result<Json<Vec<EndpointView>>, ApiError> {
    all.endpoints(&proxy).map(Json)
}

async fn drain(
    State(all): Shared,
    Path(proxy): Path<String>,
    bytes: Bytes,
) -> Result<Json<Vec<EndpointView>>, ApiError> {
    all.drain(&proxy, object(&bytes)?).map(Json)
}

async fn read_arms(State(all): Shared, Path(proxy): Path<String>) -> Result<Json<Value>, ApiError> {
    let split = all.proxy(&proxy)?.split;
    let mut said = json!({ "split": split, "arms": all.arms(&proxy)? });
    if let Some(users) = all.users(&proxy)? {
        said["users"] = json!(UsersView::from(&users));
    }
    Ok(Json(said))
}

async fn divide(
    State(all): Shared,
    Path(proxy): Path<String>,
    bytes: Bytes,
) -> Result<Json<ProxyView>, ApiError> {
    all.divide(&proxy, Some(object(&bytes)?)).map(Json)
}

async fn undivide(State(all): Shared, Path(proxy): Path<String>) -> Result<StatusCode, ApiError> {
    all.divide(&proxy, None).map(|_| StatusCode::NO_CONTENT)
}

async fn reset(State(all): Shared) -> Result<StatusCode, ApiError> {
    all.reset().map(|()| StatusCode::NO_CONTENT)
}

async fn version() -> impl IntoResponse {
    let kind = [(CONTENT_TYPE, "application/json;charset=utf-8")];
    (kind, format!("{}\n", json!({ "version": VERSION })))
}

async fn measure(State(all): Shared) -> impl IntoResponse {
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, metrics::text(&all))
}
