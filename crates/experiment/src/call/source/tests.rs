use serde_json::json;

use super::*;

fn source(value: &Value) -> Result<KpiSource, FieldError> {
    read(value.as_object().unwrap())
}

fn counters(value: &Value) -> CountersCall {
    match source(value) {
        Ok(KpiSource::Counters(call)) => call,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_said_follows_from_the_interval() {
    let call =
        counters(&json!({"type": "proxy", "url": "http://h:1", "proxy": "shop", "interval": "2s"}));
    let s = Duration::from_secs;
    assert_eq!(
        (call.timeout, call.silence_max, call.idle_max, call.scrape),
        (s(2), s(6), Some(s(20)), s(0))
    );
    let never = counters(
        &json!({"type": "proxy", "url": "http://h:1", "proxy": "shop", "idle-max": "never"}),
    );
    assert_eq!(never.idle_max, None);
}

#[test]
fn how_late_an_event_may_be_seen_is_the_sum_of_what_may_delay_it() {
    let call = source(
        &json!({"type": "prometheus", "url": "http://p", "good": "a", "bad": "b",
        "interval": "5s", "timeout": "2s", "scrape": "15s"}),
    )
    .unwrap();
    assert_eq!(call.reaction(), Some(Duration::from_secs(15 + 15 + 2)));
}

#[test]
fn a_rate_is_no_counter() {
    for query in [
        "rate(x[1m])",
        "sum(increase (x[5m]))",
        "sum by (le) (irate(x[1m]))",
    ] {
        let error =
            source(&json!({"type": "prometheus", "url": "http://p", "good": query, "bad": "b"}))
                .unwrap_err();
        assert_eq!(error.key, "good");
        assert!(error.message.contains("raw counters"), "{error:?}");
    }
    for query in [
        "sum(http_rate (x))",
        "rate_total{a=\"rate\"}",
        "sum(job:rate)",
    ] {
        assert!(
            source(&json!({"type": "prometheus", "url": "http://p", "good": query, "bad": "b"}))
                .is_ok(),
            "{query}"
        );
    }
}

#[test]
fn what_is_missing_or_cannot_be_is_named() {
    let key = |value: Value| source(&value).unwrap_err().key;
    assert_eq!(key(json!({"type": "python"})), "type");
    assert_eq!(key(json!({"type": "proxy", "proxy": "shop"})), "url");
    assert_eq!(key(json!({"type": "proxy", "url": "http://h:1"})), "proxy");
    assert_eq!(
        key(json!({"type": "proxy", "url": "http://h:1", "proxy": "shop", "arm": "left"})),
        "arm"
    );
    assert_eq!(
        key(json!({"type": "prometheus", "url": "http://p", "good": "a"})),
        "bad"
    );
    assert_eq!(
        key(json!({"type": "http", "url": "http://h", "good": "$.a"})),
        "bad"
    );
    assert_eq!(
        key(json!({"type": "http", "url": "http://h", "good": "$.[", "bad": "$.b"})),
        "good"
    );
    let base = json!({"type": "http", "url": "http://h", "good": "$.a", "bad": "$.b"});
    for (field, value) in [
        ("interval", json!("1ms")),
        ("silence-max", json!("10ms")),
        ("rate", json!(0)),
        ("traffic", json!("mine")),
        ("idle-max", json!("sometimes")),
        ("scrape", json!("soon")),
    ] {
        let mut raw = base.clone();
        raw[field] = value;
        assert_eq!(key(raw), field);
    }
}
