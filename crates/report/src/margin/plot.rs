//! A search, drawn: where it breaks as far as is known, above the trials in their order.

use firedrill_experiment::journal::margin::{Record, TrialReport};
use firedrill_experiment::units::Unit;
use firedrill_judge::margin::{NormalIs, Plotted, Scale as Spaced, Verdict};
use maud::{Markup, html};

use crate::svg::{Anchor, Path, Scale, Svg};

const WIDTH: f64 = 1120.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = WIDTH - 24.0;
/// Room for the names of the lines.
const TOP: f64 = 40.0;
/// Where the belief stands.
const GROUND: f64 = 190.0;
/// The first trial's line.
const TRIALS: f64 = 222.0;
const TRIALS_HEIGHT_MAX: f64 = 420.0;

/// Nothing before there was a question.
pub(super) fn plot(of: &Record) -> Option<Markup> {
    let plotted = of
        .plotted
        .as_ref()
        .filter(|plotted| !plotted.cells.is_empty())?;
    let question = of.question.as_ref()?;
    let (first, last) = (plotted.cells.first()?.0, plotted.cells.last()?.1);
    let x = match question.scale {
        Spaced::Log => Scale::log(first, last, LEFT, RIGHT),
        Spaced::Linear => Scale::linear(first, last, LEFT, RIGHT),
    };
    let step = (TRIALS_HEIGHT_MAX / of.trials.len().max(1) as f64).min(17.0);
    let bottom = TRIALS + step * of.trials.len() as f64 + 4.0;
    let label = format!(
        "Belief about the break point of {}, with {} trials",
        of.context.argument,
        of.trials.len()
    );
    let mut svg = Svg::new(WIDTH, bottom + 42.0, &label);
    interval(of, &x, bottom, &mut svg);
    axis(&of.context.unit, &x, bottom, &mut svg);
    belief(plotted, &x, &mut svg);
    normal(of, (first, last), &x, bottom, &mut svg);
    for (at, trial) in of.trials.iter().enumerate() {
        mark(
            trial,
            &of.context.unit,
            x,
            TRIALS + step * (at as f64 + 0.5),
            step,
            &mut svg,
        );
    }
    svg.text(LEFT - 12.0, GROUND - 4.0, Anchor::End, "tick", "belief");
    if !of.trials.is_empty() {
        svg.text(
            LEFT - 12.0,
            TRIALS + step * 0.5 + 4.0,
            Anchor::End,
            "tick",
            "trial 1",
        );
    }
    if let [_, .., _] = of.trials.as_slice() {
        let text = of.trials.len().to_string();
        svg.text(LEFT - 12.0, bottom - step * 0.5, Anchor::End, "tick", &text);
    }
    let unit = format!("{} of `{}`", of.context.argument, of.context.activity);
    svg.text(LEFT, bottom + 38.0, Anchor::Start, "unit", &unit);
    Some(html! {
        div.wide { (svg.finish()) }
        p.legend {
            span { i.swatch.good {} "borne" }
            span { i.swatch.bad {} "not borne" }
            span { i.swatch.doubt {} "not clear" }
            span { i.swatch.belief {} "where it breaks, as far as is known" }
            span { i.swatch.shade {} "interval of the break point" }
        }
    })
}

fn axis(unit: &Unit, x: &Scale, bottom: f64, svg: &mut Svg) {
    for value in x.ticks(9) {
        svg.line(x.at(value), TOP, x.at(value), bottom + 5.0, "grid");
        let text = unit.show(value);
        svg.text(x.at(value), bottom + 19.0, Anchor::Middle, "tick", &text);
    }
    svg.line(LEFT, GROUND, RIGHT, GROUND, "axis");
    svg.line(LEFT, bottom, RIGHT, bottom, "axis");
}

