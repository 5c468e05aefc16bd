//! Exact decimal comparison: `0.1` as text is not the float 0.1, and Python tells them apart.

use std::cmp::Ordering;

/// A finite number as its digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Without leading or trailing zeros; empty for zero.
    digits: Vec<u8>,
    /// The power of ten before the first digit: 0.5 is digits 5, point 0; 50 is point 2.
    point: i64,
}

impl Decimal {
    /// The float's exact value.
    pub(super) fn from_f64(number: f64) -> Option<Self> {
        // No float has more than 1074 places.
        number
            .is_finite()
            .then(|| format!("{number:.1074}"))
            .and_then(|text| Self::parse(&text))
    }

    /// Python's `Decimal(text)`: blanks around, underscores and an exponent are allowed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().replace('_', "");
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text.as_str(), 0),
        };
        let negative = mantissa.starts_with('-');
        let mantissa = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let leading = all.bytes().take_while(|digit| *digit == b'0').count();
        let digits = all[leading..].trim_end_matches('0').as_bytes().to_vec();
        if digits.is_empty() {
            return Some(Self {
                negative: false,
                digits,
                point: 0,
            });
        }
        let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()? + exponent;
        Some(Self {
            negative,
            digits,
            point,
        })
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = || {
            self.point
                .cmp(&other.point)
                .then_with(|| self.digits.cmp(&other.digits))
        };
        match self.sign().cmp(&other.sign()) {
            Ordering::Equal if self.sign() < 0 => magnitude().reverse(),
            Ordering::Equal if self.sign() > 0 => magnitude(),
            order => order,
        }
    }
}

/// An exponent too large to write as `i64` is not a number anybody wrote on purpose.
fn parse_exponent(text: &str) -> Option<i64> {
    text.parse::<i64>()
        .ok()
        .filter(|exponent| exponent.abs() < 1_000_000_000_000)
}

/// Python compares anything with NaN by raising.
pub(super) fn is_nan(text: &str) -> bool {
    let text = text
        .trim()
        .trim_start_matches(['-', '+'])
        .to_ascii_lowercase();
    let rest = text
        .strip_prefix("snan")
        .or_else(|| text.strip_prefix("nan"));
    rest.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
}
