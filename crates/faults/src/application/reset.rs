//! Has requests of a route, or its connections, end with a RST.

use firedrill_undo::Primitive;
use serde_json::{Map, Value, json};

use super::route::{self, Effect, OnRoute, is_http};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Reset::parse(arguments)?)),
};

const NAME: &str = "application.reset";

/// `application.reset`
#[derive(Clone, Debug, PartialEq)]
pub struct Reset(OnRoute);

impl Reset {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let mut read = Arguments::new(NAME, arguments, &OnRoute::KNOWN);
        let on = OnRoute::parse(&mut read);
        read.finish()?;
        Ok(Self(on))
    }
}

impl Disturbance for Reset {
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, _site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        self.0.put(NAME, |route| {
            Ok(if is_http(route) {
                Effect {
                    kind: "http_reset".into(),
                    attributes: Map::new(),
                }
            } else {
                let attributes = json!({"timeout": 0});
                Effect {
                    kind: "reset_peer".into(),
                    attributes: attributes.as_object().cloned().unwrap_or_default(),
                }
            })
        })
    }
}

fn entry() -> Entry {
    Entry {
        name: NAME,
        layer: "application",
        summary: "has requests of a proxy's route, or its connections, end with a RST",
        targets: vec![TargetKind::Host],
        parameters: OnRoute::parameters(),
        needs: vec![route::NEEDS],
        mechanisms: vec![route::MECHANISM],
        recovery_path: route::RECOVERY,
        undo: UndoClass::Reversible,
        observed_effect: route::OBSERVED,
        example: "route=payments",
    }
}