/// By density on the axis as it is drawn: wider cells are lower.
fn belief(plotted: &Plotted, x: &Scale, svg: &mut Svg) {
    let density = |cell: &(f64, f64, f64)| cell.2 / (x.at(cell.1) - x.at(cell.0)).max(0.1);
    let most = plotted
        .cells
        .iter()
        .map(density)
        .fold(f64::MIN_POSITIVE, f64::max);
    let y = Scale::linear(0.0, most, GROUND, TOP + 14.0);
    let mut path = Path::default();
    path.to(LEFT, GROUND);
    for cell in &plotted.cells {
        let height = y.at(density(cell));
        path.to(x.at(cell.0), height);
        path.to(x.at(cell.1), height);
    }
    path.to(RIGHT, GROUND);
    path.close();
    svg.path(&path, "belief");
}

/// The break point and its ends; an end that is open is the end of what may be tried.
fn interval(of: &Record, x: &Scale, bottom: f64, svg: &mut Svg) {
    let Some(found) = of.answer.as_ref().map(|answer| answer.break_point) else {
        return;
    };
    if found.low.is_none() && found.high.is_none() {
        return;
    }
    let from = found.low.map_or(LEFT, |low| x.at(low));
    let to = found.high.map_or(RIGHT, |high| x.at(high));
    svg.rect(from, TOP, to - from, bottom - TOP, "shade", "");
    for end in [found.low, found.high].into_iter().flatten() {
        svg.line(x.at(end), TOP, x.at(end), bottom, "shade-edge");
    }
    if let Some(value) = found.value {
        svg.line(x.at(value), TOP - 8.0, x.at(value), bottom, "break");
        let text = format!("breaks at {}", of.context.unit.show(value));
        let (anchor, at) = beside(x.at(value));
        svg.text(at, TOP - 12.0, anchor, "row", &text);
    }
}

/// What replaces it has its place on the axis; what is added has none, unless it falls within.
fn normal(of: &Record, ends: (f64, f64), x: &Scale, bottom: f64, svg: &mut Svg) {
    let Some(normal) = of.question.as_ref().and_then(|question| question.normal) else {
        return;
    };
    let shown = of.context.unit.show(normal.value);
    let text = match normal.is {
        NormalIs::AddedTo => format!("as much as is normal today: {shown}"),
        NormalIs::Replaced => format!("normal today: {shown}"),
    };
    if normal.value < ends.0 || normal.value > ends.1 {
        return;
    }
    let at = x.at(normal.value);
    svg.line(at, TOP, at, bottom, "limit");
    let (anchor, beside) = beside(at);
    svg.text(beside, TOP + 4.0, anchor, "note", &text);
}

fn beside(at: f64) -> (Anchor, f64) {
    match at > WIDTH * 0.7 {
        true => (Anchor::End, at - 6.0),
        false => (Anchor::Start, at + 6.0),
    }
}

fn mark(trial: &TrialReport, unit: &Unit, x: Scale, y: f64, step: f64, svg: &mut Svg) {
    let class = match trial.trial.verdict {
        Verdict::Hold => "mark-good",
        Verdict::Break => "mark-bad",
        Verdict::NotYet => "mark-doubt",
    };
    let at = x.at(trial.trial.magnitude);
    let radius = (step * 0.36).clamp(1.5, 5.0);
    svg.line(LEFT, y, at, y, "stem");
    // A shape of its own beside the colour.
    match trial.trial.verdict {
        Verdict::Hold => svg.circle(at, y, radius, class),
        Verdict::Break => {
            svg.line(at - radius, y - radius, at + radius, y + radius, class);
            svg.line(at - radius, y + radius, at + radius, y - radius, class);
        }
        Verdict::NotYet => svg.circle(at, y, radius - 0.5, class),
    }
    let tip = format!(
        "trial {}: {}, {}, {} of {} requests bad",
        trial.number,
        unit.show(trial.trial.magnitude),
        super::text::verdict(trial),
        trial.trial.bad,
        trial.trial.bad + trial.trial.good.unwrap_or(0),
    );
    svg.rect(LEFT, y - step / 2.0, RIGHT - LEFT, step, "hover", &tip);
}
