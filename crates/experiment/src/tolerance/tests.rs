use serde_json::json;

use super::*;

fn scope() -> Scope {
    Scope {
        configuration: json!({"x": 5, "list": [1, 2, 3]})
            .as_object()
            .cloned()
            .unwrap(),
        ..Scope::default()
    }
}

fn met(tolerance: &Value, value: &Value) -> Option<bool> {
    let tolerance = crate::document::read_tolerance(tolerance).expect("a valid tolerance");
    check(&tolerance, value, &scope()).ok()
}

#[test]
fn a_status_counts_for_ints_and_lists_only() {
    let process = json!({"status": 0, "stdout": "ok\n", "stderr": ""});
    assert_eq!(met(&json!(0), &process), Some(true));
    assert_eq!(met(&json!([0, 7]), &process), Some(true));
    assert_eq!(
        met(&json!([0, 7]), &json!({"status": 3})),
        Some(false),
        "membership, not a range"
    );
    assert_eq!(met(&json!(true), &process), Some(false));
    assert_eq!(met(&json!("ok\n"), &process), Some(false));
}
