//! Times of day at which a canary may run.

use firedrill_experiment::document::CanaryWindow;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A window in a time zone that is known here.
#[derive(Debug, Clone)]
pub(super) struct Hours {
    window: CanaryWindow,
    zone: TimeZone,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Hours {
    /// # Errors
    /// With the reason why the zone is not known.
    pub(super) fn of(window: &CanaryWindow) -> Result<Self, String> {
        let zone = TimeZone::get(&window.zone)
            .map_err(|error| format!("`window.zone` is not known here: {error}"))?;
        Ok(Self {
            window: window.clone(),
            zone,
        })
    }

    /// # Errors
    /// When it is closed, with what it is and what time it is there.
    pub(super) fn is_open(&self, now: &Timestamp) -> Result<(), String> {
        let there = now.to_zoned(self.zone.clone());
        let day = there.weekday().to_monday_zero_offset();
        let minute = i32::from(there.hour()) * 60 + i32::from(there.minute());
        let CanaryWindow { days, from, to, .. } = &self.window;
        let in_time = (i32::from(*from)..i32::from(*to)).contains(&minute);
        if in_time && days.iter().any(|one| i32::from(*one) == i32::from(day)) {
            return Ok(());
        }
        let names: Vec<&str> = days
            .iter()
            .filter_map(|day| DAYS.get(usize::from(*day)).copied())
            .collect();
        let clock = |minutes: &u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        Err(format!(
            "its window is closed: {} from {} to {} in {}, where it is {}",
            names.join(", "),
            clock(from),
            clock(to),
            self.window.zone,
            there.strftime("%A %H:%M")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(at: &str) -> bool {
        let window = CanaryWindow {
            days: vec![0, 1, 2, 3, 4],
            from: 9 * 60,
            to: 17 * 60,
            zone: "Europe/Berlin".into(),
        };
        let hours = Hours::of(&window).unwrap();
        hours.is_open(&at.parse().unwrap()).is_ok()
    }

    #[test]
    fn a_window_is_of_its_zone_and_does_not_hold_its_end() {
        // A Wednesday in winter: one hour ahead of UTC.
        assert!(!open("2026-01-14T07:59:59Z"));
        assert!(open("2026-01-14T08:00:00Z"));
        assert!(open("2026-01-14T15:59:59Z"));
        assert!(!open("2026-01-14T16:00:00Z"));
        // In summer: two.
        assert!(open("2026-07-15T07:00:00Z"));
        assert!(!open("2026-07-15T15:00:00Z"));
        // A Sunday.
        assert!(!open("2026-01-18T10:00:00Z"));
    }

    #[test]
    fn a_zone_that_is_not_known_is_told() {
        let window = CanaryWindow {
            days: vec![0],
            from: 0,
            to: 60,
            zone: "Europe/Atlantis".into(),
        };
        assert!(Hours::of(&window).unwrap_err().contains("Atlantis"));
    }
}
