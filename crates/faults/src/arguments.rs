//! Reading JSON arguments: every mistake is kept, so that all are reported at once.

use std::ops::RangeBounds;
use std::time::Duration;

use firedrill_experiment::units;
use serde_json::{Map, Value};

use crate::FaultError;

/// The arguments of one fault or selector, while they are read.
pub(crate) struct Arguments<'a> {
    owner: &'static str,
    map: &'a Map<String, Value>,
    errors: Vec<FaultError>,
}

impl<'a> Arguments<'a> {
    /// Everything that is not in `known` is a mistake already.
    pub(crate) fn new(
        owner: &'static str,
        map: &'a Map<String, Value>,
        known: &[&'static str],
    ) -> Self {
        let errors = map
            .keys()
            .filter(|key| !known.contains(&key.as_str()))
            .map(|key| FaultError::UnknownParameter {
                owner,
                name: key.clone(),
                near: nearest(key, known.iter().copied()),
            })
            .collect();
        Self { owner, map, errors }
    }

    /// The value, unless absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A value that `read` understands; what it does not is a mistake.
    pub(crate) fn read<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(name)?;
        let parsed = read(value);
        if parsed.is_none() {
            self.wrong(name, value, expected);
        }
        parsed
    }

    pub(crate) fn wrong(&mut self, name: &str, found: &Value, expected: &str) {
        self.errors.push(FaultError::Value {
            owner: self.owner,
            name: name.into(),
            found: found.to_string(),
            expected: expected.into(),
        });
    }

    pub(crate) fn mistake(&mut self, error: FaultError) {
        self.errors.push(error);
    }

    /// # Errors
    /// When there was any mistake.
    pub(crate) fn finish(self) -> Result<(), FaultError> {
        FaultError::all(self.errors)
    }
}

impl Arguments<'_> {
    /// A number within bounds, which are told in `expected`.
    pub(crate) fn number(
        &mut self,
        name: &str,
        bounds: impl RangeBounds<f64>,
        expected: &str,
    ) -> Option<f64> {
        self.read(name, expected, |value| {
            value.as_f64().filter(|number| bounds.contains(number))
        })
    }

    /// Above 0, at most 100.
    pub(crate) fn percent(&mut self, name: &str) -> Option<f64> {
        self.read(name, PERCENT, |value| {
            value
                .as_f64()
                .filter(|percent| *percent > 0.0 && *percent <= 100.0)
        })
    }

    /// A whole number within bounds, which are told in `expected`.
    pub(crate) fn whole(
        &mut self,
        name: &str,
        bounds: impl RangeBounds<u64>,
        expected: &str,
    ) -> Option<u64> {
        self.read(name, expected, |value| {
            value.as_u64().filter(|number| bounds.contains(number))
        })
    }

    /// With its unit; at most `most`.
    pub(crate) fn duration(&mut self, name: &str, most: Duration) -> Option<Duration> {
        let expected = format!(
            "a time such as 250ms, above 0, at most {}",
            units::format_duration(most)
        );
        self.read(name, &expected, |value| {
            units::duration(value)
                .ok()
                .filter(|time| !time.is_zero() && *time <= most)
        })
    }

    /// In bytes, with its unit; at least one.
    pub(crate) fn size(&mut self, name: &str) -> Option<u64> {
        self.read(name, "a size such as 64MiB, above 0", |value| {
            units::size(value).ok().filter(|bytes| *bytes > 0)
        })
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.read(name, "true or false", Value::as_bool)
    }

    /// What must be given; the fault is not built without it, so the default never counts.
    pub(crate) fn require<T: Default>(
        &mut self,
        name: &'static str,
        value: Option<T>,
        what: &'static str,
    ) -> T {
        if value.is_none() && self.get(name).is_none() {
            self.mistake(FaultError::Missing {
                owner: self.owner,
                name,
                what,
            });
        }
        value.unwrap_or_default()
    }
}

/// How a percentage is asked for.
pub(crate) const PERCENT: &str = "a number above 0, at most 100";

/// A list of strings, none of them empty text in first place: a command.
pub(crate) fn command(value: &Value) -> Option<Vec<String>> {
    let words: Vec<String> = value
        .as_array()?
        .iter()
        .map(|word| word.as_str().map(str::to_owned))
        .collect::<Option<_>>()?;
    words
        .first()
        .is_some_and(|program| !program.is_empty())
        .then_some(words)
}

/// The known name that was probably meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|candidate| {
            // `process-pause` alone is near to `infrastructure.process-pause`.
            let short = candidate.rsplit('.').next().unwrap_or(candidate);
            let likeness =
                strsim::jaro_winkler(name, candidate).max(strsim::jaro_winkler(name, short));
            (likeness, candidate)
        })
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}
