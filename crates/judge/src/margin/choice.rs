//! Which magnitude to try: among those that are safe enough, the one that teaches most.

use super::belief::Belief;

/// How many magnitudes are compared closely; on a finer axis, the best of a coarse pass is
/// refined.
const COMPARED_MAX: usize = 200;

/// For a certificate: the highest magnitude that breaks the system with a chance of at most
/// `risk_max`, if there is one.
pub(super) fn ascent(belief: &Belief, risk_max: f64, highest: usize) -> Option<usize> {
    // The chance rises with the magnitude, so the safe ones come first.
    let (mut safe, mut end) = (0, highest + 1);
    while safe < end {
        let middle = usize::midpoint(safe, end);
        if belief.risk(middle) <= risk_max {
            safe = middle + 1;
        } else {
            end = middle;
        }
    }
    safe.checked_sub(1)
}

/// For a search: the most information for its price, up to `limit`. A trial that breaks the
/// system is priced at two that do not: it costs bad requests and a recovery.
pub(super) fn search(belief: &Belief, limit: usize) -> usize {
    let worth = |at: usize| belief.gain(at) / (1.0 + belief.risk(at));
    let stride = limit / COMPARED_MAX + 1;
    let coarse = best((0..=limit).rev().step_by(stride), worth);
    if stride == 1 {
        return coarse;
    }
    let near = coarse.saturating_sub(stride)..=(coarse + stride).min(limit);
    best(near.rev(), worth)
}

/// The lowest of the best. Given from the highest.
fn best(places: impl Iterator<Item = usize>, worth: impl Fn(usize) -> f64) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for at in places {
        let worth = worth(at);
        if worth >= best.1 {
            best = (at, worth);
        }
    }
    best.0
}
