//! When a canary may run.

use serde_json::{Map, Value};

use super::super::activity::choice;
use super::super::ours::require;
use super::super::reader::Reader;
use super::refuse_unknown;
use crate::diagnostic::Code;
use crate::path::Path;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Times of day of some days of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryWindow {
    /// 0 is Monday.
    pub days: Vec<u8>,
    /// Minutes since midnight; the end is not in it.
    pub from: u16,
    pub to: u16,
    /// As the database of time zones has it: `Europe/Berlin`, `UTC`.
    pub zone: String,
}

pub(super) fn read(
    map: &Map<String, Value>,
    path: &Path,
    reader: &mut Reader,
) -> Option<CanaryWindow> {
    let path = path.key("window");
    let value = map.get("window").filter(|value| !value.is_null())?;
    let window = reader.map(value, &path)?;
    refuse_unknown(window, &path, &["days", "from", "to", "zone"], reader);
    require(window, &["from", "to", "zone"], &path, reader);
    let from = time_of_day(window, "from", &path, reader);
    let to = time_of_day(window, "to", &path, reader);
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        let message = "a window begins before it ends, on the same day";
        reader.error(Code::Value, &path.key("to"), message);
    }
    let days = days(window, &path, reader);
    let zone = window.get("zone").and_then(Value::as_str)?;
    Some(CanaryWindow {
        days,
        from: from?,
        to: to?,
        zone: zone.to_owned(),
    })
}

/// `09:00`, in minutes; the end of the day is `24:00`.
fn time_of_day(
    map: &Map<String, Value>,
    key: &str,
    path: &Path,
    reader: &mut Reader,
) -> Option<u16> {
    let text = map.get(key)?.as_str();
    let minutes = text.and_then(|text| {
        let (hours, minutes) = text.split_once(':')?;
        let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        let of_day: u16 = hours.parse::<u16>().ok()? * 60 + minutes.parse::<u16>().ok()?;
        let fits = two(hours) && two(minutes) && minutes < "60" && of_day <= 24 * 60;
        fits.then_some(of_day)
    });
    if minutes.is_none() {
        let message = format!("`{key}` is a time of day in quotes, such as \"09:00\"");
        reader.error(Code::Value, &path.key(key), message);
    }
    minutes
}

/// Monday to Friday, if not given.
fn days(map: &Map<String, Value>, path: &Path, reader: &mut Reader) -> Vec<u8> {
    if !map.contains_key("days") {
        return (0..5).collect();
    }
    let names: Vec<(&'static str, u8)> = DAYS.into_iter().zip(0..).collect();
    let path = path.key("days");
    let mut days: Vec<u8> = reader
        .list(map, "days", &path)
        .iter()
        .enumerate()
        .filter_map(|(at, item)| {
            let one = Map::from_iter([("day".to_owned(), item.clone())]);
            choice(&one, "day", &names, &path.index(at), reader)
        })
        .collect();
    days.sort_unstable();
    days.dedup();
    if days.is_empty() {
        reader.error(
            Code::Value,
            &path,
            "a window has at least one day: mon … sun",
        );
    }
    days
}
