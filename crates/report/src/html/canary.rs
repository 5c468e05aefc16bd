//! Both arms of a canary, and the effect with its interval.

use firedrill_experiment::journal::{
    ArmRecord, CanaryRecord, CanaryStanding, DividedRecord, Drill,
};
use maud::{Markup, html};

use crate::words;

pub(super) fn canary(drill: &Drill) -> Markup {
    html! {
        @if let Some(canary) = &drill.canary {
            section {
                h2 { "Two arms" }
                p.lead {
                    (who(canary))
                }
                @if let Some(behind) = &canary.behind {
                    p {
                        (format!(
                            "The fault was on route {}, behind, divided by the same draw by {}. There came {} requests of the experiment, {} of the control, and {} of no arm.",
                            behind.route, behind.by, words::count(behind.experiment),
                            words::count(behind.control), words::count(behind.none)
                        ))
                    }
                }
                (arms(canary))
                (effects(canary))
                p.foot {
                    (format!(
                        "The intervals hold at every look, all KPIs together, with {} confidence. What is compared are raw counts{}.",
                        words::percent(canary.confidence), counted(canary)
                    ))
                }
            }
        }
    }
}

/// Who was in which arm, and for how long.
fn who(canary: &CanaryRecord) -> String {
    let traffic = &canary.traffic;
    let lasted = words::seconds(canary.lasted);
    match &canary.divided {
        DividedRecord::Split {
            route, share, by, ..
        } => format!(
            "{} % of the {traffic} traffic of route {route} in each arm, by {by}; the experiment had the fault for {lasted}.",
            share * 100.0
        ),
        DividedRecord::Apart { sources } => format!(
            "Control: {}. Experiment: {}, which had the fault for {lasted}. The traffic is {traffic}, and was not divided by Firedrill.",
            sources.control, sources.experiment
        ),
    }
}

fn counted(canary: &CanaryRecord) -> String {
    match &canary.divided {
        DividedRecord::Split { proxy, .. } => format!(" of the proxy at {proxy}"),
        DividedRecord::Apart { .. } => " of each arm's own source".into(),
    }
}

fn arms(canary: &CanaryRecord) -> Markup {
    let rows = [
        ("Control, before", &canary.baseline.control),
        ("Experiment, before", &canary.baseline.experiment),
        ("Control", &canary.arms.control),
        ("Experiment, with the fault", &canary.arms.experiment),
    ];
    let of_users = canary.epoch.is_some();
    html! {
        div.wide {
            table {
                thead { tr {
                    th { "Arm" } th { "Requests" } th { "Bad" } th { "p50" } th { "p99" }
                    @if of_users { th { "Users" } th { "Met a bad answer" } }
                } }
                tbody {
                    @for (name, arm) in rows {
                        tr {
                            td { (name) }
                            td { (words::count(arm.requests())) }
                            td { (words::count(arm.bad)) }
                            td { (quantile(arm, 0.5)) }
                            td { (quantile(arm, 0.99)) }
                            @if let Some(users) = &arm.users {
                                td { (words::count(users.all())) }
                                td { (words::count(users.bad)) }
                            } @else if of_users {
                                td { "–" } td { "–" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn effects(canary: &CanaryRecord) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr { th { "KPI" } th { "Control" } th { "Experiment" } th { "Effect" } th { "Allowed" } th { "" } } }
                tbody {
                    @for kpi in &canary.kpis {
                        tr {
                            td { (kpi.name) ", " (kpi.measured()) }
                            td { (kpi.control.map_or_else(|| "–".to_owned(), |value| kpi.show(value))) }
                            td { (kpi.experiment.map_or_else(|| "–".to_owned(), |value| kpi.show(value))) }
                            td { (kpi.effect(canary.confidence)) }
                            td { (kpi.show(kpi.tolerance)) " worse" }
                            td { (standing(kpi.standing)) }
                        }
                    }
                }
            }
        }
    }
}

fn standing(standing: CanaryStanding) -> &'static str {
    match standing {
        CanaryStanding::Harmed => "harm is proven",
        CanaryStanding::Harmless => "no more than allowed",
        CanaryStanding::NotYet => "not clear",
    }
}

/// Of a histogram of the proxy's buckets, shortest first.
fn quantile(arm: &ArmRecord, share: f64) -> String {
    let all: u64 = arm.times.iter().map(|(_, count)| count).sum();
    let rank = ((all as f64 * share).ceil() as u64).max(1);
    let mut seen = 0;
    let found = arm.times.iter().find(|(_, count)| {
        seen += count;
        seen >= rank
    });
    found.map_or_else(|| "–".into(), |(end, _)| words::millis(end * 1e3))
}
