//! Where the break point is believed to be, and which trials say so, as lines of text.

use std::fmt::Write as _;

use firedrill_experiment::units::Unit;
use firedrill_judge::margin::{Entry, Margin, Verdict};

use crate::output::{BAD, CAUTION, DIM, GOOD};

const COLUMNS: usize = 60;
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Two rows over the range: the belief, and a mark for each trial.
pub(super) fn draw(search: &Margin, unit: &Unit) -> String {
    let plotted = search.plotted();
    let (Some(first), Some(last)) = (plotted.cells.first(), plotted.cells.last()) else {
        return String::new();
    };
    let (lowest, largest) = (first.0, last.1);
    let cells = plotted.cells.len();
    let column = |cell: usize| (cell * COLUMNS / cells).min(COLUMNS - 1);
    let mut weights = [0.0_f64; COLUMNS];
    for (cell, (_, _, weight)) in plotted.cells.iter().enumerate() {
        weights[column(cell)] += weight;
    }
    let most = weights
        .iter()
        .copied()
        .fold(0.0, f64::max)
        .max(f64::MIN_POSITIVE);
    let belief: String = weights
        .iter()
        .map(|weight| {
            let level = (weight / most * 8.0).round().clamp(0.0, 8.0);
            LEVELS[level as usize]
        })
        .collect();
    // The last trial at a place is the one that is seen.
    let mut marks = [None; COLUMNS];
    for entry in search.journal() {
        if let Entry::Trial(trial) = entry {
            let cell = plotted
                .cells
                .iter()
                .position(|cell| trial.magnitude < cell.1);
            marks[column(cell.unwrap_or(cells - 1))] = Some(trial.verdict);
        }
    }
    let mut text = String::new();
    let _ = writeln!(text, "\n  {DIM}where it breaks, as far as is known{DIM:#}");
    let _ = writeln!(text, "  │{belief}│");
    text.push_str("  │");
    for mark in marks {
        match mark {
            Some(Verdict::Hold) => _ = write!(text, "{GOOD}o{GOOD:#}"),
            Some(Verdict::Break) => _ = write!(text, "{BAD}x{BAD:#}"),
            Some(Verdict::NotYet) => _ = write!(text, "{CAUTION}?{CAUTION:#}"),
            None => text.push(' '),
        }
    }
    let (from, to) = (unit.show(lowest), unit.show(largest));
    let space = (COLUMNS + 2).saturating_sub(from.chars().count() + to.chars().count());
    let _ = writeln!(text, "│\n  {from}{}{to}", " ".repeat(space));
    let _ = writeln!(
        text,
        "  {DIM}trials: o borne, x not borne, ? not clear{DIM:#}\n"
    );
    text
}
