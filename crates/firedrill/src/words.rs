//! Numbers as people read them.

use std::time::Duration;

/// `1 effect`, `6 effects`, `2 processes`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = match (number, what.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{number} {what}{plural}")
}

/// `0.4 ms`, `12 ms`, `1.3 s`.
pub(crate) fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ms if ms >= 1000.0 => format!("{:.1} s", ms / 1e3),
        ms if ms >= 10.0 => format!("{ms:.0} ms"),
        ms => format!("{ms:.1} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_plural_and_times_their_unit() {
        assert_eq!(count(1, "process"), "1 process");
        assert_eq!(count(2, "process"), "2 processes");
        assert_eq!(count(0, "error"), "0 errors");
        assert_eq!(milliseconds(Duration::from_micros(400)), "0.4 ms");
        assert_eq!(milliseconds(Duration::from_millis(12)), "12 ms");
        assert_eq!(milliseconds(Duration::from_millis(1310)), "1.3 s");
    }
}
