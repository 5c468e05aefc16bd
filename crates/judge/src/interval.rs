//! Intervals, and what is left of them over time.

/// From `low` to `high`, both included; either may be infinite, none is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    low: f64,
    high: f64,
}

/// The intersection of the intervals of a confidence sequence.
///
/// A confidence sequence holds at all times together, so whatever was excluded once stays
/// excluded. That nothing is left has at most the probability of its error rate while the
/// assumptions hold: it mostly says that they do not, a rate that changed for instance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Narrowed {
    To(Interval),
    Contradiction,
}

impl Interval {
    pub const EVERYTHING: Self = Self {
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
    };

    /// In the order of size; NaN counts as unknown, and leaves its end open.
    #[must_use]
    pub fn new(low: f64, high: f64) -> Self {
        let low = if low.is_nan() { f64::NEG_INFINITY } else { low };
        let high = if high.is_nan() { f64::INFINITY } else { high };
        Self {
            low: low.min(high),
            high: high.max(low),
        }
    }

    #[must_use]
    pub fn low(&self) -> f64 {
        self.low
    }

    #[must_use]
    pub fn high(&self) -> f64 {
        self.high
    }

    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// What lies in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Narrowed {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        if low <= high {
            Narrowed::To(Self { low, high })
        } else {
            Narrowed::Contradiction
        }
    }

    pub(crate) fn map(&self, grows: impl Fn(f64) -> f64) -> Self {
        Self::new(grows(self.low), grows(self.high))
    }
}

impl Narrowed {
    #[must_use]
    pub fn everything() -> Self {
        Self::To(Interval::EVERYTHING)
    }

    /// Takes the interval of the next look.
    pub fn narrow(&mut self, next: &Interval) {
        if let Self::To(left) = self {
            *self = left.and(next);
        }
    }

    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        matches!(self, Self::To(interval) if interval.contains(value))
    }
}

/// Where an increasing function of `inside..outside` first exceeds `bar`, from outside: the
/// answer never lies inside of the true crossing. `outside` where it never exceeds it.
pub(crate) fn crossing(inside: f64, outside: f64, exceeds: impl Fn(f64) -> bool) -> f64 {
    let (mut inside, mut outside) = (inside, outside);
    if !exceeds(outside) {
        return outside;
    }
    for _ in 0..90 {
        let middle = f64::midpoint(inside, outside);
        if middle == inside || middle == outside {
            break;
        }
        if exceeds(middle) {
            outside = middle;
        } else {
            inside = middle;
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_excluded_once_stays_excluded() {
        let mut left = Narrowed::everything();
        left.narrow(&Interval::new(0.0, 2.0));
        left.narrow(&Interval::new(1.0, 3.0));
        assert_eq!(left, Narrowed::To(Interval::new(1.0, 2.0)));
        left.narrow(&Interval::new(5.0, 6.0));
        left.narrow(&Interval::EVERYTHING);
        assert_eq!(left, Narrowed::Contradiction);
        assert!(!left.contains(1.5));
    }

    #[test]
    fn a_crossing_is_met_from_outside() {
        let found = crossing(0.0, 10.0, |x| x * x > 2.0);
        assert!(found * found > 2.0 && found - 2_f64.sqrt() < 1e-12);
        assert_eq!(crossing(0.0, -7.0, |_| false), -7.0);
    }

    proptest! {
        #[test]
        fn an_interval_is_never_empty_and_never_nan(
            low in prop::num::f64::ANY, high in prop::num::f64::ANY,
        ) {
            let interval = Interval::new(low, high);
            prop_assert!(interval.low() <= interval.high());
        }
    }
}
