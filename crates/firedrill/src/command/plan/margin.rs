//! What a margin takes, as `firedrill margin` would make it.

use firedrill_runner::plan::PlannedMargin;

use crate::failure::Failure;
use crate::output::{CAUTION, Out};

pub(super) fn show(margin: &PlannedMargin, out: &Out) -> Result<(), Failure> {
    let rate = margin
        .rate
        .map_or_else(String::new, |rate| format!(", {rate} requests/s"));
    out.line(format!(
        "  margin   {}: KPI {}, {}; {} traffic{rate}",
        margin.margin, margin.kpi, margin.source, margin.traffic
    ))?;
    let time = margin.trial_seconds.map_or_else(String::new, |seconds| {
        format!("; {seconds:.1} s with the wait after it")
    });
    out.line(format!(
        "           a trial takes {} good requests to be borne, {} bad ones to be not{time}",
        margin.requests_to_hold, margin.requests_to_break
    ))?;
    if let Some((held, broke)) = margin.trials {
        let all = margin.seconds.zip(margin.requests);
        let all = all.map_or_else(String::new, |(seconds, requests)| {
            format!(": {seconds:.0} s and {requests} requests")
        });
        out.line(format!(
            "           about {held} trials that are borne and {broke} that are not, if each is clear{all}"
        ))?;
    }
    let kept_back = margin.before.zip(margin.unseen);
    if let Some((before, unseen)) = kept_back.filter(|(_, unseen)| *unseen > 0) {
        out.line(format!(
            "           up to {before} bad requests may be spent until it can be judged, and {unseen} until they are seen: the budget holds both, or no trial begins"
        ))?;
    }
    for warning in &margin.warnings {
        out.line(format!("           {CAUTION}{warning}{CAUTION:#}"))?;
    }
    Ok(())
}
