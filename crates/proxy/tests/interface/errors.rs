use serde_json::json;

use crate::bed::{Answer, Bed};

fn is_error(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json(), json!({ "error": error, "status": status }));
    assert!(
        answer.head.contains("content-type: text/plain"),
        "{answer:?}"
    );
    assert!(answer.body.ends_with("}\n"));
}

#[test]
fn what_is_not_there_is_404() {
    let (bed, _) = Bed::with_echo();
    for path in ["/proxies/no", "/proxies/no/toxics", "/proxies/no/toxics/no"] {
        is_error(&bed.get(path), 404, "proxy not found");
    }
    is_error(&bed.delete("/proxies/no"), 404, "proxy not found");
    is_error(&bed.post("/proxies/no", "{}"), 404, "proxy not found");
    let toxic = r#"{"type":"noop"}"#;
    is_error(
        &bed.post("/proxies/no/toxics", toxic),
        404,
        "proxy not found",
    );
    is_error(&bed.get("/proxies/echo/toxics/no"), 404, "toxic not found");
    is_error(
        &bed.post("/proxies/echo/toxics/no", "{}"),
        404,
        "toxic not found",
    );
    is_error(
        &bed.delete("/proxies/echo/toxics/no"),
        404,
        "toxic not found",
    );
}

#[test]
fn what_is_taken_is_409() {
    let (bed, _) = Bed::with_echo();
    let proxy = r#"{"name":"echo","upstream":"127.0.0.1:1"}"#;
    is_error(&bed.post("/proxies", proxy), 409, "proxy already exists");
    let toxic = r#"{"type":"noop","name":"mine"}"#;
    assert_eq!(bed.post("/proxies/echo/toxics", toxic).status, 200);
    // Across both streams.
    let other = r#"{"type":"noop","name":"mine","stream":"upstream"}"#;
    is_error(
        &bed.post("/proxies/echo/toxics", other),
        409,
        "toxic already exists",
    );
}

#[test]
fn what_is_missing_or_wrong_is_400() {
    let (bed, _) = Bed::with_echo();
    let missing = "missing required field: name";
    is_error(
        &bed.post("/proxies", r#"{"upstream":"127.0.0.1:1"}"#),
        400,
        missing,
    );
    let missing = "missing required field: upstream";
    is_error(&bed.post("/proxies", r#"{"name":"other"}"#), 400, missing);
    let toxics = "/proxies/echo/toxics";
    is_error(
        &bed.post(toxics, r#"{"type":"none"}"#),
        400,
        "invalid toxic type",
    );
    let stream = "stream was invalid, can be either upstream or downstream";
    is_error(
        &bed.post(toxics, r#"{"type":"noop","stream":"up"}"#),
        400,
        stream,
    );
    for (path, body) in [
        ("/proxies", "{"),
        ("/proxies", ""),
        ("/proxies", "[]"),
        ("/proxies/echo", r#"{"enabled":"yes"}"#),
        ("/proxies/echo", r#"{"upstream":"nowhere"}"#),
        ("/populate", "{}"),
        (
            toxics,
            r#"{"type":"latency","attributes":{"latency":"long"}}"#,
        ),
    ] {
        let answer = bed.post(path, body);
        assert_eq!(answer.status, 400, "{path} {body}: {answer:?}");
        let error = answer.json()["error"].as_str().map(str::to_owned);
        assert!(error.is_some_and(|error| error.starts_with("bad request body: ")));
    }
    // What was refused changed nothing.
    assert_eq!(bed.get("/proxies/echo").json()["enabled"], true);
}

#[test]
fn an_address_that_cannot_be_listened_on_is_500() {
    let (bed, _) = Bed::with_echo();
    let taken = bed.address;
    let body = json!({ "name": "other", "upstream": "127.0.0.1:1", "listen": taken.to_string() });
    assert_eq!(bed.post("/proxies", &body.to_string()).status, 500);
    assert_eq!(bed.get("/proxies/other").status, 404);
}

#[test]
fn a_browser_is_kept_out_and_every_answer_has_a_number() {
    let bed = Bed::new();
    let browser = bed.ask("GET", "/proxies", "user-agent: Mozilla/5.0\r\n", "");
    assert_eq!(browser.status, 403);
    assert!(
        bed.get("/version")
            .head
            .contains("x-toxiproxy-request-id: ")
    );
    assert!(bed.get("/version").body.ends_with("}\n"));
}
