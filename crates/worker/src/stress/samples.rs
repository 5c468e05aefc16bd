//! A figure sampled once a second, shared with the thread that answers the guardian.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::measurement::{Measurement, Quantity};

/// An hour of seconds: a longer fault is described by its last hour.
const KEPT: usize = 3600;

#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Arc<Mutex<VecDeque<f64>>>);

impl Samples {
    pub(super) fn push(&self, sample: f64) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    pub(super) fn last(&self) -> Option<f64> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.back().copied()
    }

    /// Empty below two samples.
    pub(super) fn mean(&self, quantity: Quantity, requested: Option<f64>) -> Vec<Measurement> {
        let samples: Vec<f64> = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .copied()
            .collect();
        Measurement::mean(quantity, requested, &samples)
            .into_iter()
            .collect()
    }
}
