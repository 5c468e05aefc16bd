//! One KPI: requests per second, success ratio, latency; one panel below the other.

use firedrill_experiment::journal::{KpiRecord, Point};

use super::{Frame, GUTTER, RIGHT};
use crate::svg::{Anchor, Path, Scale, Svg, around};
use crate::words;

const RATE: f64 = 112.0;
const RATIO: f64 = 64.0;
const LATENCY: f64 = 104.0;
const GAP: f64 = 26.0;
const HEAD: f64 = 46.0;
pub(super) const HEIGHT: f64 = HEAD + RATE + GAP + RATIO + GAP + LATENCY + GAP;
/// Windows drawn at most; more are joined.
const POINTS_MAX: usize = 280;

type Count = fn(&Point) -> u64;
/// Milliseconds, where there were answers.
type Quantile = fn(&Point) -> Option<f64>;

pub(super) fn draw(svg: &mut Svg, frame: &Frame, kpi: &KpiRecord, expectation: &str, top: f64) {
    svg.line(0.0, top + 8.0, RIGHT, top + 8.0, "axis");
    svg.label(0.0, top + 28.0, 24, "kpi", &kpi.name);
    svg.label(GUTTER, top + 28.0, 130, "row", &kpi.source);
    let series = thinned(&kpi.series);
    let mut y = top + HEAD;
    rate(svg, frame, &series, y);
    y += RATE + GAP;
    ratio(svg, frame, &series, expectation == "degrade", y);
    y += RATIO + GAP;
    latency(svg, frame, &series, y);
}

/// Joins neighbours until few enough are left: counts add up, quantiles keep the worst.
fn thinned(series: &[Point]) -> Vec<Point> {
    let sound = |p: &&Point| p.at.is_finite() && p.length.is_finite() && p.length > 0.0;
    let mut points: Vec<Point> = series.iter().filter(sound).copied().collect();
    points.sort_by(|a, b| a.at.total_cmp(&b.at));
    let group = points.len().div_ceil(POINTS_MAX).max(1);
    points.chunks(group).filter_map(joined).collect()
}

fn joined(points: &[Point]) -> Option<Point> {
    let (first, last) = (points.first()?, points.last()?);
    let sum = |of: fn(&Point) -> u64| points.iter().map(of).fold(0, u64::saturating_add);
    let worst = |of: fn(&Point) -> Option<f64>| {
        points
            .iter()
            .filter_map(of)
            .filter(|v| v.is_finite())
            .reduce(f64::max)
    };
    Some(Point {
        at: first.at,
        length: last.at + last.length - first.at,
        good: sum(|p| p.good),
        degraded: sum(|p| p.degraded),
        bad: sum(|p| p.bad),
        p50: worst(|p| p.p50),
        p99: worst(|p| p.p99),
    })
}

fn requests(p: &Point) -> u64 {
    p.good.saturating_add(p.degraded).saturating_add(p.bad)
}

fn rate(svg: &mut Svg, frame: &Frame, series: &[Point], top: f64) {
    let per_second = |n: u64, p: &Point| n as f64 / p.length;
    let most = series
        .iter()
        .map(|p| per_second(requests(p), p))
        .fold(0.0, f64::max);
    let y = Scale::linear(
        0.0,
        if most > 0.0 { most * 1.06 } else { 1.0 },
        top + RATE,
        top,
    );
    panel(
        svg,
        "Requests per second",
        top,
        &[("good", "good"), ("degraded", "degraded"), ("bad", "bad")],
    );
    axis(svg, &y, 4, words::significant);
    let layers: [(&str, Count, Count); 3] = [
        ("area good", |_| 0, |p| p.good),
        (
            "area degraded",
            |p| p.good,
            |p| p.good.saturating_add(p.degraded),
        ),
        ("area bad", |p| p.good.saturating_add(p.degraded), requests),
    ];
    for (class, low, high) in layers {
        let mut path = Path::default();
        for run in unbroken(series).filter(|run| run.iter().any(|p| high(p) > low(p))) {
            for p in run {
                let level = y.at(per_second(high(p), p));
                path.to(frame.at(p.at), level);
                path.to(frame.at(p.at + p.length), level);
            }
            for p in run.iter().rev() {
                let level = y.at(per_second(low(p), p));
                path.to(frame.at(p.at + p.length), level);
                path.to(frame.at(p.at), level);
            }
            path.close();
        }
        svg.path(&path, class);
    }
    for p in series {
        let (from, to) = (frame.at(p.at), frame.at(p.at + p.length));
        let tip = format!(
            "{}: {} good, {} degraded, {} bad in {}",
            words::seconds(p.at),
            words::count(p.good),
            words::count(p.degraded),
            words::count(p.bad),
            words::seconds(p.length)
        );
        svg.rect(from, top, to - from, RATE, "hover", &tip);
    }
}

