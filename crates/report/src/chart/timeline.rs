//! Rows of bars: phases, faults, activities.

use firedrill_experiment::journal::{Journal, Run, RunStatus};

use super::{Frame, GUTTER, RIGHT};
use crate::svg::{Anchor, Svg};
use crate::{summary, times, words};

const ROW: f64 = 22.0;
const TOP: f64 = 4.0;
/// Activities drawn; the tables below the figure hold them all.
const ACTIVITIES_MAX: usize = 40;

#[derive(Debug)]
pub(super) struct Row {
    name: String,
    bars: Vec<Bar>,
    class: &'static str,
}

#[derive(Debug)]
struct Bar {
    from: f64,
    to: f64,
    class: String,
    text: String,
    tip: String,
}

pub(super) fn rows(journal: &Journal) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(drill) = &journal.firedrill {
        let bars: Vec<Bar> = drill
            .phases
            .iter()
            .map(|p| {
                let name = words::phase(p.phase);
                let length = words::seconds(p.end - p.start);
                Bar {
                    from: p.start,
                    to: p.end,
                    class: format!("phase {name}"),
                    text: name.to_owned(),
                    tip: format!("{name}, {length}"),
                }
            })
            .collect();
        if !bars.is_empty() {
            rows.push(Row {
                name: "Phases".to_owned(),
                bars,
                class: "inside",
            });
        }
        rows.extend(drill.faults.iter().map(|f| {
            let to = f.reverted.unwrap_or_else(|| super::end(journal));
            let kept = if f.reverted.is_none() {
                "never reverted: "
            } else {
                ""
            };
            let text = format!("{kept}{}", f.targets.join(", "));
            let tip = format!("{} on {}", f.fault, f.targets.join(", "));
            let bar = Bar {
                from: f.applied,
                to,
                class: "fault-bar".to_owned(),
                text,
                tip,
            };
            Row {
                name: f.fault.clone(),
                bars: vec![bar],
                class: "outside",
            }
        }));
    }
    rows.extend(activities(journal));
    rows
}

/// One row per name: repetitions stand side by side.
fn activities(journal: &Journal) -> Vec<Row> {
    let rollbacks = journal.rollbacks.iter().map(|r| (r, "↩ "));
    let mut rows: Vec<Row> = Vec::new();
    let mut more = 0;
    for (run, mark) in journal.run.iter().map(|r| (r, "")).chain(rollbacks) {
        let Some(row) = row(journal, run, mark) else {
            continue;
        };
        if let Some(known) = rows.iter_mut().find(|known| known.name == row.name) {
            known.bars.extend(row.bars);
        } else if rows.len() < ACTIVITIES_MAX {
            rows.push(row);
        } else {
            more += 1;
        }
    }
    for row in &mut rows {
        let times = row.bars.len();
        if times > 1 {
            row.name = format!("{} × {times}", words::shortened(&row.name, 27));
            row.bars.iter_mut().for_each(|bar| bar.text.clear());
        }
    }
    if more > 0 {
        let name = format!("and {more} more, in the table");
        rows.push(Row {
            name,
            bars: Vec::new(),
            class: "outside",
        });
    }
    rows
}

fn row(journal: &Journal, run: &Run, mark: &str) -> Option<Row> {
    let from = times::seconds_between(&journal.start, run.start.as_deref()?)?;
    let ended = run
        .end
        .as_deref()
        .and_then(|t| times::seconds_between(&journal.start, t));
    let to = ended.or(run.duration.map(|d| from + d)).unwrap_or(from);
    let status = words::run_status(run.status);
    let length = words::seconds(to - from);
    let text = match run.status {
        Some(RunStatus::Succeeded) => length.clone(),
        _ => format!("{length}, {status}"),
    };
    let tip = format!("{}: {status} after {length}", summary::name(run));
    let bar = Bar {
        from,
        to,
        class: format!("run {status}"),
        text,
        tip,
    };
    Some(Row {
        name: format!("{mark}{}", summary::name(run)),
        bars: vec![bar],
        class: "outside",
    })
}

pub(super) fn height(rows: &[Row]) -> f64 {
    TOP + ROW * rows.len() as f64 + 10.0
}

pub(super) fn draw(svg: &mut Svg, frame: &Frame, rows: &[Row]) {
    for (i, row) in rows.iter().enumerate() {
        let y = TOP + ROW * i as f64;
        svg.label(0.0, y + 14.5, 34, "row", &row.name);
        for bar in &row.bars {
            let (from, to) = (frame.at(bar.from), frame.at(bar.to));
            let wide = (to - from).max(3.0);
            svg.rect(from, y + 3.0, wide, ROW - 6.0, &bar.class, &bar.tip);
            if row.class == "inside" {
                inside(svg, from, wide, y, &bar.text);
            } else {
                beside(svg, bar, from, from + wide, y);
            }
        }
    }
}

/// Only where it fits.
fn inside(svg: &mut Svg, from: f64, wide: f64, y: f64, text: &str) {
    if wide > text.chars().count() as f64 * 6.4 + 12.0 {
        svg.text(from + 7.0, y + 14.5, Anchor::Start, "phase-name", text);
    }
}

/// In the bar where it fits, else right of it, else left of it near the page's edge.
fn beside(svg: &mut Svg, bar: &Bar, from: f64, to: f64, y: f64) {
    if bar.text.is_empty() {
        return;
    }
    let text = words::shortened(&bar.text, 60);
    let needs = text.chars().count() as f64 * 6.2 + 12.0;
    let y = y + 14.5;
    if needs <= to - from {
        svg.text(from + 7.0, y, Anchor::Start, "note over", &text);
    } else if to + needs <= RIGHT || from - needs < GUTTER {
        svg.text(to + 6.0, y, Anchor::Start, "note", &text);
    } else {
        svg.text(from - 6.0, y, Anchor::End, "note", &text);
    }
}
