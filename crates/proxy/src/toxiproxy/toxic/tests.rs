use serde_json::json;

use super::*;

fn new(body: Value) -> Result<Toxic, ApiError> {
    let new: NewToxic = serde_json::from_value(body).expect("a body");
    new.toxic()
}

#[test]
fn what_is_left_out_is_filled_in() {
    let toxic = new(json!({ "type": "latency" })).expect("a toxic");
    assert_eq!(
        serde_json::to_value(&toxic).expect("JSON"),
        json!({
            "attributes": { "latency": 0, "jitter": 0 },
            "name": "latency_downstream",
            "type": "latency",
            "stream": "downstream",
            "toxicity": 1.0,
        })
    );
}

#[test]
fn every_kind_is_read_and_written_as_it_was() {
    for kind in KINDS {
        let needed = match kind {
            "http_body" => json!({ "truncate": 1, "path": "/a*" }),
            "http_header" => json!({ "name": "x", "headers": { "y": "*" } }),
            "websocket_message" => json!({ "corrupt": 0.5, "messages": ["text"] }),
            _ => json!({}),
        };
        let body = json!({ "type": kind, "stream": "upstream", "attributes": needed });
        let toxic = new(body).expect("a toxic");
        let written = serde_json::to_value(&toxic).expect("JSON");
        assert_eq!(written["type"], kind);
        assert!(written["attributes"].is_object(), "{written}");
        assert_eq!(new(written).expect("a toxic"), toxic);
    }
}

#[test]
fn a_change_keeps_what_it_does_not_name() {
    let toxic = new(json!({ "type": "latency", "attributes": { "latency": 5, "jitter": 3 } }));
    let change = ToxicChange {
        toxicity: None,
        attributes: json!({ "latency": 7 }).as_object().cloned(),
    };
    let changed = toxic.expect("a toxic").changed(change).expect("a change");
    let (_, attributes) = changed.attributes.written();
    assert_eq!(
        Value::Object(attributes),
        json!({ "latency": 7, "jitter": 3 })
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert!(matches!(
        new(json!({ "type": "nothing" })),
        Err(ApiError::InvalidType)
    ));
    assert!(matches!(new(json!({})), Err(ApiError::InvalidType)));
    let sideways = json!({ "type": "noop", "stream": "sideways" });
    assert!(matches!(new(sideways), Err(ApiError::InvalidStream)));
    for body in [
        json!({ "type": "latency", "attributes": { "latency": "long" } }),
        json!({ "type": "latency", "attributes": { "latency": -1 } }),
        json!({ "type": "latency", "attributes": { "latency": u64::MAX } }),
        json!({ "type": "latency", "attributes": { "correlation": 1.0 } }),
        json!({ "type": "loss", "attributes": { "share": 1.5 } }),
        json!({ "type": "noop", "toxicity": 2.0 }),
        json!({ "type": "noop", "toxicity": -0.1 }),
    ] {
        assert!(matches!(new(body), Err(ApiError::BadBody { .. })));
    }
}

#[test]
fn a_misspelt_limit_is_refused_rather_than_left_out() {
    let body = json!({ "type": "http_abort", "attributes": { "method": ["GET"] } });
    let error = new(body).expect_err("a refusal").to_string();
    assert!(
        error.contains("http_abort has no attribute method"),
        "{error}"
    );
}

#[test]
fn what_a_protocol_has_no_word_for_is_refused() {
    for (kind, attributes, why) in [
        ("redis_error", json!({ "error": "two\nlines" }), "one line"),
        ("postgres_error", json!({ "sqlstate": "nope" }), "SQLSTATE"),
        ("mysql_error", json!({ "code": 70000 }), "u16"),
        (
            "kafka_error",
            json!({ "apis": ["Prodse"] }),
            "no API Prodse",
        ),
        ("kafka_error", json!({ "code": 0 }), "no error of Kafka"),
        ("grpc_abort", json!({ "status": 17 }), "1 to 16"),
        ("grpc_cut", json!({ "afters": 1 }), "no attribute afters"),
        (
            "redis_delay",
            json!({ "latency": 1, "correlation": 2.0 }),
            "from 0 to below 1",
        ),
    ] {
        let body = json!({ "type": kind, "attributes": attributes });
        let error = new(body).expect_err(kind).to_string();
        assert!(error.contains(why), "{kind}: {error}");
    }
}
