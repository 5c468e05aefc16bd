//! `--var name[:type]=value` and variable files.

use serde_json::{Map, Value};

use super::ScopeError;
use super::convert::convert;
use crate::parse::{Format, parse_value};
use crate::path::Path;
use crate::source::Source;

/// What a variable file gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VarFile {
    pub configuration: Map<String, Value>,
    pub secrets: Map<String, Value>,
    /// A `.env` file's lines: to be seen by `env` entries and by the processes a drill starts.
    pub environment: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VarFileFormat {
    Document(Format),
    Env,
}

impl VarFileFormat {
    /// By a file's name; anything but JSON and YAML is read as `.env`.
    pub fn of_name(name: &str) -> Self {
        Format::of_name(name).map_or(Self::Env, Self::Document)
    }
}

/// One `--var`.
///
/// # Errors
/// Another form, an unknown type, a value that does not convert.
pub fn parse_var(text: &str) -> Result<(String, Value), ScopeError> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| ScopeError::Variable(text.to_owned()))?;
    let (name, kind) = match name.rsplit_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (name, None),
    };
    let place = Path::root().key(name);
    let value = convert(kind, &Value::String(value.to_owned()), &place)?;
    Ok((name.to_owned(), value))
}

/// # Errors
/// A text that is not of the format, or whose blocks are not mappings.
pub fn parse_var_file(source: &Source, format: VarFileFormat) -> Result<VarFile, ScopeError> {
    let wrong = |message: String| ScopeError::VarFile {
        name: source.name.clone(),
        message,
    };
    match format {
        VarFileFormat::Env => Ok(VarFile {
            environment: env_lines(source)?,
            ..VarFile::default()
        }),
        VarFileFormat::Document(_) if source.text.trim().is_empty() => Ok(VarFile::default()),
        VarFileFormat::Document(format) => {
            let value = parse_value(source, format)
                .map_err(|diagnostics| wrong(diagnostics.lines().join("; ")))?;
            let block = |key: &str| match value.get(key) {
                None | Some(Value::Null) => Ok(Map::new()),
                Some(Value::Object(map)) => Ok(map.clone()),
                Some(_) => Err(wrong(format!("`{key}` is not a mapping"))),
            };
            if !value.is_object() && !value.is_null() {
                return Err(wrong("the file is not a mapping".to_owned()));
            }
            Ok(VarFile {
                configuration: block("configuration")?,
                secrets: block("secrets")?,
                environment: Vec::new(),
            })
        }
    }
}

fn env_lines(source: &Source) -> Result<Vec<(String, String)>, ScopeError> {
    let lines = source.text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| match line.split_once('=') {
            // An empty or NUL-bearing name would make the system call fail.
            Some((name, value)) if !name.is_empty() && !line.contains('\0') => {
                Ok((name.to_owned(), value.to_owned()))
            }
            _ => Err(ScopeError::VarFile {
                name: source.name.clone(),
                message: "a line is not of the form NAME=value".to_owned(),
            }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_variable_may_name_its_type() {
        for (text, name, value) in [
            ("a=b=c", "a", json!("b=c")),
            ("a:int= 5 ", "a", json!(5)),
            ("a:b:float=1", "a:b", json!(1.0)),
            ("a:bool=No", "a", json!(false)),
            ("a:json={\"x\": 1}", "a", json!({"x": 1})),
            ("a:bytes=x", "a", json!("x")),
            ("a=", "a", json!("")),
        ] {
            assert_eq!(parse_var(text).unwrap(), (name.to_owned(), value), "{text}");
        }
        for text in ["a", "a:int=x", "a:date=1", "a:json={", "a:int="] {
            assert!(parse_var(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_file_is_a_document_or_environment_lines() {
        let yaml = Source::new("v.yaml", "configuration: {a: on}\nsecrets: {g: {k: v}}\n");
        let read = parse_var_file(&yaml, VarFileFormat::of_name("v.yaml")).unwrap();
        assert_eq!(Value::Object(read.configuration), json!({"a": true}));
        assert_eq!(Value::Object(read.secrets), json!({"g": {"k": "v"}}));
        let env = Source::new("v.env", "# c\n A=1=2 \n\nB=\n");
        let read = parse_var_file(&env, VarFileFormat::of_name("v.env")).unwrap();
        assert_eq!(
            read.environment,
            [("A".into(), "1=2".into()), ("B".into(), String::new())]
        );
        assert!(parse_var_file(&Source::new("v.env", "A"), VarFileFormat::Env).is_err());
        let list = Source::new("v.json", "[1]");
        assert!(parse_var_file(&list, VarFileFormat::of_name("v.json")).is_err());
    }
}
