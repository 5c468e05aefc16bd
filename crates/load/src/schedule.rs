use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Arrival;

/// The intended starts of all requests, as offsets from the generator's start, without end.
///
/// Pure: the same arrival process, rate (requests per second, above 0) and seed give the same
/// times on every machine, because ChaCha8's output is specified.
#[must_use]
pub fn schedule(arrival: Arrival, rate: f64, seed: u64) -> Schedule {
    Schedule {
        arrival,
        rate,
        random: ChaCha8Rng::seed_from_u64(seed),
        count: 0,
        elapsed_s: 0.0,
    }
}

/// An endless iterator over intended starts; made by [`schedule`].
#[derive(Debug, Clone)]
pub struct Schedule {
    arrival: Arrival,
    rate: f64,
    random: ChaCha8Rng,
    count: u64,
    elapsed_s: f64,
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.elapsed_s = match self.arrival {
            // Multiplied rather than summed, so that rounding does not drift.
            Arrival::Constant => self.count as f64 / self.rate,
            Arrival::Poisson => self.elapsed_s + self.exponential_gap_s(),
        };
        self.count += 1;
        Some(Duration::try_from_secs_f64(self.elapsed_s).unwrap_or(Duration::MAX))
    }
}

impl Schedule {
    /// A gap by inversion: `-ln(u) / rate` with `u` in (0, 1].
    fn exponential_gap_s(&mut self) -> f64 {
        let bits = self.random.next_u64() >> 11;
        let unit = (bits + 1) as f64 / (1_u64 << 53) as f64;
        -unit.ln() / self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(arrival: Arrival, rate: f64, seed: u64, count: usize) -> Vec<Duration> {
        schedule(arrival, rate, seed).take(count).collect()
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced_and_do_not_drift() {
        let starts = starts(Arrival::Constant, 250.0, 1, 250_001);
        assert_eq!(starts[1], Duration::from_millis(4));
        assert_eq!(starts[250_000], Duration::from_secs(1000));
    }

    #[test]
    fn a_seed_repeats_its_poisson_schedule_and_another_seed_does_not() {
        let first = starts(Arrival::Poisson, 100.0, 7, 1000);
        assert_eq!(first, starts(Arrival::Poisson, 100.0, 7, 1000));
        assert_ne!(first, starts(Arrival::Poisson, 100.0, 8, 1000));
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_vary_as_a_poisson_process_does() {
        let starts = starts(Arrival::Poisson, 200.0, 3, 40_000);
        let seconds = starts.last().unwrap().as_secs_f64();
        let rate = 40_000.0 / seconds;
        assert!((rate - 200.0).abs() < 4.0, "rate {rate}");

        // Counts per second of a Poisson process have a variance equal to their mean.
        let mut counts = vec![0_f64; seconds as usize];
        for start in &starts {
            if let Some(count) = counts.get_mut(start.as_secs() as usize) {
                *count += 1.0;
            }
        }
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        let variance = counts
            .iter()
            .map(|count| (count - mean).powi(2))
            .sum::<f64>()
            / counts.len() as f64;
        assert!(
            (0.6..1.6).contains(&(variance / mean)),
            "{variance} / {mean}"
        );
    }

    #[test]
    fn intended_starts_never_go_back() {
        let starts = starts(Arrival::Poisson, 5000.0, 11, 10_000);
        assert!(starts.is_sorted());
    }
}
