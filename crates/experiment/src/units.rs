//! Durations and sizes with their units: `250ms`, `1m30s`, `64MiB`; a bare number is seconds.

use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnitError {
    #[error("`{0}` is not a duration")]
    Duration(String),
    #[error("`{text}` has no unit `{unit}` of time")]
    TimeUnit { text: String, unit: String },
    #[error("a duration cannot be negative: `{0}`")]
    Negative(String),
    #[error("`{0}` is longer than a century")]
    TooLong(String),
    #[error("a duration is a number of seconds or a string with units, not a {0}")]
    NotADuration(&'static str),
    #[error("`{0}` is not a size")]
    Size(String),
    #[error("a size is a number of bytes or a string with a unit, not a {0}")]
    NotASize(&'static str),
}

impl UnitError {
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Size(_) | Self::NotASize(_) => "write 512, 64KiB, 64MiB or 1GiB",
            _ => "write 10 (seconds), 250ms, 10s, 1m30s or 2h",
        }
    }
}

const SECONDS_MAX: f64 = 100.0 * 365.25 * 86_400.0;

/// # Errors
/// See [`UnitError`].
pub fn duration(value: &Value) -> Result<Duration, UnitError> {
    match value {
        Value::Number(number) => seconds(number.as_f64().unwrap_or(f64::NAN), &number.to_string()),
        Value::String(text) => parse_duration(text),
        other => Err(UnitError::NotADuration(crate::python::type_name(other))),
    }
}

/// # Errors
/// See [`UnitError`].
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let trimmed = text.trim();
    if let Ok(number) = trimmed.parse::<f64>() {
        return seconds(number, text);
    }
    if trimmed.starts_with('-') {
        return Err(UnitError::Negative(text.to_owned()));
    }
    let mut rest = trimmed;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..number_end]
            .parse()
            .map_err(|_| UnitError::Duration(text.to_owned()))?;
        rest = &rest[number_end..];
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        sum += number * seconds_of(rest[..unit_end].trim(), text)?;
        rest = &rest[unit_end..];
    }
    if trimmed.is_empty() {
        return Err(UnitError::Duration(text.to_owned()));
    }
    seconds(sum, text)
}

fn seconds_of(unit: &str, text: &str) -> Result<f64, UnitError> {
    Ok(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "" => return Err(UnitError::Duration(text.to_owned())),
        other => {
            return Err(UnitError::TimeUnit {
                text: text.to_owned(),
                unit: other.to_owned(),
            });
        }
    })
}

fn seconds(number: f64, text: &str) -> Result<Duration, UnitError> {
    if number.is_nan() {
        return Err(UnitError::Duration(text.to_owned()));
    }
    if number < 0.0 {
        return Err(UnitError::Negative(text.to_owned()));
    }
    if number > SECONDS_MAX {
        return Err(UnitError::TooLong(text.to_owned()));
    }
    // Through nanoseconds, so that `0.1s` is 100 ms to the dot.
    Ok(Duration::from_nanos((number * 1e9).round() as u64))
}

/// What a [`Quantity`] is counted in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Milliseconds.
    Time,
    /// Whatever stands behind the number: `%`, `mbps`; nothing for a bare number.
    Suffix(String),
}

/// A number with its unit, whatever that is.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    pub value: f64,
    pub unit: Unit,
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Time => f.write_str("time"),
            Self::Suffix(suffix) if suffix.is_empty() => f.write_str("bare numbers"),
            Self::Suffix(suffix) => f.write_str(suffix),
        }
    }
}

impl Unit {
    /// As an argument has it: `250ms`, `5%`, or a bare number.
    pub fn write(&self, value: f64) -> Value {
        match self {
            Self::Time => {
                let micros = Duration::from_micros((value.max(0.0) * 1e3).round() as u64);
                Value::String(format_duration(micros))
            }
            Self::Suffix(suffix) if suffix.is_empty() => Value::from(value),
            Self::Suffix(suffix) => Value::String(format!("{value}{suffix}")),
        }
    }

