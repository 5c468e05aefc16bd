//! Loses packets: each by its own throw, in correlation with the one before, or in bursts.

use firedrill_kernel::nftables::Action;
use firedrill_undo::Primitive;
use firedrill_worker::queue::loss::Loss as Model;
use firedrill_worker::queue::random::Share;
use firedrill_worker::queue::shape::Shape;
use serde_json::{Map, Value};

use super::filter::{self, Filter};
use super::row::row;
use super::rules;
use super::shaping::{self, Shaping, Told};
use super::share;
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind};
use crate::fault::{CompileError, Disturbance, Kind, Site};

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Loss::parse(arguments)?)),
};

const NAME: &str = "switching.loss";

const OWN: [&str; 4] = ["percent", "correlation", "gilbert-elliott", "mechanism"];

const BURSTS: &str = "an object with `p`, `r` and optionally `loss-in-bad`, `loss-in-good`, each in \
                      percent";

/// `switching.loss`
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// Rules in the kernel throw for each packet.
    Plain(Box<PlainLoss>),
    /// The decision on a packet depends on those before it.
    Shaped(Box<Shaping>),
}

/// Packets that are lost independently of each other.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainLoss {
    filter: Filter,
}

impl Loss {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &filter::names(&OWN));
        let bursts = read.read("gilbert-elliott", BURSTS, gilbert_elliott);
        let correlation = share::correlation(&mut read);
        let percent = read.percent("percent");
        let mechanism = shaping::mechanism(&mut read);
        if bursts.is_some() && (percent.is_some() || correlation.is_some()) {
            read.mistake(FaultError::Exclusive {
                owner: NAME,
                first: "gilbert-elliott",
                second: "percent",
            });
        }
        let share = match bursts {
            Some(_) => 0.0,
            None => read.require("percent", percent, "how many packets are lost") / 100.0,
        };
        let filter = Filter::read(&mut read);
        read.finish()?;
        let plain = bursts.is_none() && correlation.is_none() && mechanism.is_auto();
        if plain {
            let filter = filter.of_share(share);
            return Ok(Self::Plain(Box::new(PlainLoss { filter })));
        }
        let model = bursts.unwrap_or(Model::Random(Share {
            share,
            correlation: correlation.unwrap_or(0.0),
        }));
        Ok(Self::Shaped(Box::new(Shaping {
            filter,
            mechanism,
            shape: Shape {
                loss: Some(model),
                ..Shape::default()
            },
        })))
    }
}

fn gilbert_elliott(value: &Value) -> Option<Model> {
    let map = value.as_object()?;
    let known = ["p", "r", "loss-in-bad", "loss-in-good"];
    if map.keys().any(|key| !known.contains(&key.as_str())) {
        return None;
    }
    let share = |name: &str| {
        let percent = map.get(name)?.as_f64()?;
        (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
    };
    let or = |name: &str, default: f64| match map.get(name) {
        None => Some(default),
        Some(_) => share(name),
    };
    Some(Model::GilbertElliott {
        p: share("p").filter(|p| *p > 0.0)?,
        r: share("r").filter(|r| *r > 0.0)?,
        bad_loss: or("loss-in-bad", 1.0)?,
        good_loss: or("loss-in-good", 0.0)?,
    })
}

impl Disturbance for Loss {
    fn hosts(&self) -> Vec<String> {
        let filter = match self {
            Self::Plain(plain) => &plain.filter,
            Self::Shaped(shaping) => &shaping.filter,
        };
        filter.hosts().to_vec()
    }

    fn compile(&self, site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        match self {
            Self::Plain(plain) => rules::compile(&plain.filter, &[(None, Action::Drop)], site),
            Self::Shaped(shaping) => shaping.compile(site),
        }
    }
}

fn entry() -> Entry {
    let mut parameters =
        share::parameters("how many packets are lost; required without gilbert-elliott");
    for either in &mut parameters {
        either.required = false;
    }
    parameters.push(row(
        "gilbert-elliott",
        ParameterKind::Object,
        BURSTS,
        None,
        "bursts: p leads into the bad state and r out of it, asked per packet",
    ));
    let shaped = shaping::entry(Told {
        name: NAME,
        summary: "loses packets, singly or in bursts",
        parameters,
        observed_effect: "the share of matching packets that was dropped, with its interval",
        example: "percent=5",
    });
    let mut mechanisms = vec![rules::MECHANISM];
    mechanisms.extend(&shaped.mechanisms);
    Entry {
        mechanisms,
        ..shaped
    }
}
