//! `context`: what an answer holds for, beside the load: a version, a count of replicas.

use serde_json::{Map, Value};

use super::refuse_unknown;
use crate::diagnostic::Code;
use crate::document::Provider;
use crate::document::provider::provider;
use crate::document::reader::Reader;
use crate::jsonpath::JsonPath;
use crate::path::Path;

/// One fact, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct MarginContext {
    pub name: String,
    pub from: ContextFrom,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ContextFrom {
    /// As written; may hold `${name}`.
    Literal(Value),
    /// Read before the search, and again at its end.
    Read {
        provider: Provider,
        /// Where in the answer it stands; the whole of it unless told.
        jsonpath: Option<String>,
    },
}

/// Nothing if one of them cannot be read.
pub(super) fn read(
    map: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> Option<Vec<MarginContext>> {
    let Some(value) = map.get("context").filter(|value| !value.is_null()) else {
        return Some(Vec::new());
    };
    let path = path.key("context");
    let context = reader.map(value, &path)?;
    context
        .iter()
        .map(|(name, value)| {
            let name = name.clone();
            let from = one(value, &path.key(&name), reader)?;
            Some(MarginContext { name, from })
        })
        .collect()
}

fn one(value: &Value, path: &Path, reader: &mut Reader) -> Option<ContextFrom> {
    let of = match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => {
            return Some(ContextFrom::Literal(value.clone()));
        }
        Value::Object(of) => of,
        Value::Null | Value::Array(_) => {
            let message = "a fact is a value, or `{provider, jsonpath}`: who is asked for it";
            reader.error(Code::Type, path, message);
            return None;
        }
    };
    refuse_unknown(of, path, &["provider", "jsonpath"], reader);
    let provider = provider(of, path, reader)?;
    if let Provider::Fault { .. } | Provider::Load { .. } = provider {
        let message = "a fact is read, and nothing is changed: http, process, python, prometheus";
        reader.error(Code::Value, &path.key("provider").key("type"), message);
        return None;
    }
    let jsonpath = match of.get("jsonpath").filter(|value| !value.is_null()) {
        None => None,
        Some(Value::String(text)) => {
            if let Err(error) = JsonPath::parse_ours(text) {
                reader.error(Code::Value, &path.key("jsonpath"), error.to_string());
                return None;
            }
            Some(text.clone())
        }
        Some(other) => {
            reader.wrong_type(&path.key("jsonpath"), "a string", other);
            return None;
        }
    };
    Some(ContextFrom::Read { provider, jsonpath })
}
