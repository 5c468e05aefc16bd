//! What has to be well, known and enough before anything is broken.

use firedrill_experiment::journal::margin::{Record, Stopped};
use firedrill_judge::margin::{Ask, Normal, Question};

use super::{Notice, Search, WELL_FOR, facts, stream};

/// A latency in milliseconds that is no latency: that of a histogram's last bucket, which has no
/// end.
const BEYOND: f64 = 3.5e6;

impl Search<'_> {
    /// Nothing is broken on a system that is not well; and what is normal is seen here.
    pub(super) async fn gate(&mut self, record: &Record) -> Result<Question, Stopped> {
        let question = self.asked.question.clone();
        if let Some(before) = &record.question {
            // What was seen of the system is the record's.
            let mut same = question.clone();
            same.normal = before.normal;
            same.budget.unseen_max = before.budget.unseen_max;
            same.budget.before_max = before.budget.before_max;
            if *before != same {
                let why = "the document asks something else than the record answers so far; begin anew without --resume";
                return Err(Stopped::Refused(why.into()));
            }
        }
        let limit = self.began.elapsed()
            + self.asked.baseline.max(WELL_FOR)
            + self.asked.kpi.tells_late_by()
            + question.recovery_within;
        let until = self.began.elapsed() + self.asked.baseline;
        let from = self.began.elapsed();
        let mut windows = Vec::new();
        loop {
            let seen = self.stream.next(&mut self.cancel).await?;
            windows.push(seen.window);
            let now = self.began.elapsed();
            let well = self.stream.well_since(from, &windows, WELL_FOR);
            if now >= until && well.is_some() {
                break;
            }
            if now > limit {
                return Err(Stopped::Unhealthy(None));
            }
        }
        let normal = match (record.question.as_ref(), self.asked.normal_latency) {
            // A search that goes on has the scale it began with.
            (Some(before), _) => before.normal,
            (None, Some((quantile, is))) => {
                let value = stream::latency(&windows, quantile);
                if value > BEYOND {
                    let why = format!(
                        "{} % of today's latencies lie beyond the last bucket of the histogram, so nobody knows what is normal",
                        (1.0 - quantile) * 100.0
                    );
                    return Err(Stopped::Refused(why));
                }
                Some(Normal { value, is })
            }
            (None, None) => question.normal,
        };
        self.look(Notice::Well {
            normal: normal.map(|normal| normal.value),
        });
        let mut question = Question { normal, ..question };
        self.enough(&mut question)?;
        Ok(question)
    }

    /// Whether others' traffic is enough for an answer, and not more than the budget can hold.
    fn enough(&self, question: &mut Question) -> Result<(), Stopped> {
        let kpi = &self.asked.kpi;
        let (true, Some(seen)) = (kpi.is_counted_elsewhere(), self.stream.rate()) else {
            return Ok(());
        };
        let most = kpi.source.rate().map_or(seen, |told| told.max(seen));
        let why = kpi
            .too_slow(question, seen)
            .or_else(|| kpi.too_blind(question, most));
        if let Some(why) = why {
            return Err(Stopped::Refused(why));
        }
        kpi.keep_back(question, most);
        Ok(())
    }

    /// The next trial, as the budget allows with the traffic that there is now: where it has grown,
    /// more may be spent before it is seen.
    pub(super) fn as_traffic_is(&self, ask: &Ask, question: &Question) -> Result<Ask, Stopped> {
        let kpi = &self.asked.kpi;
        let rate = self.stream.rate().unwrap_or_default();
        let mut now = question.clone();
        kpi.keep_back(&mut now, rate);
        let more = now
            .budget
            .unseen_max
            .saturating_sub(question.budget.unseen_max);
        if now.budget.before_max.max(question.budget.before_max) + more >= ask.bad_events_max
            && kpi.is_counted_elsewhere()
        {
            return Err(Stopped::Traffic(format!(
                "there are {rate:.0} requests/s now, of which {} could be spent before KPI `{}` tells of them, and {} are left for the next trial beside those; a larger budget, or a shorter `interval`, goes on",
                now.budget.unseen_max + now.budget.before_max,
                kpi.name,
                ask.bad_events_max,
            )));
        }
        let mut ask = ask.clone();
        ask.bad_events_max -= more;
        Ok(ask)
    }

    /// What the answer is to hold for; a search that goes on has it already, and it is the same.
    pub(super) async fn know(&mut self, record: &mut Record) -> Result<(), Stopped> {
        let now = facts::read(&self.asked.facts, &self.providers, &self.cancel);
        let now = now.await.map_err(Stopped::Refused)?;
        match &record.context.facts {
            Some(before) => facts::changed(before, &now).map_or(Ok(()), Err),
            None => {
                record.context.facts = Some(now);
                Ok(())
            }
        }
    }

    /// An answer is one of one system.
    pub(super) async fn still_so(&mut self, record: &Record) -> Result<(), Stopped> {
        let Some(before) = &record.context.facts else {
            return Ok(());
        };
        let now = facts::read(&self.asked.facts, &self.providers, &self.cancel);
        let now = now.await.map_err(Stopped::ContextChanged)?;
        facts::changed(before, &now).map_or(Ok(()), Err)
    }
}
