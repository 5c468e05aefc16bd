//! `search`: how far a trial goes, and what it may break.

use serde_json::Value;

use super::super::ours::flag;
use super::super::reader::Reader;
use super::{MarginAim, MarginScale, Range, quantity, refuse_unknown};
use crate::diagnostic::{Code, Diagnostic};
use crate::path::Path;

/// A trial goes at most so many times as far as what was seen to hold.
const JUMP_DEFAULT: f64 = 2.0;

pub(super) fn read(
    value: &Value,
    path: &Path,
    range: &Range,
    reader: &mut Reader,
) -> Option<MarginAim> {
    let map = reader.map(value, path)?;
    refuse_unknown(
        map,
        path,
        &["non-production", "arm", "jump-max", "hysteresis"],
        reader,
    );
    let is_one_arm = map.get("arm").is_some_and(|arm| !arm.is_null());
    match (flag(map, "non-production", path, reader), is_one_arm) {
        (true, false) | (false, true) => {}
        (true, true) => {
            let message = "what is not production is broken as a whole, and what is, on one `arm`: \
                           leave one of both out";
            reader.error(Code::Value, &path.key("arm"), message);
        }
        (false, false) => {
            let diagnostic = Diagnostic::error(
                Code::Missing,
                &path.key("non-production"),
                "a search breaks its target, so the document says that it is not production, or on which `arm` of it",
            );
            reader.push(diagnostic.hint(
                "`arm: {share: 0.02, by: \"cookie:NAME\"}` is a small share of live traffic; `at-least` asks for a margin without looking for the break",
            ));
        }
    }
    let jump_max = match (range.scale, map.get("jump-max")) {
        (MarginScale::Linear, None) => (range.largest - range.lowest) / 8.0,
        (MarginScale::Log, None) => JUMP_DEFAULT,
        (MarginScale::Linear, Some(_)) => {
            quantity(map, "jump-max", path, Some(&range.unit), reader)?.value
        }
        (MarginScale::Log, Some(value)) => {
            let text = value.as_str().map(|text| text.trim().trim_end_matches('x'));
            let factor = text
                .and_then(|text| text.parse().ok())
                .or_else(|| value.as_f64())
                .filter(|factor: &f64| *factor > 1.0 && factor.is_finite());
            if factor.is_none() {
                let message = "on a logarithmic scale a jump is a factor above 1, as in 2x";
                reader.error(Code::Value, &path.key("jump-max"), message);
            }
            factor?
        }
    };
    let hysteresis = flag(map, "hysteresis", path, reader);
    Some(MarginAim::Search {
        jump_max,
        hysteresis,
    })
}
