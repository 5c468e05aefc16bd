//! The journal's timestamps.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// RFC 3339, or without a zone as older Chaos Toolkits write it (UTC then).
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        local
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp())
    })
}

/// Seconds from one timestamp to another; `None` when either cannot be read.
pub(crate) fn seconds_between(from: &str, to: &str) -> Option<f64> {
    let (from, to) = (parse(from)?, parse(to)?);
    Some(to.duration_since(from).as_secs_f64())
}

/// `2026-11-23 01:43:54 UTC`; the text itself when it is no timestamp.
pub(crate) fn readable(text: &str) -> String {
    match parse(text) {
        Some(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_a_zone_are_read() {
        assert_eq!(
            seconds_between("2026-11-23T10:00:00", "2026-11-23T12:00:01.500000+02:00"),
            Some(1.5)
        );
        assert_eq!(
            readable("2026-11-23T10:00:00.123456+00:00"),
            "2026-11-23 10:00:00 UTC"
        );
        assert_eq!(readable("yesterday"), "yesterday");
        assert_eq!(seconds_between("", "2026-11-23T12:00:00Z"), None);
    }
}
