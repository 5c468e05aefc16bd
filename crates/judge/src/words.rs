//! Numbers as a reader wants them.

use std::time::Duration;

/// `99.87 %`, with as many digits as it takes to tell the share from 0 and 1.
pub(crate) fn percent(share: f64) -> String {
    written(share, f64::round)
}

/// A lower bound: rounded down, so that "at least" stays true.
pub(crate) fn percent_down(share: f64) -> String {
    written(share, f64::floor)
}

/// An upper bound: rounded up.
pub(crate) fn percent_up(share: f64) -> String {
    written(share, f64::ceil)
}

fn written(share: f64, round: impl Fn(f64) -> f64) -> String {
    let from_edge = share.min(1.0 - share).abs() * 100.0;
    let digits: i32 = match from_edge {
        0.0 => 0,
        e if e >= 10.0 => 1,
        e if e >= 0.1 => 2,
        e => (1.0 - e.log10().floor()).clamp(2.0, 8.0) as i32,
    };
    let scale = 10_f64.powi(digits);
    // A share like 0.99 is not exactly representable: what is within 1e-6 of a step is on it.
    let steps = share * 100.0 * scale;
    let on_step = (steps - steps.round()).abs() < 1e-6;
    let value = if on_step { steps.round() } else { round(steps) } / scale;
    let text = format!("{value:.*}", usize::try_from(digits).unwrap_or(0));
    match text.contains('.') {
        true => format!("{} %", text.trim_end_matches('0').trim_end_matches('.')),
        false => format!("{text} %"),
    }
}

/// `12,345`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `412 µs`, `48.2 ms`, `1.25 s`.
pub(crate) fn micros(us: u64) -> String {
    match us {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", significant(us as f64 / 1e3)),
        _ => format!("{} s", significant(us as f64 / 1e6)),
    }
}

pub(crate) fn duration(d: Duration) -> String {
    micros(u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

fn significant(v: f64) -> String {
    let digits = if v >= 100.0 {
        0
    } else if v >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{v:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `p99`, `p99.9`.
pub(crate) fn quantile(q: f64) -> String {
    let text = format!("{:.4}", q * 100.0);
    format!("p{}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_counts_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1204, "1,204"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(percent(0.9987), "99.87 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.99996), "99.996 %");
        assert_eq!(percent(0.5), "50 %");
        assert_eq!(percent(0.99), "99 %");
        assert_eq!(percent(f64::NAN), "NaN %");
        assert_eq!(
            (percent_down(0.98999), percent_up(0.99001)),
            ("98.99 %".into(), "99.01 %".into())
        );
        assert_eq!(
            (percent_down(0.99), percent_up(0.07)),
            ("99 %".into(), "7 %".into())
        );
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(micros(48_210), "48.2 ms");
        assert_eq!(micros(1_250_000), "1.25 s");
        assert_eq!(micros(300_000), "300 ms");
        assert_eq!(micros(412), "412 µs");
        assert_eq!(quantile(0.99), "p99");
        assert_eq!(quantile(0.999), "p99.9");
    }
}
