//! Has requests of a route answered with an error, in the place of their upstream.

use firedrill_undo::{Primitive, ProxyError};
use serde_json::{Map, Value, json};

use super::route::{self, Effect, OnRoute, is_http};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::switching::row::row;
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(HttpError::parse(arguments)?)),
};

const NAME: &str = "application.http-error";

const STATUSES: &str = "a whole number from 400 to 599";

/// `application.http-error`
#[derive(Clone, Debug, PartialEq)]
pub struct HttpError {
    on: OnRoute,
    status: u64,
}

impl HttpError {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let known = [&OnRoute::KNOWN[..], &["status"]].concat();
        let mut read = Arguments::new(NAME, arguments, &known);
        let on = OnRoute::parse(&mut read);
        let status = read.whole("status", 400..=599, STATUSES);
        read.finish()?;
        Ok(Self {
            on,
            status: status.unwrap_or(503),
        })
    }
}

impl Disturbance for HttpError {
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, _site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        self.on.put(NAME, |route| {
            if !is_http(route) {
                return Err(ProxyError::OtherProtocol {
                    what: NAME,
                    needed: "HTTP requests (protocol=http or http2)",
                    route: route.name.clone(),
                    protocol: route.protocol.clone(),
                });
            }
            let attributes = json!({"status": self.status});
            Ok(Effect {
                kind: "http_abort".into(),
                attributes: attributes.as_object().cloned().unwrap_or_default(),
            })
        })
    }
}

fn entry() -> Entry {
    let mut parameters = OnRoute::parameters();
    parameters.push(row(
        "status",
        ParameterKind::Number,
        STATUSES,
        Some(json!(503)),
        "of the answer that requests get; they go no further",
    ));
    Entry {
        name: NAME,
        layer: "application",
        summary: "has requests of a proxy's route answered with an error",
        targets: vec![TargetKind::Host],
        parameters,
        needs: vec!["a `firedrill proxy` whose route speaks HTTP"],
        mechanisms: vec![route::MECHANISM],
        recovery_path: route::RECOVERY,
        undo: UndoClass::Reversible,
        observed_effect: route::OBSERVED,
        example: "route=payments status=503",
    }
}
