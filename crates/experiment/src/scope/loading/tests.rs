use serde_json::json;

use super::*;

fn load(configuration: &Value, overrides: &Value) -> Result<Loading, ScopeError> {
    let env = |name: &str| (name == "PORT").then(|| "80_80".to_owned());
    load_configuration(
        configuration.as_object().unwrap(),
        &env,
        overrides.as_object().unwrap(),
    )
}

fn one(entry: &Value) -> Result<Value, ScopeError> {
    let loading = load(&json!({ "x": entry }), &json!({}))?;
    Ok(loading.into_configuration()["x"].clone())
}

#[test]
fn environment_values_convert_as_python_does() {
    for (entry, expected) in [
        (json!({"type": "env", "key": "PORT"}), json!("80_80")),
        (
            json!({"type": "env", "key": "PORT", "env_var_type": "int"}),
            json!(8080),
        ),
        (
            json!({"type": "env", "key": "PORT", "env_var_type": "float"}),
            json!(8080.0),
        ),
        (
            json!({"type": "env", "key": "PORT", "env_var_type": "bool"}),
            json!(true),
        ),
        (
            json!({"type": "env", "key": "NO", "default": "no", "env_var_type": "bool"}),
            json!(false),
        ),
        (
            json!({"type": "env", "key": "NO", "default": "[1]", "env_var_type": "json"}),
            json!([1]),
        ),
        (
            json!({"type": "env", "key": "NO", "default": 5.7, "env_var_type": "int"}),
            json!(5),
        ),
        (
            json!({"type": "env", "key": "NO", "default": null}),
            json!(null),
        ),
        (
            json!({"nested": {"type": "env", "key": "NO"}}),
            json!({"nested": {"type": "env", "key": "NO"}}),
        ),
        (
            json!({"type": "vault", "path": "x"}),
            json!({"type": "vault", "path": "x"}),
        ),
    ] {
        assert_eq!(one(&entry).unwrap(), expected, "{entry}");
    }
}

#[test]
fn what_python_would_crash_on_is_an_error() {
    for entry in [
        json!({"type": "env", "key": "NO"}),
        json!({"type": "env"}),
        json!({"type": "env", "key": "NO", "default": "x", "env_var_type": "int"}),
        json!({"type": "env", "key": "NO", "default": null, "env_var_type": "int"}),
        json!({"type": "env", "key": "PORT", "env_var_type": "complex"}),
        json!({"type": "probe"}),
    ] {
        assert!(one(&entry).is_err(), "{entry}");
    }
}

#[test]
fn overrides_replace_declared_keys_only() {
    let loading = load(
        &json!({"a": 1, "b": {"type": "env", "key": "NO"}}),
        &json!({"a": 2, "b": "given", "c": 3}),
    );
    let configuration = loading.unwrap().into_configuration();
    assert_eq!(Value::Object(configuration), json!({"a": 2, "b": "given"}));
}

#[test]
fn a_dynamic_entry_sees_what_stands_before_it() {
    let probe =
        json!({"type": "probe", "name": "p", "provider": {"type": "process", "path": "true"}});
    let mut loading = load(&json!({"a": 1, "b": probe, "c": 3}), &json!({})).unwrap();
    let dynamic = loading.next_dynamic().unwrap();
    assert_eq!(loading.known().keys().collect::<Vec<_>>(), ["a"]);
    assert!(loading.finish(
        &dynamic,
        &json!({"status": 0, "stdout": " v\n", "stderr": ""})
    ));
    assert!(loading.next_dynamic().is_none());
    assert_eq!(
        Value::Object(loading.into_configuration()),
        json!({"a": 1, "b": "v", "c": 3})
    );
}

#[test]
fn a_process_that_failed_leaves_its_key_unknown() {
    let probe = json!({"type": "probe", "provider": {"type": "process", "path": "false"}});
    let mut loading = load(&json!({ "b": probe }), &json!({})).unwrap();
    let dynamic = loading.next_dynamic().unwrap();
    assert!(!loading.finish(&dynamic, &json!({"status": 1, "stdout": "v", "stderr": ""})));
    assert!(loading.into_configuration().is_empty());
}
