//! Just enough SVG: shapes with classes (colours live in the style sheet, so both colour
//! schemes work), escaped text, scales and ticks.

use std::fmt::Write;

use maud::{Markup, PreEscaped};

#[derive(Debug)]
pub(crate) struct Svg {
    width: f64,
    height: f64,
    label: String,
    body: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// `label` is what a screen reader says instead.
    pub(crate) fn new(width: f64, height: f64, label: &str) -> Self {
        Self {
            width,
            height,
            label: label.to_owned(),
            body: String::new(),
        }
    }

    pub(crate) fn rect(&mut self, x: f64, y: f64, w: f64, h: f64, class: &str, tip: &str) {
        let (x, y, w, h) = (num(x), num(y), num(w.max(0.0)), num(h.max(0.0)));
        let tip = title(tip);
        let _ = write!(
            self.body,
            r#"<rect x="{x}" y="{y}" width="{w}" height="{h}" class="{class}">{tip}</rect>"#
        );
    }

    pub(crate) fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, class: &str) {
        let (x1, y1, x2, y2) = (num(x1), num(y1), num(x2), num(y2));
        let _ = write!(
            self.body,
            r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{class}"/>"#
        );
    }

    pub(crate) fn circle(&mut self, x: f64, y: f64, r: f64, class: &str) {
        let (x, y, r) = (num(x), num(y), num(r));
        let _ = write!(
            self.body,
            r#"<circle cx="{x}" cy="{y}" r="{r}" class="{class}"/>"#
        );
    }

    pub(crate) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (num(x), num(y), escape(text));
        let _ = write!(
            self.body,
            r#"<text x="{x}" y="{y}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        );
    }

    /// Text cut to `max` characters; the whole of it on hover.
    pub(crate) fn label(&mut self, x: f64, y: f64, max: usize, class: &str, text: &str) {
        let short = crate::words::shortened(text, max);
        let tip = if short == text {
            String::new()
        } else {
            title(text)
        };
        let (x, y, short) = (num(x), num(y), escape(&short));
        let _ = write!(
            self.body,
            r#"<text x="{x}" y="{y}" class="{class}">{short}{tip}</text>"#
        );
    }

    pub(crate) fn path(&mut self, path: &Path, class: &str) {
        if !path.0.is_empty() {
            let _ = write!(self.body, r#"<path d="{}" class="{class}"/>"#, path.0);
        }
    }

    pub(crate) fn finish(self) -> Markup {
        let Self {
            width,
            height,
            label,
            body,
        } = self;
        let (width, height, label) = (num(width), num(height), escape(&label));
        PreEscaped(format!(
            r#"<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{label}">{body}</svg>"#
        ))
    }
}

/// The `d` of a path.
#[derive(Debug, Default)]
pub(crate) struct Path(String);

impl Path {
    pub(crate) fn to(&mut self, x: f64, y: f64) {
        let command = if self.0.is_empty() || self.0.ends_with('Z') {
            'M'
        } else {
            'L'
        };
        let _ = write!(self.0, "{command}{} {}", num(x), num(y));
    }

    pub(crate) fn jump(&mut self, x: f64, y: f64) {
        let _ = write!(self.0, "M{} {}", num(x), num(y));
    }

    pub(crate) fn close(&mut self) {
        if !self.0.is_empty() {
            self.0.push('Z');
        }
    }
}

/// From a value to a place on the page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    log: bool,
}

impl Scale {
    pub(crate) fn linear(from: f64, to: f64, start: f64, end: f64) -> Self {
        let (from, to) = (tame(from), tame(to));
        Self {
            from,
            to: if to > from { to } else { from + 1.0 },
            start,
            end,
            log: false,
        }
    }

    /// `from` must be above 0.
    pub(crate) fn log(from: f64, to: f64, start: f64, end: f64) -> Self {
        let (from, to) = (tame(from).max(1e-9), tame(to));
        Self {
            from,
            to: to.max(from * 2.0),
            start,
            end,
            log: true,
        }
    }

    /// Values outside the range land on its ends.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        let share = if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        };
        self.start + share * (self.end - self.start)
    }

    /// Round values inside the range.
    pub(crate) fn ticks(&self, about: usize) -> Vec<f64> {
        if self.log {
            return self.log_ticks(about);
        }
        let step = nice((self.to - self.from) / about.max(1) as f64);
        let first = (self.from / step).ceil();
        (0..=about * 3)
            .map(|i| (first + i as f64) * step)
            .take_while(|v| *v <= self.to + step * 1e-9)
            .collect()
    }

    fn log_ticks(&self, about: usize) -> Vec<f64> {
        let decades = (self.to / self.from).log10();
        let steps: &[f64] = if decades * 3.0 <= about as f64 + 1.0 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let (low, high) = (
            self.from.log10().floor() as i32,
            self.to.log10().ceil() as i32,
        );
        (low..=high)
            .flat_map(|power| steps.iter().map(move |s| s * 10_f64.powi(power)))
            .filter(|v| *v >= self.from * 0.999 && *v <= self.to * 1.001)
            .collect()
    }
}

/// The next of 1, 2, 5 times a power of ten.
pub(crate) fn nice(step: f64) -> f64 {
    if !step.is_finite() || step <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(step.log10().floor());
    let factor = step / power;
    let rounded = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|f| factor <= f * 1.0001)
        .unwrap_or(10.0);
    rounded * power
}

/// The next value down (up) of 1, 2, 5 times a power of ten, for the ends of a log axis.
pub(crate) fn around(low: f64, high: f64) -> (f64, f64) {
    let up = nice(high.clamp(1e-6, 1e12));
    let mut down = nice(low.clamp(1e-6, 1e12));
    if down > low {
        down = nice(down / 2.6);
    }
    (down.min(up / 2.0), up)
}

/// No drill lasts or waits longer than this; beyond it floats lose their steps.
fn tame(v: f64) -> f64 {
    if v.is_nan() {
        0.0
    } else {
        v.clamp(-1e12, 1e12)
    }
}

fn title(tip: &str) -> String {
    if tip.is_empty() {
        String::new()
    } else {
        format!("<title>{}</title>", escape(tip))
    }
}

fn num(v: f64) -> String {
    let v = if v.is_finite() {
        v.clamp(-1e6, 1e6)
    } else {
        0.0
    };
    crate::words::trimmed(format!("{v:.1}"))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(
            Scale::linear(0.0, 47.0, 0.0, 1.0).ticks(5),
            [0.0, 10.0, 20.0, 30.0, 40.0]
        );
        assert_eq!(
            Scale::log(2.0, 50.0, 0.0, 1.0).ticks(6),
            [2.0, 5.0, 10.0, 20.0, 50.0]
        );
        assert_eq!(around(3.4, 130.0), (2.0, 200.0));
    }

    proptest! {
        #[test]
        fn a_scale_never_leaves_its_page(
            from in prop::num::f64::ANY, to in prop::num::f64::ANY, v in prop::num::f64::ANY,
        ) {
            for scale in [Scale::linear(from, to, 10.0, 90.0), Scale::log(from, to, 10.0, 90.0)] {
                let at = scale.at(v);
                prop_assert!((10.0..=90.0).contains(&at), "{scale:?} {at}");
                prop_assert!(scale.ticks(5).len() <= 2_000);
            }
        }
    }
}
