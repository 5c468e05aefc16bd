//! How often something of a known probability happens, in all but very few of all runs.

/// The least and the most of `tries` that happen with this probability: fewer, and more, are each at
/// most as likely as half of `error`. Of the binomial distribution itself, without approximation.
pub(super) fn binomial(tries: usize, probability: f64, error: f64) -> (usize, usize) {
    let odds = probability / (1.0 - probability);
    let mode = (((tries + 1) as f64) * probability) as usize;
    // Relative to the likeliest, from which they fall off to both sides; what is too small for a
    // number is too small to count.
    let mut weights = vec![0.0; tries + 1];
    weights[mode.min(tries)] = 1.0;
    for k in mode.min(tries)..tries {
        weights[k + 1] = weights[k] * (tries - k) as f64 / (k + 1) as f64 * odds;
    }
    for k in (1..=mode.min(tries)).rev() {
        weights[k - 1] = weights[k] * k as f64 / (tries - k + 1) as f64 / odds;
    }
    let tail = weights.iter().sum::<f64>() * error / 2.0;
    let rare = |weights: &mut dyn Iterator<Item = &f64>| {
        let mut sum = 0.0;
        let few = weights.take_while(|weight| {
            sum += **weight;
            sum <= tail
        });
        few.count()
    };
    let least = rare(&mut weights.iter());
    let most = tries - rare(&mut weights.iter().rev());
    (least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_one_is_counted_by_hand() {
        // Of 1024 equally likely outcomes one has none, and eleven have at most one.
        assert_eq!(binomial(10, 0.5, 0.05), (2, 8));
        assert_eq!(binomial(10, 0.5, 2.01 / 1024.0), (1, 9));
        assert_eq!(binomial(10, 0.5, 1.99 / 1024.0), (0, 10));
    }

    /// Reference: `scipy.stats.binom`, `ppf` and `isf` at half of the error.
    #[test]
    fn large_ones_are_those_of_scipy() {
        let of = |probability| binomial(20_000, probability, 1e-6 / 3.0);
        assert_eq!(of(0.01), (132, 276));
        assert_eq!(of(0.1), (1_787, 2_220));
        assert_eq!(of(0.5), (9_639, 10_361));
    }
}
