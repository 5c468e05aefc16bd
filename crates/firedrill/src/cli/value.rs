//! Values as people type them.

use std::str::FromStr;
use std::time::Duration;

use firedrill_experiment::units;

/// `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for KeyValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(format!("`{text}` is not of the form key=value")),
        }
    }
}

/// `250ms`, `10s`, `1m30s`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|error| format!("{error}: {}", error.hint()))
}

/// Nanoseconds, below zero with a leading minus.
pub(super) fn offset(text: &str) -> Result<i64, String> {
    let (sign, length) = match text.strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let nanoseconds = i64::try_from(duration(length)?.as_nanos());
    nanoseconds
        .map(|nanoseconds| sign * nanoseconds)
        .map_err(|_| "must be shorter than 292 years".to_owned())
}

/// A duration longer than nothing.
pub(super) fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than zero".to_owned()),
        time => Ok(time),
    }
}

/// A share from 0 to 1.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

/// More than nothing, and finite.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("must be a number greater than 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_an_equals_sign_and_a_key_may_not_be_empty() {
        let pair: KeyValue = "command=java -Dx=1".parse().unwrap();
        assert_eq!(
            (pair.key.as_str(), pair.value.as_str()),
            ("command", "java -Dx=1")
        );
        assert!("=x".parse::<KeyValue>().is_err());
        assert!("x".parse::<KeyValue>().is_err());
    }

    #[test]
    fn a_ratio_is_from_zero_to_one() {
        assert_eq!(ratio("0.5"), Ok(0.5));
        for bad in ["1.1", "-0.1", "NaN", "half"] {
            assert!(ratio(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_time_at_all_is_not_some_time() {
        assert!(some_time("0s").is_err());
        assert_eq!(some_time("250ms"), Ok(Duration::from_millis(250)));
    }
}
