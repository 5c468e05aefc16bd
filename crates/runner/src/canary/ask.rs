//! The question, from a document and what fills it in.

use std::net::SocketAddr;
use std::time::Duration;

use firedrill_experiment::call::{self, Call, FaultCall, KpiSource, LoadCall};
use firedrill_experiment::document::{
    Canary, CanaryArms, CanaryAsk, CanaryKpi, Experiment, Kpi, Provider,
};
use firedrill_experiment::scope::Scope;
use firedrill_judge::canary::Ask;
use firedrill_judge::{Alpha, Probability};
use firedrill_undo::fault_proxy::Split;
use firedrill_undo::{Primitive, PutOnRoute, RouteChange};

use super::apart;
use super::hours::Hours;
use super::users;
use crate::aim::{Aim, change_of_route, named_fault};

/// Beyond the longest duration, so that a canary ends because of what was seen.
const BEYOND: Duration = Duration::from_secs(5);

/// A canary that can be held.
#[derive(Debug, Clone)]
pub struct Asked {
    pub arms: Arms,
    pub fault: FaultCall,
    pub kpis: Vec<CanaryKpi>,
    pub confidence: f64,
    pub baseline: Duration,
    /// At least, and at most.
    pub duration: (Duration, Duration),
    pub seed: u64,
    /// Check certificates of whoever is asked for counters.
    pub verify_tls: bool,
    pub(super) alpha: Alpha,
    pub(super) window: Option<Hours>,
    /// None where the traffic is live.
    pub(super) load: Option<LoadCall>,
}

/// Where the arms are.
#[derive(Debug, Clone)]
pub enum Arms {
    Route(Shares),
    /// Of control and experiment: others divide the traffic.
    Apart(Box<[KpiSource; 2]>),
}

/// Shares of a route's traffic.
#[derive(Debug, Clone)]
pub struct Shares {
    /// The proxy's interface, and the route that is divided and counted.
    pub api: SocketAddr,
    pub route: String,
    /// The fault's own route, where that is another.
    pub behind: Option<Divided>,
    /// Of each arm.
    pub share: f64,
    pub by: String,
    /// Where users are counted: how long one is watched at most, before it counts.
    pub epoch: Option<Duration>,
    /// Places that are always drained.
    pub standby: Vec<SocketAddr>,
}

/// A route, and by what its traffic is divided.
#[derive(Debug, Clone)]
pub struct Divided {
    pub route: String,
    pub by: String,
}

impl Asked {
    /// # Errors
    /// Every reason why this cannot be asked.
    pub fn of(experiment: &Experiment, scope: &Scope, seed: u64) -> Result<Self, Vec<String>> {
        let Some(canary) = &experiment.canary else {
            return Err(vec!["the document has no `canary`".into()]);
        };
        let mut reasons = unheeded(experiment, &canary.activity);
        let fault = fault(experiment, scope, seed, &mut reasons);
        let arms = arms(canary, scope, fault.as_ref(), &mut reasons);
        let load = load(experiment, scope, &mut reasons);
        let window = canary.window.as_ref().map(Hours::of).transpose();
        let window = window.unwrap_or_else(|why| {
            reasons.push(why);
            None
        });
        let alpha = Alpha::new(1.0 - canary.confidence);
        let (Some((fault, _)), Some(arms), Ok(alpha), true) =
            (fault, arms, alpha, reasons.is_empty())
        else {
            return Err(reasons);
        };
        Ok(Self {
            arms,
            fault,
            kpis: canary.kpis.clone(),
            confidence: canary.confidence,
            baseline: canary.baseline,
            duration: canary.duration,
            seed,
            verify_tls: true,
            alpha,
            window,
            load,
        })
    }

    /// What the judge is asked, in the order of the KPIs.
    pub(super) fn asks(&self) -> Vec<Ask> {
        let asks = self.kpis.iter().map(|kpi| match kpi.asks {
            CanaryAsk::SuccessRatio { tolerance } => Ask::SuccessRatio { tolerance },
            CanaryAsk::UserRatio { tolerance } => Ask::UserRatio { tolerance },
            CanaryAsk::Latency {
                quantile,
                tolerance,
            } => Ask::Latency {
                // The document lets nothing else in.
                quantile: Probability::new(quantile).unwrap_or(Probability::HALF),
                tolerance: tolerance.as_secs_f64(),
            },
        });
        asks.collect()
    }

    /// Whose requests are compared.
    pub(super) fn traffic(&self) -> &'static str {
        match (&self.arms, &self.load) {
            (Arms::Apart(sources), None) => sources[1].traffic(),
            (Arms::Route(_), None) => "live",
            (_, Some(_)) => "synthetic",
        }
    }
}

