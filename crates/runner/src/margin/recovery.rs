//! The wait after a trial, with its fault gone.

use std::time::Duration;

use firedrill_experiment::journal::margin::Stopped;
use firedrill_judge::margin::Recovery;

use super::{Notice, Search, WELL_FOR};

impl Search<'_> {
    /// Whether the hypothesis is met again in time.
    async fn is_steady(&mut self, within: Duration) -> Result<bool, Stopped> {
        let Some(steady) = &self.steady else {
            return Ok(true);
        };
        let complaint = steady.wait(within, &mut self.cancel).await?;
        if let Some(why) = &complaint {
            self.look(Notice::Trouble(why));
        }
        Ok(complaint.is_none())
    }

    /// Waits until the KPI is back, and the hypothesis is met.
    pub(super) async fn recover(&mut self, within: Duration) -> Result<Recovery, Stopped> {
        let from = self.began.elapsed();
        // Nobody can tell sooner, and whoever missed a reading tells with the next.
        let late = self.asked.kpi.tells_late_by();
        let until = from + within + WELL_FOR + late + self.asked.kpi.misses();
        let mut windows = Vec::new();
        let mut bad = 0;
        loop {
            let seen = self.stream.next(&mut self.cancel).await?;
            bad += self.stream.counts(&seen.window).bad;
            if self.stream.may_be_well(&seen, from) {
                windows.push(seen.window);
            }
            if let Some(took) = self.stream.well_since(from, &windows, WELL_FOR) {
                let left = (from + within).saturating_sub(self.began.elapsed());
                // A generator's windows are told in time; others' tell of a late one later.
                let in_time = !self.asked.kpi.is_counted_elsewhere() || took <= within + late;
                let recovered = in_time && self.is_steady(left).await?;
                if recovered {
                    self.look(Notice::Recovered(took));
                }
                return Ok(Recovery { recovered, bad });
            }
            if self.began.elapsed() > until {
                return Ok(Recovery {
                    recovered: false,
                    bad,
                });
            }
        }
    }
}