    /// For people: three digits that count.
    pub fn show(&self, value: f64) -> String {
        let digits = |value: f64| {
            let whole = value.abs().max(1e-9).log10().floor() as i32 + 1;
            let places = usize::try_from(3 - whole).unwrap_or(0).min(6);
            let text = format!("{value:.places$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        };
        match self {
            Self::Time if value.abs() >= 1e3 => format!("{} s", digits(value / 1e3)),
            Self::Time => format!("{} ms", digits(value)),
            Self::Suffix(suffix) if suffix.is_empty() => digits(value),
            Self::Suffix(suffix) => format!("{} {suffix}", digits(value)),
        }
    }
}

/// A finite number with whatever unit stands behind it; nothing if it is none.
pub fn quantity(value: &Value) -> Option<Quantity> {
    let text = match value {
        Value::Number(number) => {
            return Some(Quantity {
                value: number.as_f64()?,
                unit: Unit::Suffix(String::new()),
            });
        }
        Value::String(text) => text.trim(),
        _ => return None,
    };
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_end);
    let suffix = suffix.trim();
    if !suffix.is_empty()
        && let Ok(duration) = parse_duration(text)
    {
        return Some(Quantity {
            value: duration.as_secs_f64() * 1e3,
            unit: Unit::Time,
        });
    }
    if suffix.contains(|c: char| c.is_ascii_digit() || c.is_whitespace()) {
        return None;
    }
    Some(Quantity {
        value: number.parse().ok()?,
        unit: Unit::Suffix(suffix.to_owned()),
    })
}

/// `1m30s`, `250ms`: the shortest text that [`parse_duration`] reads back.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut rest = nanos;
    let mut out = String::new();
    for (unit, size) in [
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ] {
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    out
}

/// Bytes: `64MiB`, `10MB`, `512`.
///
/// # Errors
/// See [`UnitError`].
pub fn size(value: &Value) -> Result<u64, UnitError> {
    match value {
        Value::Number(number) => number
            .as_u64()
            .ok_or_else(|| UnitError::Size(number.to_string())),
        Value::String(text) => parse_size(text),
        other => Err(UnitError::NotASize(crate::python::type_name(other))),
    }
}

/// # Errors
/// See [`UnitError`].
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let wrong = || UnitError::Size(text.to_owned());
    let trimmed = text.trim();
    let unit_at = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let number: f64 = trimmed[..unit_at].parse().map_err(|_| wrong())?;
    let factor: f64 = match trimmed[unit_at..].trim() {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        "TiB" => 1_099_511_627_776.0,
        _ => return Err(wrong()),
    };
    let bytes = number * factor;
    // Beyond 2^53 a float no longer counts single bytes.
    if bytes > 9_007_199_254_740_992.0 || bytes.fract() != 0.0 {
        return Err(wrong());
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_have_units_and_bare_numbers_are_seconds() {
        for (value, millis) in [
            (json!("250ms"), 250),
            (json!("10s"), 10_000),
            (json!("1m30s"), 90_000),
            (json!("2h"), 7_200_000),
            (json!(3), 3_000),
            (json!(0.1), 100),
            (json!("1.5"), 1_500),
            (json!("0"), 0),
        ] {
            assert_eq!(
                duration(&value).unwrap(),
                Duration::from_millis(millis),
                "{value}"
            );
        }
    }

    #[test]
    fn a_quantity_has_the_unit_that_stands_behind_it() {
        let suffix = |text: &str| Unit::Suffix(text.into());
        for (value, number, unit, shown) in [
            (json!("250ms"), 250.0, Unit::Time, "250 ms"),
            (json!("1.5s"), 1500.0, Unit::Time, "1.5 s"),
            (json!("5%"), 5.0, suffix("%"), "5 %"),
            (json!("10mbps"), 10.0, suffix("mbps"), "10 mbps"),
            (json!(0.5), 0.5, suffix(""), "0.5"),
        ] {
            let read = quantity(&value).unwrap();
            assert_eq!((read.value, &read.unit), (number, &unit), "{value}");
            assert_eq!(unit.show(number), shown);
            assert_eq!(quantity(&unit.write(number)).unwrap(), read);
        }
        for value in [
            json!("soon"),
            json!(""),
            json!("5 % 3"),
            json!(null),
            json!("-5ms"),
        ] {
            assert_eq!(quantity(&value), None, "{value}");
        }
        assert_eq!(Unit::Time.show(193.4567), "193 ms");
        assert_eq!(Unit::Time.show(9.126), "9.13 ms");
    }

    #[test]
    fn what_is_no_duration_says_so() {
        for value in [
            json!("10 parsecs"),
            json!("-1s"),
            json!(-1),
            json!(""),
            json!("s"),
            json!("1s2"),
            json!(true),
            json!(null),
            json!("1e300"),
            json!("NaN"),
            json!("1..2s"),
        ] {
            assert!(duration(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_duration_reads_back_from_its_text() {
        for text in ["1m30s", "250ms", "2h", "0s", "1h1m1s1ms"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        assert_eq!(size(&json!("64MiB")).unwrap(), 64 << 20);
        assert_eq!(size(&json!("1.5kB")).unwrap(), 1_500);
        assert_eq!(size(&json!(7)).unwrap(), 7);
        for value in [
            json!("64MIB"),
            json!("MiB"),
            json!(-1),
            json!("1.5"),
            json!([]),
        ] {
            assert!(size(&value).is_err(), "{value}");
        }
    }
}
