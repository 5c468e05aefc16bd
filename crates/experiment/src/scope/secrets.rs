//! The `secrets` block: groups of inline values, environment variables, vault references.

use serde_json::{Map, Value};

use super::ScopeError;
use crate::path::{Path, Step};

/// Loaded secrets, and those a vault still has to give.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Secrets {
    pub values: Map<String, Value>,
    /// In document order; their places hold null until [`Secrets::fill`].
    pub vault: Vec<VaultRef>,
}

/// A secret in HashiCorp Vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultRef {
    /// Where the value belongs, from the root of `secrets`.
    pub place: Path,
    pub path: String,
    /// One key of the secret; without it, all of them as a mapping.
    pub key: Option<String>,
}

/// # Errors
/// An environment variable that is not set, a secret outside a group.
pub fn load_secrets(
    secrets: &Map<String, Value>,
    env: &dyn Fn(&str) -> Option<String>,
    overrides: &Map<String, Value>,
) -> Result<Secrets, ScopeError> {
    let mut loaded = Secrets::default();
    for (name, group) in secrets {
        let place = Path::root().key("secrets").key(name);
        if !group.is_object() {
            return Err(ScopeError::SecretWithoutGroup { place });
        }
    }
    loaded.values = load_group(
        secrets,
        env,
        Some(overrides),
        &Path::root(),
        &mut loaded.vault,
    )?;
    Ok(loaded)
}

fn load_group(
    group: &Map<String, Value>,
    env: &dyn Fn(&str) -> Option<String>,
    overrides: Option<&Map<String, Value>>,
    place: &Path,
    vault: &mut Vec<VaultRef>,
) -> Result<Map<String, Value>, ScopeError> {
    let mut out = Map::new();
    for (key, entry) in group {
        let here = place.key(key);
        let given = overrides
            .and_then(|all| all.get(key))
            .filter(|value| !value.is_null());
        let value = match (entry, given) {
            (Value::Object(_), Some(given)) => given.clone(),
            (Value::Object(map), None) => match map.get("type").and_then(Value::as_str) {
                Some("env") => from_env(map, env, &here)?,
                Some("vault") => {
                    vault.extend(VaultRef::read(map, &here));
                    Value::Null
                }
                _ => Value::Object(load_group(map, env, None, &here, vault)?),
            },
            (inline, _) => inline.clone(),
        };
        out.insert(key.clone(), value);
    }
    Ok(out)
}

fn from_env(
    entry: &Map<String, Value>,
    env: &dyn Fn(&str) -> Option<String>,
    place: &Path,
) -> Result<Value, ScopeError> {
    let place = Path {
        steps: [Path::root().key("secrets").steps, place.steps.clone()].concat(),
    };
    let Some(variable) = entry.get("key").and_then(Value::as_str) else {
        return Err(ScopeError::KeyMissing { place, key: "key" });
    };
    env(variable)
        .map(Value::String)
        .ok_or_else(|| ScopeError::EnvironmentMissing {
            place,
            variable: variable.to_owned(),
        })
}

impl Secrets {
    /// Puts what the vault gave where it belongs.
    pub fn fill(&mut self, reference: &VaultRef, value: Value) {
        let Some((Step::Key(last), parents)) = reference.place.steps.split_last() else {
            return;
        };
        let mut map = &mut self.values;
        for step in parents {
            let Step::Key(key) = step else { return };
            let Some(Value::Object(inner)) = map.get_mut(key) else {
                return;
            };
            map = inner;
        }
        map.insert(last.clone(), value);
    }
}

impl VaultRef {
    fn read(entry: &Map<String, Value>, place: &Path) -> Option<Self> {
        Some(Self {
            place: place.clone(),
            path: entry.get("path")?.as_str()?.to_owned(),
            key: entry.get("key").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn load(secrets: &Value, overrides: &Value) -> Result<Secrets, ScopeError> {
        let env = |name: &str| (name == "TOKEN").then(|| "hush".to_owned());
        load_secrets(
            secrets.as_object().unwrap(),
            &env,
            overrides.as_object().unwrap(),
        )
    }

    #[test]
    fn groups_hold_inline_and_environment_values() {
        let loaded = load(
            &json!({"g": {"a": "x", "b": {"type": "env", "key": "TOKEN"}, "c": {"d": 1}}}),
            &json!({}),
        );
        let expected = json!({"g": {"a": "x", "b": "hush", "c": {"d": 1}}});
        assert_eq!(Value::Object(loaded.unwrap().values), expected);
    }

    #[test]
    fn an_override_replaces_a_whole_group() {
        let loaded = load(
            &json!({"g": {"a": "x"}}),
            &json!({"g": {"a": "y"}, "h": {}}),
        );
        assert_eq!(
            Value::Object(loaded.unwrap().values),
            json!({"g": {"a": "y"}})
        );
    }

    #[test]
    fn a_vault_secret_is_filled_where_it_stands() {
        let mut loaded = load(
            &json!({"g": {"v": {"type": "vault", "path": "a/b", "key": "k"}}}),
            &json!({}),
        )
        .unwrap();
        let reference = loaded.vault[0].clone();
        assert_eq!(
            (reference.path.as_str(), reference.key.as_deref()),
            ("a/b", Some("k"))
        );
        loaded.fill(&reference, json!("hush"));
        assert_eq!(Value::Object(loaded.values), json!({"g": {"v": "hush"}}));
    }

    #[test]
    fn a_top_level_text_is_refused_where_chaos_toolkit_crashes_later() {
        let error = load(&json!({"t": "x"}), &json!({})).unwrap_err();
        assert!(
            matches!(error, ScopeError::SecretWithoutGroup { .. }),
            "{error}"
        );
        let outside = load(&json!({"t": {"type": "env", "key": "TOKEN"}}), &json!({})).unwrap();
        assert_eq!(
            Value::Object(outside.values),
            json!({"t": "hush"}),
            "known, to be masked"
        );
        assert!(
            load(
                &json!({"g": {"x": {"type": "env", "key": "NO"}}}),
                &json!({})
            )
            .is_err()
        );
    }
}
