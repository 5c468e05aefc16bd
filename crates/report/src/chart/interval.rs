//! A dot and a whisker, small enough for a table's cell.

use firedrill_experiment::journal::Estimate;
use maud::Markup;

use crate::svg::{Scale, Svg};
use crate::words;

const WIDTH: f64 = 96.0;
const HEIGHT: f64 = 14.0;

/// One estimate between its bounds, on a scale from `floor` to 1 that a whole column shares.
pub(crate) fn interval(estimate: &Estimate, floor: f64) -> Markup {
    let label = format!(
        "{}, between {} and {}",
        words::percent(estimate.value),
        words::percent_down(estimate.low),
        words::percent_up(estimate.high)
    );
    let mut svg = Svg::new(WIDTH, HEIGHT, &label);
    let x = Scale::linear(floor, 1.0, 4.0, WIDTH - 4.0);
    let middle = HEIGHT / 2.0;
    svg.line(4.0, middle, WIDTH - 4.0, middle, "grid");
    svg.line(
        x.at(estimate.low),
        middle,
        x.at(estimate.high),
        middle,
        "whisker",
    );
    svg.circle(x.at(estimate.value), middle, 3.2, "dot");
    svg.finish()
}
