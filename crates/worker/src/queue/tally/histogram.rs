//! Times counted in buckets at most 1/64 wide.

/// Buckets per power of two.
const STEPS: u32 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts of nanoseconds; grows to the largest seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(super) fn record(&mut self, value: u64) {
        let at = bucket(value);
        if self.buckets.len() <= at {
            self.buckets.resize(at + 1, 0);
        }
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.count += 1;
    }

    /// The least value of the bucket in which the quantile (0 to 1) lies.
    pub(super) fn quantile(&self, quantile: f64) -> Option<u64> {
        let rank = (self.count as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return Some(least(at));
            }
        }
        None
    }
}

fn bucket(value: u64) -> usize {
    let exponent = value.max(1).ilog2().saturating_sub(STEP_BITS);
    let at = u64::from(exponent * STEPS) + (value >> exponent);
    usize::try_from(at).unwrap_or(usize::MAX)
}

fn least(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let steps = u64::from(STEPS);
    if bucket < 2 * steps {
        return bucket;
    }
    let exponent = bucket / steps - 1;
    (bucket - exponent * steps) << exponent
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_quantile_of_a_ramp_is_where_it_should_be() {
        let mut histogram = Histogram::default();
        for value in 1..=100_000 {
            histogram.record(value);
        }
        let p99 = histogram.quantile(0.99).unwrap();
        assert!((97_400..=99_000).contains(&p99), "{p99}");
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn a_bucket_begins_at_most_a_64th_below_its_values(value in 0_u64..1 << 50) {
            let least = least(bucket(value));
            prop_assert!(least <= value);
            prop_assert!(value - least <= value / 64);
        }
    }
}