impl Shares {
    /// One split, or two with the same draw.
    pub(crate) fn splits(&self) -> Vec<Primitive> {
        let compared = Divided {
            route: self.route.clone(),
            by: self.by.clone(),
        };
        let draw = self.behind.is_some().then(|| NAME.to_owned());
        let split = |divided: Divided| {
            // Where users are judged.
            let users = self
                .epoch
                .filter(|_| divided.route == self.route)
                .map(users::count);
            Primitive::ChangeRoute(RouteChange {
                api: self.api,
                route: divided.route,
                put: PutOnRoute::Split(Split {
                    share: self.share,
                    by: divided.by,
                    name: NAME.into(),
                    draw: draw.clone(),
                    users,
                }),
            })
        };
        let all = [compared].into_iter().chain(self.behind.clone());
        all.map(split).collect()
    }
}

/// Of splits and draws; the guardian adds the drill's.
const NAME: &str = "firedrill";

/// The route that is compared, and the fault's own where that is another.
fn front_of(canary: &Canary, own: Divided) -> Result<(Divided, Option<Divided>), String> {
    match &canary.front {
        None => Ok((own, None)),
        Some(front) if front.route == own.route => Err(format!(
            "`front`: the fault is on route {} itself; leave `front` out, or put the fault on a route behind it",
            own.route
        )),
        Some(front) => {
            let compared = Divided {
                route: front.route.clone(),
                by: front.by.clone(),
            };
            Ok((compared, Some(own)))
        }
    }
}

/// What a document believes is done or watched, and a canary would not do or watch.
fn unheeded(experiment: &Experiment, activity: &str) -> Vec<String> {
    let others = experiment.method.iter().any(|one| one.name != activity);
    [
        (
            !experiment.guardrails.is_empty() || !experiment.kpi_guardrails.is_empty(),
            "its `guardrails` would not be watched",
        ),
        (
            !experiment.rollbacks.is_empty(),
            "its `rollbacks` would not be played",
        ),
        (
            !experiment.controls.is_empty(),
            "its `controls` would not be called",
        ),
        (
            experiment.hypothesis.is_some(),
            "its hypothesis would not be checked",
        ),
        (
            !experiment.margins.is_empty(),
            "its `margin` would not be asked",
        ),
        (others, "the rest of its method would not be played"),
    ]
    .into_iter()
    .filter(|(is_there, _)| *is_there)
    .map(|(_, what)| {
        format!(
            "a canary has one fault, and compares its arms: {what}; leave it out of this document"
        )
    })
    .collect()
}

fn arms(
    canary: &Canary,
    scope: &Scope,
    fault: Option<&(FaultCall, Option<RouteChange>)>,
    reasons: &mut Vec<String>,
) -> Option<Arms> {
    match &canary.arms {
        CanaryArms::Apart {
            control,
            experiment,
        } => apart::sources(canary, [control, experiment], scope, reasons)
            .map(|sources| Arms::Apart(Box::new(sources))),
        CanaryArms::Split { share, by } => match shares(canary, *share, by, fault?) {
            Ok(shares) => Some(Arms::Route(shares)),
            Err(why) => {
                reasons.push(why);
                None
            }
        },
    }
}

fn shares(
    canary: &Canary,
    share: f64,
    by: &str,
    (_, change): &(FaultCall, Option<RouteChange>),
) -> Result<Shares, String> {
    let Some(change) = change else {
        return Err(format!("`{}` changes no route of a proxy", canary.activity));
    };
    let own = Divided {
        route: change.route.clone(),
        by: by.to_owned(),
    };
    let (compared, behind) = front_of(canary, own)?;
    Ok(Shares {
        api: change.api,
        route: compared.route,
        behind,
        share,
        by: compared.by,
        epoch: canary.epoch,
        standby: canary.standby.clone(),
    })
}

/// The fault, and what it changes of a route, if it is one's.
fn fault(
    experiment: &Experiment,
    scope: &Scope,
    seed: u64,
    reasons: &mut Vec<String>,
) -> Option<(FaultCall, Option<RouteChange>)> {
    let canary = experiment.canary.as_ref()?;
    let mut call = named_fault(experiment, &canary.activity, scope, reasons)?;
    call.duration = canary.duration.1 + BEYOND;
    let radius = experiment.blast_radius.unwrap_or_default();
    let aim = Aim::take(&call, &radius, seed);
    let compiled = aim.and_then(|mut aim| aim.compile().map_err(|error| crate::chain(&error)));
    match compiled {
        Ok(primitives) => Some((call, change_of_route(primitives))),
        Err(why) => {
            reasons.push(format!("`{}`: {why}", canary.activity));
            None
        }
    }
}

/// The traffic, where the document makes its own.
fn load(experiment: &Experiment, scope: &Scope, reasons: &mut Vec<String>) -> Option<LoadCall> {
    let is_load = |kpi: &&Kpi| kpi.provider.get("type").is_some_and(|kind| kind == "load");
    let kpi = experiment.kpis.iter().find(is_load)?;
    let provider = Provider::Load {
        raw: kpi.provider.clone(),
    };
    match call::resolve(&provider, scope) {
        Ok(Call::Load(call)) => Some(call),
        Ok(_) => None,
        Err(error) => {
            reasons.push(format!("KPI `{}`: {error}", kpi.name));
            None
        }
    }
}
