//! The figures: everything of one drill over one common time axis, and latencies by phase.

mod interval;
mod latency;
mod panels;
mod timeline;

use firedrill_experiment::journal::{Drill, Journal};
use maud::Markup;

pub(crate) use interval::interval;
pub(crate) use latency::latency;

use crate::svg::{Anchor, Scale, Svg};
use crate::{times, words};

const WIDTH: f64 = 1120.0;
/// Names, units and legends stand left of this.
const GUTTER: f64 = 232.0;
const RIGHT: f64 = WIDTH - 14.0;
/// Seconds from which the axis counts in minutes, and in hours.
const MINUTES: f64 = 180.0;
const HOURS: f64 = 7200.0;

/// The frame that all rows and panels share.
#[derive(Debug)]
struct Frame {
    x: Scale,
    /// Seconds.
    end: f64,
}

impl Frame {
    fn at(&self, seconds: f64) -> f64 {
        self.x.at(seconds)
    }
}

/// Phases, faults, activities and every KPI, one below the other, on one time axis.
pub(crate) fn over_time(journal: &Journal) -> Markup {
    let drill = journal.firedrill.as_ref();
    let end = end(journal);
    let frame = Frame {
        x: Scale::linear(0.0, end, GUTTER, RIGHT),
        end,
    };
    let rows = timeline::rows(journal);
    let kpis = drill.map_or(&[][..], |d| &d.kpis);
    let tops = timeline::height(&rows);
    let height = tops + panels::HEIGHT * kpis.len() as f64 + 44.0;
    let title = format!("What happened over {}", words::seconds(end));
    let mut svg = Svg::new(WIDTH, height, &title);
    let bottom = height - 40.0;
    grid(&mut svg, &frame, bottom);
    if let Some(drill) = drill {
        shade(&mut svg, &frame, drill, bottom);
    }
    if let Some(drill) = drill {
        recovery(&mut svg, &frame, drill, bottom);
    }
    timeline::draw(&mut svg, &frame, &rows);
    for (i, kpi) in kpis.iter().enumerate() {
        let expectation = drill.map_or("", |d| &d.expectation);
        panels::draw(
            &mut svg,
            &frame,
            kpi,
            expectation,
            tops + panels::HEIGHT * i as f64,
        );
    }
    svg.finish()
}

/// The last second anything happened.
fn end(journal: &Journal) -> f64 {
    let mut ends = vec![journal.duration];
    if let Some(drill) = &journal.firedrill {
        ends.extend(drill.phases.iter().map(|p| p.end));
        ends.extend(drill.faults.iter().filter_map(|f| f.reverted));
        ends.extend(
            drill
                .kpis
                .iter()
                .flat_map(|k| k.series.iter().map(|p| p.at + p.length)),
        );
    }
    for run in journal.run.iter().chain(&journal.rollbacks) {
        ends.extend(
            run.end
                .as_deref()
                .and_then(|t| times::seconds_between(&journal.start, t)),
        );
    }
    let last = ends
        .into_iter()
        .filter(|v| v.is_finite())
        .fold(0.0, f64::max);
    if last > 0.0 { last } else { 1.0 }
}

fn grid(svg: &mut Svg, frame: &Frame, bottom: f64) {
    for at in time_ticks(frame.end) {
        let x = frame.at(at);
        svg.line(x, 0.0, x, bottom + 5.0, "grid");
        svg.text(
            x,
            bottom + 19.0,
            Anchor::Middle,
            "tick",
            &clock(at, frame.end),
        );
    }
    svg.line(GUTTER, bottom, RIGHT, bottom, "axis");
    let unit = match frame.end {
        end if end > HOURS => "h:min",
        end if end > MINUTES => "min:s",
        end if end >= 1.0 => "seconds",
        _ => "milliseconds",
    };
    svg.text(
        GUTTER,
        bottom + 37.0,
        Anchor::Start,
        "unit",
        &format!("time since the drill’s start, {unit}"),
    );
}

/// Steps that a clock has.
const STEPS: [f64; 18] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
    10800.0, 21600.0, 43200.0, 86400.0,
];

fn time_ticks(end: f64) -> Vec<f64> {
    let about = end / 10.0;
    let step = STEPS
        .into_iter()
        .find(|step| *step >= about && end > 5.0)
        .unwrap_or_else(|| crate::svg::nice(about));
    (0..40)
        .map(|i| f64::from(i) * step)
        .take_while(|at| *at <= end)
        .collect()
}

/// In the unit that the axis names.
fn clock(at: f64, end: f64) -> String {
    if end > MINUTES {
        let small = if end > HOURS {
            (at / 60.0).round()
        } else {
            at.round()
        };
        return format!("{}:{:02}", (small / 60.0).floor(), small % 60.0);
    }
    let value = if end >= 1.0 { at } else { at * 1e3 };
    words::trimmed(format!("{value:.3}"))
}

/// The time each fault was in place, through every row and panel.
fn shade(svg: &mut Svg, frame: &Frame, drill: &Drill, bottom: f64) {
    for fault in &drill.faults {
        let (from, to) = (
            frame.at(fault.applied),
            frame.at(fault.reverted.unwrap_or(frame.end)),
        );
        let tip = format!(
            "{}: in place from {} on",
            fault.fault,
            words::seconds(fault.applied)
        );
        svg.rect(from, 0.0, (to - from).max(1.0), bottom, "shade", &tip);
        svg.line(from, 0.0, from, bottom, "shade-edge");
        svg.line(to, 0.0, to, bottom, "shade-edge");
    }
}

/// Where the system was well again, and where it had to be.
fn recovery(svg: &mut Svg, frame: &Frame, drill: &Drill, bottom: f64) {
    let Some(recovery) = drill.recovery else {
        return;
    };
    let reverted = drill
        .faults
        .iter()
        .filter_map(|f| f.reverted)
        .fold(f64::NAN, f64::max);
    if !reverted.is_finite() {
        return;
    }
    let limit = frame.at(reverted + recovery.limit);
    if reverted + recovery.limit <= frame.end {
        svg.line(limit, 0.0, limit, bottom, "limit");
        svg.text(
            limit + 4.0,
            bottom - 6.0,
            Anchor::Start,
            "tick halo",
            "limit",
        );
    }
    if let Some(took) = recovery.took {
        let x = frame.at(reverted + took);
        svg.line(x, 0.0, x, bottom, "well");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(end: f64) -> String {
        let mut svg = Svg::new(WIDTH, 100.0, "axis");
        let frame = Frame {
            x: Scale::linear(0.0, end, GUTTER, RIGHT),
            end,
        };
        grid(&mut svg, &frame, 60.0);
        svg.finish().into_string()
    }

    #[test]
    fn an_axis_of_time_names_the_unit_of_its_numbers() {
        for (end, unit, tick) in [
            (0.05, ", milliseconds", ">50<"),
            (5.0, ", seconds", ">2.5<"),
            (45.0, ", seconds", ">45<"),
            (600.0, ", min:s", ">5:00<"),
            (86_400.0, ", h:min", ">3:00<"),
        ] {
            let drawn = axis(end);
            assert!(
                drawn.contains(unit) && drawn.contains(tick),
                "{end}: {drawn}"
            );
        }
    }
}
