//! What is believed before the first trial. The figures are chosen by simulation, so that the
//! interval keeps its word on sharp, gradual, noisy and drifting systems
//! (`cargo xtask bench margin`).

use super::axis::Axis;
use super::belief::Prior;
use super::question::Aim;

/// The chance of an outcome that has nothing to do with the magnitude: a false verdict, or an
/// incident of its own. It makes the search try a boundary more than once.
const LAPSE: f64 = 0.005;
/// How much the crossing differs between trials, from "not at all" to a quarter of the axis.
const SPREADS: i32 = 6;
/// Each spread is so much less likely than the one before: many systems break sharply.
const SPREAD_FALL: f64 = 0.85;
/// Drift per trial as a share of the resolution, with its probability.
const DRIFTS: [(f64, f64); 3] = [(0.0, 0.88), (0.1, 0.1), (0.25, 0.02)];
/// That the system already breaks at the lowest magnitude.
const BELOW: f64 = 0.02;

pub(super) fn from_below(aim: &Aim, axis: &Axis) -> Prior {
    // Whoever asks for a certificate believes in it as much as not.
    let beyond = match aim {
        Aim::Certify { .. } => 0.5,
        Aim::Search { .. } => 0.1,
    };
    let cells = axis.cells();
    let each = (1.0 - BELOW - beyond) / cells as f64;
    prior(vec![each; cells], BELOW, beyond, axis)
}

/// Half on "as from below", which lies between these magnitudes, half on anything lower.
pub(super) fn from_above(low: usize, high: usize, axis: &Axis) -> Prior {
    let same = 0.5 / (high - low).max(1) as f64;
    let lower = 0.5 / (low + 1) as f64;
    let of_cell = |cell: usize| match cell {
        cell if cell < low => lower,
        cell if cell < high => same,
        _ => 0.0,
    };
    let cells = (0..axis.cells()).map(of_cell).collect();
    prior(cells, lower, 0.0, axis)
}

fn prior(cells: Vec<f64>, below: f64, beyond: f64, axis: &Axis) -> Prior {
    let step = axis.cells_per_resolution();
    let sharpest = step / 8.0;
    let widest = (axis.cells() as f64 / 4.0).max(step);
    let growth = (widest / sharpest).powf(1.0 / f64::from(SPREADS - 1));
    let spread = |i: i32| (sharpest * growth.powi(i), SPREAD_FALL.powi(i));
    Prior {
        cells,
        below,
        beyond,
        spreads: (0..SPREADS).map(spread).collect(),
        drifts: DRIFTS.map(|(share, p)| (share * step, p)).to_vec(),
        lapse: LAPSE,
    }
}
