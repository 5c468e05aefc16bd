use serde_json::json;

use super::*;

#[test]
fn a_name_with_a_dash_is_ours_only() {
    let value = json!({"web-2-a": {"requests": 7}});
    assert!(JsonPath::parse("$.web-2-a.requests").is_err());
    for path in [
        "$.web-2-a.requests",
        "$['web-2-a'].requests",
        "$[\"web-2-a\"].requests",
    ] {
        assert_eq!(
            JsonPath::parse_ours(path).unwrap().select(&value).unwrap(),
            [json!(7)],
            "{path}"
        );
    }
}
