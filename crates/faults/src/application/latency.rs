//! Has the answers of a route come later.

use firedrill_undo::Primitive;
use serde_json::{Map, Value, json};

use super::route::{self, DELAYS, Effect, OnRoute, at_most, delay, is_http, knows_requests};
use crate::FaultError;
use crate::arguments::Arguments;
use crate::catalogue::{Entry, ParameterKind, UndoClass};
use crate::fault::{CompileError, Disturbance, Kind, Site};
use crate::switching::row::{required, row};
use crate::target::TargetKind;

pub(crate) const KIND: Kind = Kind {
    entry,
    parse: |arguments| Ok(Box::new(Latency::parse(arguments)?)),
};

const NAME: &str = "application.latency";

/// `application.latency`
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    on: OnRoute,
    delay_ms: u64,
    jitter_ms: u64,
}

impl Latency {
    fn parse(arguments: &Map<String, Value>) -> Result<Self, FaultError> {
        let known = [&OnRoute::KNOWN[..], &["delay", "jitter"]].concat();
        let mut read = Arguments::new(NAME, arguments, &known);
        let on = OnRoute::parse(&mut read);
        let given = delay(&mut read, "delay");
        let delay_ms = read.require("delay", given, "how much later answers come, such as 80ms");
        let jitter = delay(&mut read, "jitter");
        if given.is_some() {
            let most = "at most the delay";
            at_most(&mut read, NAME, ("jitter", jitter), delay_ms, most);
        }
        read.finish()?;
        Ok(Self {
            on,
            delay_ms,
            jitter_ms: jitter.unwrap_or(0),
        })
    }
}

impl Disturbance for Latency {
    fn covers_newcomers(&self) -> bool {
        false
    }

    fn compile(&self, _site: &Site<'_>) -> Result<Vec<Primitive>, CompileError> {
        self.on.put(NAME, |route| {
            let kind = match route.protocol.as_str() {
                _ if is_http(route) => "http_delay".into(),
                protocol if knows_requests(route) => format!("{protocol}_delay"),
                _ => "latency".into(),
            };
            let attributes = json!({"latency": self.delay_ms, "jitter": self.jitter_ms});
            Ok(Effect {
                kind,
                attributes: attributes.as_object().cloned().unwrap_or_default(),
            })
        })
    }
}

fn entry() -> Entry {
    let mut parameters = OnRoute::parameters();
    parameters.extend([
        required(
            "delay",
            ParameterKind::Duration,
            DELAYS,
            "how much later each answer comes",
        ),
        row(
            "jitter",
            ParameterKind::Duration,
            DELAYS,
            None,
            "how far the delays lie from it, evenly spread; at most the delay",
        ),
    ]);
    Entry {
        name: NAME,
        layer: "application",
        summary: "has the answers of a proxy's route come later",
        targets: vec![TargetKind::Host],
        parameters,
        needs: vec![route::NEEDS],
        mechanisms: vec![route::MECHANISM],
        recovery_path: route::RECOVERY,
        undo: UndoClass::Reversible,
        observed_effect: "the proxy's own counts since the toxic is there: the share of the requests \
                          that took this long, and how much longer they took than those of the \
                          other arm, or than those before, with its interval; of streams the bytes \
                          that passed",
        example: "route=payments delay=80ms",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jitter_is_at_most_its_delay() {
        let parse = |jitter: &str| {
            let given = json!({"route": "r", "delay": "80ms", "jitter": jitter});
            Latency::parse(given.as_object().unwrap())
        };
        assert!(parse("80ms").is_ok());
        let error = parse("81ms").unwrap_err().to_string();
        assert!(error.contains("at most the delay"), "{error}");
    }
}