/// Runs of windows without a gap between them.
fn unbroken(series: &[Point]) -> impl Iterator<Item = &[Point]> {
    series.chunk_by(|a, b| b.at <= a.at + a.length * 1.5)
}

fn ratio(svg: &mut Svg, frame: &Frame, series: &[Point], degraded_is_good: bool, top: f64) {
    let share = |p: &Point| {
        let good = if degraded_is_good {
            p.good.saturating_add(p.degraded)
        } else {
            p.good
        };
        (requests(p) > 0).then(|| good as f64 / requests(p) as f64)
    };
    let least = series.iter().filter_map(share).fold(1.0, f64::min);
    let floor = [0.999, 0.99, 0.95, 0.9, 0.8, 0.5]
        .into_iter()
        .find(|f| *f <= least)
        .unwrap_or(0.0);
    let y = Scale::linear(floor, 1.0, top + RATIO, top);
    let name = if degraded_is_good {
        "Success ratio, degraded counts"
    } else {
        "Success ratio"
    };
    panel(svg, name, top, &[]);
    for at in [floor, f64::midpoint(floor, 1.0), 1.0] {
        tick(svg, &y, at, &words::percent(at));
    }
    let path = steps(frame, &y, series, share);
    svg.path(&path, "line ratio");
}

fn latency(svg: &mut Svg, frame: &Frame, series: &[Point], top: f64) {
    panel(
        svg,
        "Latency, log scale",
        top,
        &[("p50", "p50"), ("p99", "p99")],
    );
    let values = || {
        series
            .iter()
            .flat_map(|p| [p.p50, p.p99])
            .flatten()
            .filter(|v| v.is_finite() && *v > 0.0)
    };
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(0.0, f64::max),
    );
    if high <= 0.0 {
        svg.text(
            GUTTER + 8.0,
            top + LATENCY / 2.0,
            Anchor::Start,
            "note",
            "no answers",
        );
        return;
    }
    let (low, high) = around(low, high);
    let y = Scale::log(low, high, top + LATENCY, top);
    axis(svg, &y, 6, words::millis);
    let lines: [(&str, Quantile); 2] = [("line p99", |p| p.p99), ("line p50", |p| p.p50)];
    for (class, of) in lines {
        let path = steps(frame, &y, series, |p| of(p).filter(|v| v.is_finite()));
        svg.path(&path, class);
    }
}

/// A line of steps, broken where a window is missing or has no value.
fn steps(frame: &Frame, y: &Scale, series: &[Point], of: impl Fn(&Point) -> Option<f64>) -> Path {
    let mut path = Path::default();
    let mut reached = f64::NEG_INFINITY;
    for (p, value) in series.iter().filter_map(|p| of(p).map(|value| (p, value))) {
        let (x, level) = (frame.at(p.at), y.at(value));
        if p.at > reached + p.length / 2.0 {
            path.jump(x, level);
        } else {
            path.to(x, level);
        }
        reached = p.at + p.length;
        path.to(frame.at(reached), level);
    }
    path
}

/// The name of a panel and its legend, in the gutter.
fn panel(svg: &mut Svg, name: &str, top: f64, legend: &[(&str, &str)]) {
    svg.text(0.0, top + 10.0, Anchor::Start, "panel", name);
    for (i, (class, text)) in legend.iter().enumerate() {
        let y = top + 20.0 + 18.0 * i as f64;
        svg.rect(0.0, y, 10.0, 10.0, &format!("key {class}"), "");
        svg.text(16.0, y + 9.0, Anchor::Start, "row", text);
    }
}

fn axis(svg: &mut Svg, y: &Scale, about: usize, text: impl Fn(f64) -> String) {
    for at in y.ticks(about) {
        tick(svg, y, at, &text(at));
    }
}

fn tick(svg: &mut Svg, y: &Scale, at: f64, text: &str) {
    let level = y.at(at);
    svg.line(GUTTER, level, RIGHT, level, "grid");
    svg.text(GUTTER - 7.0, level + 4.0, Anchor::End, "tick", text);
}
