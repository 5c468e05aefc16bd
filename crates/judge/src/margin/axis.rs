//! The line that magnitudes lie on, cut into cells of equal width in the scale's own terms.

use super::question::Scale;

/// Cells within one step of the resolution.
const CELLS_PER_RESOLUTION: f64 = 4.0;
/// Beyond this many cells a search would take longer to think than to try.
pub(super) const CELLS_MAX: f64 = 2_000.0;

/// Cell `j` lies between the magnitudes `j` and `j + 1`; trials are at magnitudes, break
/// points lie in cells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    scale: Scale,
    cells: usize,
    resolution: f64,
}

impl Axis {
    /// `None` when the resolution, or `cells_min`, asks for more than [`CELLS_MAX`] cells.
    pub(super) fn new(
        (low, high): (f64, f64),
        scale: Scale,
        resolution: f64,
        cells_min: f64,
    ) -> Option<Self> {
        let steps = match scale {
            Scale::Linear => (high - low) / resolution,
            Scale::Log => (high / low).ln() / resolution.ln_1p(),
        };
        let cells = (steps * CELLS_PER_RESOLUTION).ceil().max(cells_min);
        (cells <= CELLS_MAX).then_some(Self {
            low,
            high,
            scale,
            cells: cells as usize,
            resolution,
        })
    }

    pub(super) fn cells(&self) -> usize {
        self.cells
    }

    /// How many cells one step of the resolution is wide.
    pub(super) fn cells_per_resolution(&self) -> f64 {
        let steps = match self.scale {
            Scale::Linear => (self.high - self.low) / self.resolution,
            Scale::Log => (self.high / self.low).ln() / self.resolution.ln_1p(),
        };
        self.cells as f64 / steps
    }

    /// The ends are exact, and nothing lies beyond them.
    pub(super) fn magnitude(&self, at: usize) -> f64 {
        self.between(at as f64)
    }

    /// A place that need not be one of the magnitudes.
    pub(super) fn between(&self, place: f64) -> f64 {
        let share = place / self.cells as f64;
        let magnitude = match self.scale {
            _ if share <= 0.0 => self.low,
            _ if share >= 1.0 => self.high,
            Scale::Linear => self.low + (self.high - self.low) * share,
            Scale::Log => self.low * ((self.high / self.low).ln() * share).exp(),
        };
        magnitude.clamp(self.low, self.high)
    }

    /// Which magnitude of the axis this is; `None` if it is none of them.
    pub(super) fn place(&self, magnitude: f64) -> Option<usize> {
        let share = match self.scale {
            Scale::Linear => (magnitude - self.low) / (self.high - self.low),
            Scale::Log => (magnitude / self.low).ln() / (self.high / self.low).ln(),
        };
        let at = share * self.cells as f64;
        let is_one = (at - at.round()).abs() < 1e-6 && at.round() >= 0.0;
        let place = at.round() as usize;
        (is_one && place <= self.cells).then_some(place)
    }

    /// The highest magnitude of the axis that is not above this one; the lowest if none is.
    pub(super) fn at_most(&self, magnitude: f64) -> usize {
        let (mut yes, mut no) = (0, self.cells + 1);
        while no - yes > 1 {
            let middle = yes.midpoint(no);
            if self.magnitude(middle) <= magnitude {
                yes = middle;
            } else {
                no = middle;
            }
        }
        yes
    }

    pub(super) fn is_within_resolution(&self, from: f64, to: f64) -> bool {
        let step = match self.scale {
            Scale::Linear => to - from,
            Scale::Log => to / from - 1.0,
        };
        step <= self.resolution * (1.0 + 1e-9)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn magnitudes_rise_within_the_range_and_are_found_again(
            low in 1e-3_f64..1e3, times in 1.2_f64..1e4, is_log in any::<bool>(),
        ) {
            let scale = if is_log { Scale::Log } else { Scale::Linear };
            let resolution = if is_log { 0.05 } else { low * (times - 1.0) / 100.0 };
            let axis = Axis::new((low, low * times), scale, resolution, 8.0).unwrap();
            prop_assert_eq!(axis.magnitude(0), low);
            prop_assert_eq!(axis.magnitude(axis.cells()), low * times);
            for at in 0..=axis.cells() {
                let magnitude = axis.magnitude(at);
                prop_assert!(at == 0 || magnitude > axis.magnitude(at - 1));
                prop_assert_eq!(axis.place(magnitude), Some(at));
                prop_assert_eq!(axis.at_most(magnitude), at);
            }
        }
    }
}
