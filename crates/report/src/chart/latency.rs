//! How latencies are distributed, phase by phase: cumulative share over a log time axis.
//!
//! The share is drawn by nines (0, 90, 99, 99.9 %), because the tail is what users feel.

use std::collections::BTreeMap;

use firedrill_experiment::journal::{KpiRecord, Phase};
use maud::{Markup, html};

use crate::svg::{Anchor, Path, Scale, Svg, around};
use crate::words;

const WIDTH: f64 = 680.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = HEIGHT - 44.0;
/// Where the share axis ends: 99.95 %.
const TOP_NINES: f64 = 3.3;
/// Most cells drawn per phase.
const CELLS_MAX: usize = 2_000;

/// In the order of a drill.
const LEGEND: [Phase; 4] = [
    Phase::Baseline,
    Phase::Transition,
    Phase::Fault,
    Phase::Recovery,
];

/// Upper bounds in milliseconds with the share of requests up to each, by phase.
type Curves = BTreeMap<Phase, Vec<(f64, f64)>>;

/// `None` where no phase has an answer.
pub(crate) fn latency(kpi: &KpiRecord) -> Option<Markup> {
    let curves = cumulated(&kpi.latency);
    let (low, high) = extent(&curves)?;
    let x = Scale::log(low, high, LEFT, RIGHT);
    let y = Scale::linear(0.0, TOP_NINES, BOTTOM, TOP);
    let mut svg = Svg::new(
        WIDTH,
        HEIGHT,
        &format!("Distribution of the latency of {} by phase", kpi.name),
    );
    share_axis(&mut svg, &y);
    time_axis(&mut svg, &x);
    for (phase, curve) in &curves {
        let class = format!("line dist {}", words::phase(*phase));
        svg.path(&line_of(curve, &x, &y), &class);
    }
    Some(html! {
        figure {
            div.legend {
                @for phase in LEGEND.into_iter().filter(|p| curves.contains_key(p)) {
                    span { i class=(format!("swatch {}", words::phase(phase))) {} (words::phase(phase)) }
                }
            }
            div.wide { (svg.finish()) }
        }
    })
}

/// The times the axis shows: all there are, and some room.
fn extent(curves: &Curves) -> Option<(f64, f64)> {
    let times = || {
        curves
            .values()
            .flatten()
            .map(|(ms, _)| *ms)
            .filter(|ms| *ms > 0.0)
    };
    let (low, high) = (
        times().fold(f64::INFINITY, f64::min),
        times().fold(0.0, f64::max),
    );
    (high > 0.0).then(|| around(low, high))
}

fn share_axis(svg: &mut Svg, y: &Scale) {
    for (share, text) in [
        (0.0, "0 %"),
        (0.5, "50 %"),
        (0.9, "90 %"),
        (0.99, "99 %"),
        (0.999, "99.9 %"),
    ] {
        let level = y.at(nines(share));
        svg.line(LEFT, level, RIGHT, level, "grid");
        svg.text(LEFT - 8.0, level + 4.0, Anchor::End, "tick", text);
    }
}

fn time_axis(svg: &mut Svg, x: &Scale) {
    for ms in x.ticks(9) {
        svg.line(x.at(ms), TOP, x.at(ms), BOTTOM + 5.0, "grid");
        svg.text(
            x.at(ms),
            BOTTOM + 19.0,
            Anchor::Middle,
            "tick",
            &words::millis(ms),
        );
    }
    svg.line(LEFT, BOTTOM, RIGHT, BOTTOM, "axis");
    svg.text(
        LEFT,
        HEIGHT - 6.0,
        Anchor::Start,
        "unit",
        "answered within this time (log scale); share of requests by nines",
    );
}

/// One phase's line, from the bottom until it leaves the chart at the top.
fn line_of(curve: &[(f64, f64)], x: &Scale, y: &Scale) -> Path {
    let mut path = Path::default();
    for (i, (ms, share)) in curve.iter().enumerate() {
        if i == 0 {
            path.to(x.at(*ms), y.at(0.0));
        }
        path.to(x.at(*ms), y.at(nines(*share)));
        if nines(*share) >= TOP_NINES {
            break;
        }
    }
    path
}

/// 0.9 is one nine, 0.99 two.
fn nines(share: f64) -> f64 {
    -(1.0 - share).max(1e-12).log10()
}

/// Phases without answers are left out.
fn cumulated(latency: &BTreeMap<Phase, Vec<(f64, u64)>>) -> Curves {
    let mut out = BTreeMap::new();
    for (phase, cells) in latency {
        let mut cells: Vec<(f64, u64)> = cells
            .iter()
            .filter(|(ms, n)| ms.is_finite() && *ms > 0.0 && *n > 0)
            .copied()
            .collect();
        cells.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all = cells.iter().map(|c| c.1 as f64).sum::<f64>();
        let step = cells.len().div_ceil(CELLS_MAX).max(1);
        let mut seen = 0.0;
        let mut curve = Vec::new();
        for chunk in cells.chunks(step) {
            seen += chunk.iter().map(|c| c.1 as f64).sum::<f64>();
            if let Some((ms, _)) = chunk.last() {
                curve.push((*ms, seen / all));
            }
        }
        if !curve.is_empty() {
            out.insert(*phase, curve);
        }
    }
    out
}
